package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const connectTimeout = 20 * time.Second

// kubelet makes the calls of a kubelet, with messages of its sizes.
type kubelet struct {
	runtime cri.RuntimeServiceClient
	timeout time.Duration
	prefix  string
	pods    atomic.Int64
}

// connect makes the connection before anything is measured.
func (k *kubelet) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	_, err := k.runtime.Version(ctx, &cri.VersionRequest{}, grpc.WaitForReady(true))
	return err
}

type load func(ctx context.Context, times *latencies) error

func (k *kubelet) load(mode string) (load, error) {
	switch mode {
	case "version":
		return func(ctx context.Context, times *latencies) error {
			_, err := timed(k, ctx, times, "Version", k.runtime.Version, &cri.VersionRequest{})
			return err
		}, nil
	case "bulk":
		ask := &cri.ListContainersRequest{Filter: &cri.ContainerFilter{Id: "bulk"}}
		return func(ctx context.Context, times *latencies) error {
			_, err := timed(k, ctx, times, "ListContainers", k.runtime.ListContainers, ask)
			return err
		}, nil
	case "pod", "burst":
		return k.pod, nil
	}
	return nil, fmt.Errorf("no load is called %q", mode)
}

// pod is the life of a pod with one container: seven calls.
func (k *kubelet) pod(ctx context.Context, times *latencies) error {
	pod, container, err := k.startPod(ctx, times)
	if err != nil {
		return err
	}
	if _, err = timed(k, ctx, times, "StopContainer", k.runtime.StopContainer,
		&cri.StopContainerRequest{ContainerId: container, Timeout: 30}); err != nil {
		return err
	}
	if _, err = timed(k, ctx, times, "RemoveContainer", k.runtime.RemoveContainer,
		&cri.RemoveContainerRequest{ContainerId: container}); err != nil {
		return err
	}
	if _, err = timed(k, ctx, times, "StopPodSandbox", k.runtime.StopPodSandbox,
		&cri.StopPodSandboxRequest{PodSandboxId: pod}); err != nil {
		return err
	}
	_, err = timed(k, ctx, times, "RemovePodSandbox", k.runtime.RemovePodSandbox,
		&cri.RemovePodSandboxRequest{PodSandboxId: pod})
	return err
}

// startPod brings a pod up and returns the ids of its sandbox and its container.
func (k *kubelet) startPod(ctx context.Context, times *latencies) (string, string, error) {
	sandbox := k.sandboxConfig()
	pod, err := timed(k, ctx, times, "RunPodSandbox", k.runtime.RunPodSandbox, &cri.RunPodSandboxRequest{Config: sandbox})
	if err != nil {
		return "", "", err
	}
	container, err := timed(k, ctx, times, "CreateContainer", k.runtime.CreateContainer,
		&cri.CreateContainerRequest{PodSandboxId: pod.PodSandboxId, Config: containerConfig(sandbox), SandboxConfig: sandbox})
	if err != nil {
		return "", "", err
	}
	_, err = timed(k, ctx, times, "StartContainer", k.runtime.StartContainer,
		&cri.StartContainerRequest{ContainerId: container.ContainerId})
	return pod.PodSandboxId, container.ContainerId, err
}

// timed makes one call under the kubelet's deadline and notes how long it took if it succeeded.
func timed[Ask, Reply any](
	k *kubelet, ctx context.Context, times *latencies, name string,
	method func(context.Context, Ask, ...grpc.CallOption) (Reply, error), ask Ask,
) (Reply, error) {
	if k.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, k.timeout)
		defer cancel()
	}
	begin := time.Now()
	reply, err := method(ctx, ask)
	if err != nil {
		return reply, fmt.Errorf("%s: %w", name, err)
	}
	times.note(name, time.Since(begin))
	return reply, nil
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
