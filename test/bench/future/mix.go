package main

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	mixCallers = 200
	mixCalls   = 60 // of each caller
)

// kinds are the calls of the mix; each checks its own result and says what is wrong with it.
var kinds = []struct {
	name string
	call func(ctx context.Context, p *peer, number int) error
}{
	{"echo", func(ctx context.Context, p *peer, number int) error {
		return mustEcho(p.call(with(ctx, fmt.Sprintf("x-k%d", number%40), fmt.Sprint(number)), unary, futureService+"Echo", [][]byte{{byte(number)}}), 1)
	}},
	{"large echo", func(ctx context.Context, p *peer, number int) error {
		size := number * 997 % 90_000
		return mustEcho(p.call(ctx, unary, futureService+"Echo", [][]byte{pattern(size, number)}), size)
	}},
	{"failure", func(ctx context.Context, p *peer, number int) error {
		o := p.call(with(ctx, doStatus, asStatus(codes.FailedPrecondition, hardMessage)), unary, futureService+"Echo", [][]byte{{}})
		if o.Code != codes.FailedPrecondition.String() || o.Message != hardMessage || len(o.Details) != 2 {
			return fmt.Errorf("failed with %s %q", o.Code, o.Message)
		}
		return nil
	}},
	{"server stream", func(ctx context.Context, p *peer, number int) error {
		o := p.call(ctx, serverStream, futureService+"Count", [][]byte{[]byte("20 3000")})
		if o.Code != codes.OK.String() || o.Replies != 20 {
			return fmt.Errorf("%d messages, then %s %q", o.Replies, o.Code, o.Message)
		}
		return nil
	}},
	{"dialogue", func(ctx context.Context, p *peer, number int) error {
		o := p.call(ctx, bothStream, futureService+"Talk", patterns(10, number%4000))
		if o.Code != codes.OK.String() || o.Replies != 10 {
			return fmt.Errorf("%d messages, then %s %q", o.Replies, o.Code, o.Message)
		}
		return nil
	}},
	{"cancelled", func(ctx context.Context, p *peer, number int) error {
		ctx, cancel := context.WithCancel(ctx)
		cancelled := make(chan struct{})
		go func() { defer close(cancelled); cancel() }() // sometimes before, sometimes after it is sent
		o := p.call(with(ctx, doWaitMs, forever), unary, futureService+"Echo", [][]byte{pattern(number%30_000, 1)})
		<-cancelled
		if o.Code != codes.Canceled.String() {
			return fmt.Errorf("cancelled, but %s %q", o.Code, o.Message)
		}
		return nil
	}},
	{"intercepted failure", func(ctx context.Context, p *peer, number int) error {
		state := asStatus(codes.NotFound, hardMessage)
		o := p.call(with(ctx, doStatus, state), unary, runtimeService+"CreateContainer", [][]byte{marshal(createRequest(fmt.Sprint("failing-", number), number%20_000))})
		if o.Code != codes.NotFound.String() || o.Message != hardMessage || len(o.Details) != 2 {
			return fmt.Errorf("failed with %s %q", o.Code, o.Message)
		}
		return nil
	}},
	{"intercepted", func(ctx context.Context, p *peer, number int) error {
		uid := fmt.Sprint("mix-", number)
		ask := createRequest(uid, number%70_000)
		run := p.criCall(ctx, "RunPodSandbox", &cri.RunPodSandboxRequest{Config: ask.SandboxConfig})
		create := p.criCall(ctx, "CreateContainer", ask)
		remove := p.criCall(ctx, "RemovePodSandbox", &cri.RemovePodSandboxRequest{PodSandboxId: ask.PodSandboxId})
		for _, result := range []criResult{run, create, remove} {
			if result.Outcome.Code != codes.OK.String() {
				return fmt.Errorf("%s %q", result.Outcome.Code, result.Outcome.Message)
			}
		}
		if sent := short(marshal(ask)); create.Received != sent {
			return fmt.Errorf("the server received %s for %s", create.Received, sent)
		}
		return nil
	}},
}

func mustEcho(o outcome, size int) error {
	if o.Code != codes.OK.String() || len(o.replies) != 1 || len(o.replies[0]) != size {
		return fmt.Errorf("%s %q after %d replies", o.Code, o.Message, o.Replies)
	}
	return nil
}

// mix makes 12 000 calls of all kinds from 200 callers on one connection.
func mix(ctx context.Context, p *peer) any {
	var mu sync.Mutex
	var all sync.WaitGroup
	right, wrong := map[string]int{}, map[string]string{}
	for caller := range mixCallers {
		all.Go(func() {
			for turn := range mixCalls {
				number := caller*mixCalls + turn
				kind := kinds[number%len(kinds)]
				err := kind.call(ctx, p, number)
				mu.Lock()
				if err == nil {
					right[kind.name]++
				} else {
					wrong[kind.name] = err.Error()
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return map[string]any{"right": right, "wrong": wrong}
}
