module tools

go 1.24.0

require github.com/cert-manager/cert-manager v1.21.2 // only its CRDs are used: nothing is built
