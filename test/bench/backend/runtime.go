package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type delays struct{ create, start time.Duration }

// container is what was asked for and how far it has come.
type container struct {
	listed    *cri.Container
	resources *cri.LinuxContainerResources
}

// runtime is the runtime service.  One lock is enough: it is never held while something waits.
type runtime struct {
	cri.UnimplementedRuntimeServiceServer
	delays delays
	bulk   []*cri.Container

	mu         sync.Mutex
	born       int
	pods       map[string]*cri.PodSandbox
	containers map[string]*container
}

func newRuntime(delays delays, bulk []*cri.Container) *runtime {
	return &runtime{delays: delays, bulk: bulk, pods: map[string]*cri.PodSandbox{}, containers: map[string]*container{}}
}

// nextID makes an id as long as containerd's, so that frames have a real node's sizes.
func (r *runtime) nextID() string {
	r.born++
	return fmt.Sprintf("%064x", r.born)
}

func (r *runtime) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{
		Version: "0.1.0", RuntimeName: "containerd", RuntimeVersion: "2.0.0", RuntimeApiVersion: "v1",
	}, nil
}

func (r *runtime) Status(context.Context, *cri.StatusRequest) (*cri.StatusResponse, error) {
	return &cri.StatusResponse{Status: &cri.RuntimeStatus{Conditions: []*cri.RuntimeCondition{
		{Type: cri.RuntimeReady, Status: true}, {Type: cri.NetworkReady, Status: true},
	}}}, nil
}

func (r *runtime) RunPodSandbox(_ context.Context, ask *cri.RunPodSandboxRequest) (*cri.RunPodSandboxResponse, error) {
	config := ask.GetConfig()
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.nextID()
	r.pods[id] = &cri.PodSandbox{
		Id: id, Metadata: config.GetMetadata(), Labels: config.GetLabels(), Annotations: config.GetAnnotations(),
		State: cri.PodSandboxState_SANDBOX_READY, CreatedAt: time.Now().UnixNano(), RuntimeHandler: ask.GetRuntimeHandler(),
	}
	return &cri.RunPodSandboxResponse{PodSandboxId: id}, nil
}

func (r *runtime) StopPodSandbox(_ context.Context, ask *cri.StopPodSandboxRequest) (*cri.StopPodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if pod := r.pods[ask.GetPodSandboxId()]; pod != nil {
		r.pods[pod.GetId()] = podIn(pod, cri.PodSandboxState_SANDBOX_NOTREADY)
	}
	return &cri.StopPodSandboxResponse{}, nil
}

func (r *runtime) RemovePodSandbox(_ context.Context, ask *cri.RemovePodSandboxRequest) (*cri.RemovePodSandboxResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.pods, ask.GetPodSandboxId())
	return &cri.RemovePodSandboxResponse{}, nil
}

func (r *runtime) CreateContainer(_ context.Context, ask *cri.CreateContainerRequest) (*cri.CreateContainerResponse, error) {
	time.Sleep(r.delays.create)
	config := ask.GetConfig()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pods[ask.GetPodSandboxId()] == nil {
		return nil, status.Errorf(codes.NotFound, "pod sandbox %q not found", ask.GetPodSandboxId())
	}
	id := r.nextID()
	r.containers[id] = &container{
		listed: &cri.Container{
			Id: id, PodSandboxId: ask.GetPodSandboxId(), Metadata: config.GetMetadata(), Image: config.GetImage(),
			ImageRef: config.GetImage().GetImage(), State: cri.ContainerState_CONTAINER_CREATED,
			CreatedAt: time.Now().UnixNano(), Labels: config.GetLabels(), Annotations: config.GetAnnotations(),
		},
		resources: config.GetLinux().GetResources(),
	}
	return &cri.CreateContainerResponse{ContainerId: id}, nil
}

func (r *runtime) StartContainer(_ context.Context, ask *cri.StartContainerRequest) (*cri.StartContainerResponse, error) {
	time.Sleep(r.delays.start)
	return &cri.StartContainerResponse{}, r.move(ask.GetContainerId(), cri.ContainerState_CONTAINER_RUNNING)
}

func (r *runtime) StopContainer(_ context.Context, ask *cri.StopContainerRequest) (*cri.StopContainerResponse, error) {
	return &cri.StopContainerResponse{}, r.move(ask.GetContainerId(), cri.ContainerState_CONTAINER_EXITED)
}

func (r *runtime) RemoveContainer(_ context.Context, ask *cri.RemoveContainerRequest) (*cri.RemoveContainerResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.containers, ask.GetContainerId())
	return &cri.RemoveContainerResponse{}, nil
}

func (r *runtime) UpdateContainerResources(
	_ context.Context, ask *cri.UpdateContainerResourcesRequest,
) (*cri.UpdateContainerResourcesResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, err := r.find(ask.GetContainerId())
	if err != nil {
		return nil, err
	}
	kept.resources = ask.GetLinux()
	return &cri.UpdateContainerResourcesResponse{}, nil
}

// move sets a container's state.
func (r *runtime) move(id string, state cri.ContainerState) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, err := r.find(id)
	if err == nil {
		kept.listed = containerIn(kept.listed, state)
	}
	return err
}

// find must be called with the lock held.
func (r *runtime) find(id string) (*container, error) {
	if kept := r.containers[id]; kept != nil {
		return kept, nil
	}
	return nil, status.Errorf(codes.NotFound, "container %q not found", id)
}
