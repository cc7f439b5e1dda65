package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

var criCases = []testCase{
	{"a pod's life with fields of the future", podLife},
	{"an intercepted call fails with details", func(ctx context.Context, p *peer) any {
		ask := marshal(createRequest("fails", 0))
		return p.call(with(ctx, "x-a", "b", doStatus, asStatus(codes.NotFound, hardMessage)), unary, runtimeService+"CreateContainer", [][]byte{ask})
	}},
	{"an intercepted call is answered before its request", func(ctx context.Context, p *peer) any {
		ask := marshal(createRequest("early", 0))
		state := asStatus(codes.ResourceExhausted, "too busy")
		return p.call(with(ctx, doEarly, "yes", doStatus, state), unary, runtimeService+"CreateContainer", [][]byte{ask}).Code
	}},
	// While a long reply arrives, a client measures the path with pings that the server, which has long sent all of it,
	// may take for abuse: grpc-go then ends the connection.  Not every call meets that, so there are several.
	{"4 intercepted calls of 8 MiB", func(ctx context.Context, p *peer) any {
		for range 3 {
			p.criCall(ctx, "CreateContainer", createRequest("large", 8<<20))
		}
		return p.criCall(ctx, "CreateContainer", createRequest("large", 8<<20))
	}},
	{"calls that are not intercepted", func(ctx context.Context, p *peer) any {
		return []any{
			p.criCall(ctx, "UpdatePodSandboxResources", &cri.UpdatePodSandboxResourcesRequest{PodSandboxId: "pod-life"}),
			p.criCall(ctx, "ContainerStatus", &cri.ContainerStatusRequest{ContainerId: "container-life", Verbose: true}),
			p.criCall(ctx, "ListContainers", &cri.ListContainersRequest{}),
			p.criCall(ctx, "ListPodSandbox", &cri.ListPodSandboxRequest{}),
			p.criCall(ctx, "Version", &cri.VersionRequest{Version: "v1"}),
		}
	}},
}

// criResult is a call of CRI: what the server received, and what of its answer is not that.
type criResult struct {
	Outcome  outcome `json:"outcome"`
	Received string  `json:"received"`
	Answer   string  `json:"answer"`
}

// podLife makes all eight intercepted calls, each with unknown fields and metadata.
func podLife(ctx context.Context, p *peer) any {
	sandbox := sandboxConfig("life", 0)
	pod, container := podID(sandbox), containerID(sandbox)
	results := []any{}
	for _, step := range []struct {
		method string
		ask    proto.Message
	}{
		{"RunPodSandbox", &cri.RunPodSandboxRequest{Config: sandbox, RuntimeHandler: "runc"}},
		{"CreateContainer", createRequest("life", 0)},
		{"StartContainer", &cri.StartContainerRequest{ContainerId: container}},
		{"UpdateContainerResources", &cri.UpdateContainerResourcesRequest{ContainerId: container, Linux: resources(), Annotations: map[string]string{"a": "b"}}},
		{"StopContainer", &cri.StopContainerRequest{ContainerId: container, Timeout: 30}},
		{"RemoveContainer", &cri.RemoveContainerRequest{ContainerId: container}},
		{"StopPodSandbox", &cri.StopPodSandboxRequest{PodSandboxId: pod}},
		{"RemovePodSandbox", &cri.RemovePodSandboxRequest{PodSandboxId: pod}},
	} {
		results = append(results, p.criCall(with(ctx, "x-step-bin", "\x00"+step.method), step.method, step.ask))
	}
	return results
}

func (p *peer) criCall(ctx context.Context, method string, ask proto.Message) criResult {
	wish(ask, "of the outermost message")
	o := p.call(ctx, unary, runtimeService+method, [][]byte{marshal(ask)})
	if len(o.replies) != 1 {
		return criResult{Outcome: o}
	}
	received, answer := split(o.replies[0])
	o.Digest = "" // of bytes whose order is not fixed; Received and Answer tell more
	again := ask.ProtoReflect().New().Interface()
	return criResult{o, canonical(received, again), short(answer)}
}

// split takes the request that the server received out of its answer.
func split(reply []byte) ([]byte, []byte) {
	var received, rest []byte
	for len(reply) > 0 {
		number, _, size := protowire.ConsumeField(reply)
		if size < 0 {
			return nil, []byte("not protobuf: " + protowire.ParseError(size).Error())
		}
		if number == fieldReceived {
			_, _, head := protowire.ConsumeTag(reply)
			value, _ := protowire.ConsumeBytes(reply[head:])
			received = append(received, value...)
		} else {
			rest = append(rest, reply[:size]...)
		}
		reply = reply[size:]
	}
	return received, rest
}

// canonical makes encodings comparable: the order of fields means nothing, and unknown ones stay.
func canonical(data []byte, as proto.Message) string {
	if err := proto.Unmarshal(data, as); err != nil {
		return "not protobuf: " + err.Error()
	}
	return short(marshal(as))
}

func short(data []byte) string {
	if len(data) > 16*longValue {
		return fmt.Sprintf("%d bytes, sha256 %x", len(data), sha256.Sum256(data))
	}
	return encoded(data)
}

func marshal(message proto.Message) []byte {
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil {
		panic(errors.Join(errors.New("a message of our own"), err))
	}
	return data
}

// wish puts a field into a message that nobody knows.
func wish(message proto.Message, what string) {
	reflected := message.ProtoReflect()
	reflected.SetUnknown(append(reflected.GetUnknown(), field(fieldWish, what)...))
}

func resources() *cri.LinuxContainerResources {
	asked := &cri.LinuxContainerResources{CpuPeriod: 100000, CpuQuota: 20000, CpuShares: 204, MemoryLimitInBytes: 64 << 20,
		Unified: map[string]string{"memory.high": "60000000"}}
	wish(asked, "of the resources")
	return asked
}

func sandboxConfig(uid string, bytes int) *cri.PodSandboxConfig {
	config := &cri.PodSandboxConfig{
		Metadata:    &cri.PodSandboxMetadata{Name: "future", Namespace: "default", Uid: uid},
		Labels:      map[string]string{"io.kubernetes.pod.name": "future", "io.kubernetes.pod.namespace": "default", "io.kubernetes.pod.uid": uid},
		Annotations: map[string]string{"future.example/blob": strings.Repeat("x", bytes)},
		Linux:       &cri.LinuxPodSandboxConfig{CgroupParent: "/kubepods/burstable/pod" + uid, Resources: resources()},
	}
	wish(config, "of the pod")
	return config
}

func createRequest(uid string, bytes int) *cri.CreateContainerRequest {
	sandbox := sandboxConfig(uid, bytes)
	config := &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "main"}, Image: &cri.ImageSpec{Image: "future:9"},
		Envs:   []*cri.KeyValue{{Key: "NOT_UTF8", Value: []byte{0xff, 0xfe}}},
		Labels: map[string]string{"io.kubernetes.container.name": "main", "io.kubernetes.pod.uid": uid},
		Linux:  &cri.LinuxContainerConfig{Resources: resources()},
	}
	wish(config, "of the container")
	wish(config.Linux, "of its linux part")
	return &cri.CreateContainerRequest{PodSandboxId: podID(sandbox), Config: config, SandboxConfig: sandbox}
}
