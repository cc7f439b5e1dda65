package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"bench/load"
)

const callTimeout = 2 * time.Minute

// kind is what a pod asks for.  Nobody has a CPU quota: a small one would throttle the start itself.
type kind struct {
	class       string // the folder of its class in the control group of all pods
	shares      int64
	memoryBytes int64
	oneAtATime  bool
}

var (
	sharing  = kind{class: "burstable", shares: 20, memoryBytes: 100 << 20}
	specials = map[string]kind{
		"":      sharing,
		"alone": {shares: 1024, memoryBytes: 32 << 20, oneAtATime: true}, // there may be no more CPUs to be alone on
		"wide":  {shares: 20, memoryBytes: 1 << 40},
	}
)

type pods struct {
	options
	special kind
	runtime cri.RuntimeServiceClient
	prefix  string
	begun   atomic.Int64
	alone   sync.Mutex
}

// live is one pod from its beginning to its end, or to where it is left running.
func (p *pods) live(ctx context.Context, times *load.Times) error {
	number, kind := p.begun.Add(1)-1, sharing
	if p.every > 0 && number%int64(p.every) == 0 {
		kind = p.special
	}
	if kind.oneAtATime {
		p.alone.Lock()
		defer p.alone.Unlock()
	}
	pod, container, err := p.start(ctx, times, p.sandbox(number, kind), kind)
	if err != nil || p.keep {
		return err
	}
	return p.end(ctx, times, pod, container)
}

func (p *pods) start(ctx context.Context, times *load.Times, config *cri.PodSandboxConfig, kind kind) (string, string, error) {
	pod, err := load.Timed(ctx, times, "RunPodSandbox", callTimeout, p.runtime.RunPodSandbox,
		&cri.RunPodSandboxRequest{Config: config})
	if err != nil {
		return "", "", err
	}
	container, err := load.Timed(ctx, times, "CreateContainer", callTimeout, p.runtime.CreateContainer,
		&cri.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, Config: p.container(kind), SandboxConfig: config})
	if err != nil {
		return "", "", err
	}
	_, err = load.Timed(ctx, times, "StartContainer", callTimeout, p.runtime.StartContainer,
		&cri.StartContainerRequest{ContainerId: container.ContainerId})
	return pod.PodSandboxId, container.ContainerId, err
}

func (p *pods) end(ctx context.Context, times *load.Times, pod, container string) error {
	if _, err := load.Timed(ctx, times, "StopContainer", callTimeout, p.runtime.StopContainer,
		&cri.StopContainerRequest{ContainerId: container}); err != nil {
		return err
	}
	if _, err := load.Timed(ctx, times, "RemoveContainer", callTimeout, p.runtime.RemoveContainer,
		&cri.RemoveContainerRequest{ContainerId: container}); err != nil {
		return err
	}
	if _, err := load.Timed(ctx, times, "StopPodSandbox", callTimeout, p.runtime.StopPodSandbox,
		&cri.StopPodSandboxRequest{PodSandboxId: pod}); err != nil {
		return err
	}
	_, err := load.Timed(ctx, times, "RemovePodSandbox", callTimeout, p.runtime.RemovePodSandbox,
		&cri.RemovePodSandboxRequest{PodSandboxId: pod})
	return err
}

// sandbox is on the host's network: what CNI costs is not the question.
func (p *pods) sandbox(number int64, kind kind) *cri.PodSandboxConfig {
	name := fmt.Sprintf("pod-%s-%d", p.prefix, number)
	parent := p.parent
	if kind.class != "" {
		parent += "/" + kind.class
	}
	return &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Uid: name, Namespace: "default"},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent:    parent + "/pod" + name,
			SecurityContext: &cri.LinuxSandboxSecurityContext{NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_NODE}},
		},
	}
}

func (p *pods) container(kind kind) *cri.ContainerConfig {
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "main"},
		Image:    &cri.ImageSpec{Image: p.image, UserSpecifiedImage: p.image},
		Command:  []string{"sleep", "2147483647"},
		Linux: &cri.LinuxContainerConfig{Resources: &cri.LinuxContainerResources{
			CpuShares: kind.shares, MemoryLimitInBytes: kind.memoryBytes,
		}},
	}
}
