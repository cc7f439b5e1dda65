//go:build tools

// Package tools names the programs that this module builds.
package tools

import (
	_ "github.com/kubernetes-sigs/cri-tools/cmd/crictl"

	// critest is a test file, whose imports `go mod tidy` does not follow in a dependency.
	_ "github.com/kubernetes-sigs/cri-tools/pkg/benchmark"
	_ "github.com/kubernetes-sigs/cri-tools/pkg/framework"
	_ "github.com/kubernetes-sigs/cri-tools/pkg/validate"
)
