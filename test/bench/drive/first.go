package main

import (
	"context"
	"fmt"
	"net"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"bench/load"
)

// first waits for the socket and says when the first call on it had its answer.
//
// gRPC's own waiting backs off by whole seconds, so each attempt is a connection of its own.
func first(ctx context.Context, o options) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, o.length)
	defer cancel()
	for ctx.Err() == nil {
		if probe, err := net.Dial("unix", o.socket); err == nil {
			probe.Close()
			if err = versionOnce(ctx, o.socket); err == nil {
				return map[string]any{"mode": o.mode, "unix_ns": time.Now().UnixNano()}, nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	return nil, fmt.Errorf("no answer in %v", o.length)
}

func versionOnce(ctx context.Context, socket string) error {
	connection, err := load.Dial(socket)
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = cri.NewRuntimeServiceClient(connection).Version(ctx, &cri.VersionRequest{})
	return err
}
