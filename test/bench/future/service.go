package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type handler func(grpc.ServerStream) error

// methods is what the future offers; all other methods are unknown there, too.
func (s *server) methods() map[string]handler {
	return map[string]handler{
		futureService + "Echo":     echo,
		futureService + "Count":    count,
		futureService + "Digest":   digest,
		futureService + "Early":    early,
		futureService + "Talk":     talk,
		futureService + "Greet":    greet,
		futureService + "Observed": s.observed,
		futureService + "Drain":    s.drain,

		runtimeService + "Version": reply(&cri.VersionResponse{
			Version: "0.1.0", RuntimeName: "containerd", RuntimeVersion: "9.9.9", RuntimeApiVersion: "v1",
		}),
		runtimeService + "ListPodSandbox":     reply(&cri.ListPodSandboxResponse{}),
		runtimeService + "ListContainers":     reply(&cri.ListContainersResponse{}),
		runtimeService + "GetContainerEvents": count,

		runtimeService + "RunPodSandbox":             runPod,
		runtimeService + "CreateContainer":           createContainer,
		runtimeService + "StartContainer":            reply(nil),
		runtimeService + "UpdateContainerResources":  reply(nil),
		runtimeService + "StopContainer":             reply(nil),
		runtimeService + "RemoveContainer":           reply(nil),
		runtimeService + "StopPodSandbox":            reply(nil),
		runtimeService + "RemovePodSandbox":          reply(nil),
		runtimeService + "UpdatePodSandboxResources": reply(nil),
		runtimeService + "ContainerStatus":           reply(nil),
	}
}

// echo answers one message with the same.
func echo(stream grpc.ServerStream) error {
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	return stream.SendMsg(&message)
}

// count answers "N SIZE" with N messages of about SIZE bytes, no two alike in length.
func count(stream grpc.ServerStream) error {
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	words := strings.Fields(string(message))
	if len(words) != 2 {
		return fmt.Errorf("count: %q is not two numbers", message)
	}
	n, _ := strconv.Atoi(words[0])
	size, _ := strconv.Atoi(words[1])
	for i := range n {
		item := pattern(size+i%97, i)
		if err := stream.SendMsg(&item); err != nil {
			return err
		}
	}
	return nil
}

// digest reads a stream to its end and answers with one message about all of it.
func digest(stream grpc.ServerStream) error {
	sum, messages := sha256.New(), 0
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%d:", len(message))
		sum.Write(message)
		messages++
	}
	about := []byte(fmt.Sprintf("%d %x", messages, sum.Sum(nil)))
	return stream.SendMsg(&about)
}

// early answers a stream when only three messages of it are there.
func early(stream grpc.ServerStream) error {
	for range 3 {
		var message []byte
		if err := stream.RecvMsg(&message); err != nil {
			return err
		}
	}
	enough := []byte("enough")
	return stream.SendMsg(&enough)
}

// talk answers each message with itself, until the caller has said all.
func talk(stream grpc.ServerStream) error {
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = stream.SendMsg(&message)
		}
		if err != nil {
			return err
		}
	}
}

// greet speaks first, and goes on for a while after the caller has said all.
func greet(stream grpc.ServerStream) error {
	hello := []byte("hello")
	if err := stream.SendMsg(&hello); err != nil {
		return err
	}
	if err := talk(stream); err != nil {
		return err
	}
	for i := range 30 {
		time.Sleep(20 * time.Millisecond)
		bye := pattern(100, i)
		if err := stream.SendMsg(&bye); err != nil {
			return err
		}
	}
	return nil
}

// observed says what became of the calls with a key: "STARTED ENDED".
func (s *server) observed(stream grpc.ServerStream) error {
	var key []byte
	if err := stream.RecvMsg(&key); err != nil {
		return err
	}
	started, ended := s.counts(string(key))
	about := []byte(fmt.Sprintf("%d %d", started, ended))
	return stream.SendMsg(&about)
}

func (s *server) drain(stream grpc.ServerStream) error {
	go s.grpc.GracefulStop() // it waits for this very call, too
	return echo(stream)
}

// pattern makes bytes that neither compress nor repeat within a frame.
func pattern(size, seed int) []byte {
	data := make([]byte, size)
	state := uint32(seed)*2654435761 + 1
	for i := range data {
		state = state*1664525 + 1013904223
		data[i] = byte(state >> 24)
	}
	return data
}
