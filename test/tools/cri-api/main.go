// Reads a CreateContainerRequest as runtimes do: with the decoder of today's CRI, and with gogo's, which containerd 1.6
// has. Prints what each of them has understood of the resources; test/unit/cri/test_go_decoders.py compares.
package main

import (
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/proto"
	today "k8s.io/cri-api/pkg/apis/runtime/v1"
	old "old.test/cri-api/pkg/apis/runtime/v1"
)

type resources interface {
	GetCpuPeriod() int64
	GetCpuQuota() int64
	GetCpuShares() int64
	GetMemoryLimitInBytes() int64
	GetOomScoreAdj() int64
	GetCpusetCpus() string
	GetCpusetMems() string
}

func show(name string, err error, r resources) {
	if err != nil {
		fmt.Println(name, err)
		os.Exit(1)
	}
	fmt.Printf("%s %d %d %d %d %d %q %q\n", name, r.GetCpuPeriod(), r.GetCpuQuota(), r.GetCpuShares(),
		r.GetMemoryLimitInBytes(), r.GetOomScoreAdj(), r.GetCpusetCpus(), r.GetCpusetMems())
}

func main() {
	message, err := io.ReadAll(os.Stdin)
	if err != nil {
		panic(err)
	}
	var a today.CreateContainerRequest
	err = proto.Unmarshal(message, &a)
	show("today", err, a.GetConfig().GetLinux().GetResources())
	var b old.CreateContainerRequest
	err = b.Unmarshal(message)
	show("gogo", err, b.GetConfig().GetLinux().GetResources())
}
