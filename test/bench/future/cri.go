package main

import (
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Fields that no version of CRI has.
const (
	fieldReceived = protowire.Number(60000) // in replies: the request, byte by byte as it came
	fieldNews     = protowire.Number(60001) // in replies: something new
	fieldWish     = protowire.Number(60002) // in requests: something new, at every level
)

// reply answers with a message, what was received, and a field that is news to everybody.
func reply(message proto.Message) handler {
	return func(stream grpc.ServerStream) error {
		var received []byte
		if err := stream.RecvMsg(&received); err != nil {
			return err
		}
		return answer(stream, message, received)
	}
}

// The ids are made of names, so that two runs agree on them.

func runPod(stream grpc.ServerStream) error {
	var ask cri.RunPodSandboxRequest
	received, err := receive(stream, &ask)
	if err != nil {
		return err
	}
	return answer(stream, &cri.RunPodSandboxResponse{PodSandboxId: podID(ask.GetConfig())}, received)
}

func createContainer(stream grpc.ServerStream) error {
	var ask cri.CreateContainerRequest
	received, err := receive(stream, &ask)
	if err != nil {
		return err
	}
	return answer(stream, &cri.CreateContainerResponse{ContainerId: containerID(ask.GetSandboxConfig())}, received)
}

func receive(stream grpc.ServerStream, ask proto.Message) ([]byte, error) {
	var received []byte
	if err := stream.RecvMsg(&received); err != nil {
		return nil, err
	}
	return received, proto.Unmarshal(received, ask)
}

func podID(config *cri.PodSandboxConfig) string { return "pod-" + config.GetMetadata().GetUid() }
func containerID(config *cri.PodSandboxConfig) string {
	return "container-" + config.GetMetadata().GetUid()
}

func answer(stream grpc.ServerStream, message proto.Message, received []byte) error {
	var data []byte
	if message != nil {
		var err error
		if data, err = proto.Marshal(message); err != nil {
			return err
		}
	}
	data = append(data, field(fieldNews, "from the future")...)
	data = append(data, field(fieldReceived, string(received))...)
	return stream.SendMsg(&data)
}

func field(number protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), value)
}
