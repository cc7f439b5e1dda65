package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// bulkID is the filter that asks for the prepared list, whose size does not depend on what runs.
const bulkID = "bulk"

// podIn and containerIn copy what is listed, for a reply that is being sent may still hold the old one.
func podIn(pod *cri.PodSandbox, state cri.PodSandboxState) *cri.PodSandbox {
	return &cri.PodSandbox{
		Id: pod.Id, Metadata: pod.Metadata, State: state, CreatedAt: pod.CreatedAt,
		Labels: pod.Labels, Annotations: pod.Annotations, RuntimeHandler: pod.RuntimeHandler,
	}
}

func containerIn(c *cri.Container, state cri.ContainerState) *cri.Container {
	return &cri.Container{
		Id: c.Id, PodSandboxId: c.PodSandboxId, Metadata: c.Metadata, Image: c.Image, ImageRef: c.ImageRef,
		State: state, CreatedAt: c.CreatedAt, Labels: c.Labels, Annotations: c.Annotations,
	}
}

func (r *runtime) ListPodSandbox(_ context.Context, ask *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	filter, reply := ask.GetFilter(), &cri.ListPodSandboxResponse{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, pod := range r.pods {
		if matches(filter.GetId(), id) && labelled(pod.Labels, filter.GetLabelSelector()) &&
			(filter.GetState() == nil || filter.GetState().State == pod.State) {
			reply.Items = append(reply.Items, pod)
		}
	}
	return reply, nil
}

func (r *runtime) ListContainers(_ context.Context, ask *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	filter, reply := ask.GetFilter(), &cri.ListContainersResponse{}
	if filter.GetId() == bulkID {
		return &cri.ListContainersResponse{Containers: r.bulk}, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, kept := range r.containers {
		c := kept.listed
		if matches(filter.GetId(), id) && matches(filter.GetPodSandboxId(), c.PodSandboxId) &&
			labelled(c.Labels, filter.GetLabelSelector()) && (filter.GetState() == nil || filter.GetState().State == c.State) {
			reply.Containers = append(reply.Containers, c)
		}
	}
	return reply, nil
}

func (r *runtime) PodSandboxStatus(
	_ context.Context, ask *cri.PodSandboxStatusRequest,
) (*cri.PodSandboxStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pod := r.pods[ask.GetPodSandboxId()]
	if pod == nil {
		return nil, status.Errorf(codes.NotFound, "pod sandbox %q not found", ask.GetPodSandboxId())
	}
	return &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{
		Id: pod.Id, Metadata: pod.Metadata, State: pod.State, CreatedAt: pod.CreatedAt,
		Labels: pod.Labels, Annotations: pod.Annotations, RuntimeHandler: pod.RuntimeHandler,
	}}, nil
}

func (r *runtime) ContainerStatus(
	_ context.Context, ask *cri.ContainerStatusRequest,
) (*cri.ContainerStatusResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, err := r.find(ask.GetContainerId())
	if err != nil {
		return nil, err
	}
	c := kept.listed
	reply := &cri.ContainerStatusResponse{Status: &cri.ContainerStatus{
		Id: c.Id, Metadata: c.Metadata, State: c.State, CreatedAt: c.CreatedAt, Image: c.Image, ImageRef: c.ImageRef,
		Labels: c.Labels, Annotations: c.Annotations, Resources: &cri.ContainerResources{Linux: kept.resources},
	}}
	if ask.GetVerbose() {
		reply.Info = map[string]string{"info": verboseInfo(kept)}
	}
	return reply, nil
}

// verboseInfo has the shape of containerd's: who reconciles with a runtime reads the OCI spec in it.
func verboseInfo(kept *container) string {
	cpu := map[string]any{
		"shares": kept.resources.GetCpuShares(), "quota": kept.resources.GetCpuQuota(), "period": kept.resources.GetCpuPeriod(),
		"cpus": kept.resources.GetCpusetCpus(), "mems": kept.resources.GetCpusetMems(),
	}
	memory := map[string]any{"limit": kept.resources.GetMemoryLimitInBytes()}
	spec := map[string]any{"linux": map[string]any{"resources": map[string]any{"cpu": cpu, "memory": memory}}}
	text, _ := json.Marshal(map[string]any{"sandboxID": kept.listed.GetPodSandboxId(), "runtimeSpec": spec})
	return string(text)
}

// matches is CRI's id filter: nothing or a prefix.
func matches(filter, id string) bool { return strings.HasPrefix(id, filter) }

func labelled(labels, selector map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}

// bulkList is a list as a busy node has it: labels and annotations of the kubelet's kind, about 0.8 KiB an entry.
func bulkList(n int) []*cri.Container {
	list := make([]*cri.Container, n)
	for i := range list {
		id := fmt.Sprintf("%064x", i)
		list[i] = &cri.Container{
			Id: id, PodSandboxId: id, Metadata: &cri.ContainerMetadata{Name: fmt.Sprintf("c%d", i)},
			Image: &cri.ImageSpec{Image: "registry.example.com/some/image:tag"}, ImageRef: "sha256:" + strings.Repeat("a", 64),
			State: cri.ContainerState_CONTAINER_RUNNING,
			Labels: map[string]string{
				"io.kubernetes.pod.name": fmt.Sprintf("pod-%d", i), "io.kubernetes.pod.namespace": "default",
				"io.kubernetes.container.name": "main", "io.kubernetes.pod.uid": strings.Repeat("b", 36),
			},
			Annotations: map[string]string{
				"io.kubernetes.container.hash": "deadbeef", "io.kubernetes.container.restartCount": "0",
				"io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
				"io.kubernetes.container.ports":                  strings.Repeat("p", 200),
			},
		}
	}
	return list
}
