//go:build tools

// Package tools names the programs that this module builds.
package tools

import _ "github.com/gardener/gardener/test/start-envtest" // gardener-apiserver, with an API server and etcd
