package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"bench/load"
)

// kubelet makes the calls of a kubelet, with messages of its sizes.
type kubelet struct {
	runtime cri.RuntimeServiceClient
	timeout time.Duration
	prefix  string
	pods    atomic.Int64
}

func (k *kubelet) load(mode string) (load.Load, error) {
	switch mode {
	case "version":
		return func(ctx context.Context, times *load.Times) error {
			_, err := load.Timed(ctx, times, "Version", k.timeout, k.runtime.Version, &cri.VersionRequest{})
			return err
		}, nil
	case "bulk":
		ask := &cri.ListContainersRequest{Filter: &cri.ContainerFilter{Id: "bulk"}}
		return func(ctx context.Context, times *load.Times) error {
			_, err := load.Timed(ctx, times, "ListContainers", k.timeout, k.runtime.ListContainers, ask)
			return err
		}, nil
	case "pod", "burst":
		return k.pod, nil
	}
	return nil, fmt.Errorf("no load is called %q", mode)
}

// pod is the life of a pod with one container: seven calls.
func (k *kubelet) pod(ctx context.Context, times *load.Times) error {
	pod, container, err := k.startPod(ctx, times)
	if err != nil {
		return err
	}
	if _, err = load.Timed(ctx, times, "StopContainer", k.timeout, k.runtime.StopContainer,
		&cri.StopContainerRequest{ContainerId: container, Timeout: 30}); err != nil {
		return err
	}
	if _, err = load.Timed(ctx, times, "RemoveContainer", k.timeout, k.runtime.RemoveContainer,
		&cri.RemoveContainerRequest{ContainerId: container}); err != nil {
		return err
	}
	if _, err = load.Timed(ctx, times, "StopPodSandbox", k.timeout, k.runtime.StopPodSandbox,
		&cri.StopPodSandboxRequest{PodSandboxId: pod}); err != nil {
		return err
	}
	_, err = load.Timed(ctx, times, "RemovePodSandbox", k.timeout, k.runtime.RemovePodSandbox,
		&cri.RemovePodSandboxRequest{PodSandboxId: pod})
	return err
}

// startPod brings a pod up and returns the ids of its sandbox and its container.
func (k *kubelet) startPod(ctx context.Context, times *load.Times) (string, string, error) {
	sandbox := k.sandboxConfig()
	pod, err := load.Timed(ctx, times, "RunPodSandbox", k.timeout, k.runtime.RunPodSandbox, &cri.RunPodSandboxRequest{Config: sandbox})
	if err != nil {
		return "", "", err
	}
	container, err := load.Timed(ctx, times, "CreateContainer", k.timeout, k.runtime.CreateContainer,
		&cri.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, Config: containerConfig(sandbox), SandboxConfig: sandbox})
	if err != nil {
		return "", "", err
	}
	_, err = load.Timed(ctx, times, "StartContainer", k.timeout, k.runtime.StartContainer,
		&cri.StartContainerRequest{ContainerId: container.ContainerId})
	return pod.PodSandboxId, container.ContainerId, err
}

func (k *kubelet) sandboxConfig() *cri.PodSandboxConfig {
	n := k.pods.Add(1)
	uid := fmt.Sprintf("%08s-0000-4000-8000-%012d", k.prefix, n)
	name := fmt.Sprintf("pod-%s-%d", k.prefix, n)
	return &cri.PodSandboxConfig{
		Metadata:     &cri.PodSandboxMetadata{Name: name, Uid: uid, Namespace: "default"},
		Hostname:     name,
		LogDirectory: "/var/log/pods/default_" + name + "_" + uid,
		Labels:       labels(name, uid),
		Annotations:  map[string]string{"kubernetes.io/config.seen": "2026-01-01T00:00:00.0Z", "kubernetes.io/config.source": "api"},
		Linux: &cri.LinuxPodSandboxConfig{
			CgroupParent: "/kubepods/burstable/pod" + uid,
			SecurityContext: &cri.LinuxSandboxSecurityContext{
				NamespaceOptions: &cri.NamespaceOption{Network: cri.NamespaceMode_POD, Pid: cri.NamespaceMode_CONTAINER},
			},
			Resources: &cri.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 10000, CpuShares: 102, MemoryLimitInBytes: 100 << 20},
		},
	}
}

func containerConfig(sandbox *cri.PodSandboxConfig) *cri.ContainerConfig {
	containerLabels := labels(sandbox.Metadata.Name, sandbox.Metadata.Uid)
	containerLabels["io.kubernetes.container.name"] = "main"
	return &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "main"},
		Image:    &cri.ImageSpec{Image: "sha256:6e38f40d628db3002f5617342c8872c935de530d867d0f709a2fbda1a302a562"},
		Command:  []string{"/pause"},
		Envs:     []*cri.KeyValue{{Key: "KUBERNETES_SERVICE_HOST", Value: []byte("10.0.0.1")}, {Key: "KUBERNETES_SERVICE_PORT", Value: []byte("443")}},
		Mounts: []*cri.Mount{{
			ContainerPath: "/var/run/secrets/kubernetes.io/serviceaccount", Readonly: true,
			HostPath: "/var/lib/kubelet/pods/" + sandbox.Metadata.Uid + "/volumes/kubernetes.io~projected/kube-api-access",
		}},
		Labels: containerLabels,
		Annotations: map[string]string{
			"io.kubernetes.container.hash": "deadbeef", "io.kubernetes.container.restartCount": "0",
			"io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
		},
		LogPath: "main/0.log",
		Linux: &cri.LinuxContainerConfig{Resources: &cri.LinuxContainerResources{
			CpuPeriod: 100000, CpuQuota: 10000, CpuShares: 102, MemoryLimitInBytes: 100 << 20, OomScoreAdj: 900,
		}},
	}
}

func labels(name, uid string) map[string]string {
	return map[string]string{
		"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.uid": uid,
	}
}
