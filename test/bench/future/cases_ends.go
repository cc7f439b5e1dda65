package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/status"
)

const (
	forever       = "600000" // ms
	shortDeadline = 200 * time.Millisecond
)

// Of a call that its own caller ends, only the code is told: whose word for it arrives first is a race.
type ending struct {
	Code     string `json:"code"`
	Observed string `json:"observed"`
}

var endCases = []testCase{
	{"deadline of a call", func(ctx context.Context, p *peer) any {
		return p.timedOut(ctx, unary, futureService+"Echo", "a-deadline")
	}},
	{"deadline of a stream", func(ctx context.Context, p *peer) any {
		return p.timedOut(ctx, bothStream, futureService+"Talk", "b-deadline")
	}},
	{"deadline of an intercepted call", func(ctx context.Context, p *peer) any {
		return p.timedOut(ctx, unary, runtimeService+"StartContainer", "c-deadline")
	}},
	{"cancel of a call", func(ctx context.Context, p *peer) any {
		return p.cancelled(ctx, unary, futureService+"Echo", "a-cancel")
	}},
	{"cancel of a stream", func(ctx context.Context, p *peer) any {
		return p.cancelled(ctx, serverStream, futureService+"Count", "b-cancel")
	}},
	{"cancel of an intercepted call", func(ctx context.Context, p *peer) any {
		return p.cancelled(ctx, unary, runtimeService+"StartContainer", "c-cancel")
	}},
	{"cancel of a stream that flows", cancelFlowing},
	{"cancel of 50 calls at once", cancelMany},
}

func (p *peer) timedOut(ctx context.Context, shape shape, method, key string) ending {
	key = unique(key)
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shortDeadline)
	defer cancel()
	o := p.call(with(bounded, doKey, key, doWaitMs, forever), shape, method, [][]byte{{}})
	return ending{o.Code, p.waitObserved(ctx, key, 1, 1)}
}

func (p *peer) cancelled(ctx context.Context, shape shape, method, key string) ending {
	key = unique(key)
	calling, cancel := context.WithCancel(ctx)
	result := make(chan outcome, 1)
	go func() { result <- p.call(with(calling, doKey, key, doWaitMs, forever), shape, method, [][]byte{{}}) }()
	begun := p.waitObserved(ctx, key, 1, 0)
	cancel()
	return ending{(<-result).Code, begun + ", " + p.waitObserved(ctx, key, 1, 1)}
}

// cancelFlowing turns away in the middle of a flood, which must not cost the connection its window.
func cancelFlowing(ctx context.Context, p *peer) any {
	key := unique("d-cancel")
	calling, cancel := context.WithCancel(with(ctx, doKey, key))
	defer cancel()
	stream, err := p.open(calling, bothStream, futureService+"Count")
	if err != nil {
		return ended(nil, nil, err)
	}
	ask := []byte("100000 20000")
	_ = stream.SendMsg(&ask)
	for range 20 {
		var reply []byte
		if err := stream.RecvMsg(&reply); err != nil {
			return ended(stream, nil, err)
		}
	}
	cancel()
	for err == nil {
		var reply []byte
		err = stream.RecvMsg(&reply)
	}
	after := p.call(ctx, unary, futureService+"Echo", [][]byte{pattern(1<<20, 1)})
	return map[string]any{"ending": ending{status.Code(err).String(), p.waitObserved(ctx, key, 1, 1)}, "after": after}
}

func cancelMany(ctx context.Context, p *peer) any {
	const calls = 50
	key := unique("e-cancel")
	calling, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	var all sync.WaitGroup
	ends := map[string]int{}
	for range calls {
		all.Go(func() {
			o := p.call(with(calling, doKey, key, doWaitMs, forever), unary, futureService+"Echo", [][]byte{{}})
			mu.Lock()
			defer mu.Unlock()
			ends[o.Code]++
		})
	}
	begun := p.waitObserved(ctx, key, calls, 0)
	cancel()
	all.Wait()
	return map[string]any{"codes": ends, "observed": begun + ", " + p.waitObserved(ctx, key, calls, calls)}
}

// drain asks the server to stop while calls and a stream are under way; all of them must end well, later ones must not.
func drain(ctx context.Context, p *peer) any {
	const calls = 20
	key := unique("drain")
	var mu sync.Mutex
	var all sync.WaitGroup
	ends := map[string]int{}
	note := func(o outcome) {
		mu.Lock()
		defer mu.Unlock()
		ends[fmt.Sprintf("%s after %d replies", o.Code, o.Replies)]++
	}
	for i := range calls {
		method := []string{futureService + "Echo", runtimeService + "StartContainer"}[i%2]
		all.Go(func() { note(p.call(with(ctx, doKey, key, doWaitMs, "1500"), unary, method, [][]byte{{}})) })
	}
	all.Go(func() { note(p.call(with(ctx, doKey, key), bothStream, futureService+"Greet", nil)) })
	begun := p.waitObserved(ctx, key, calls+1, 0)
	asked := p.call(ctx, unary, futureService+"Drain", [][]byte{{}})
	all.Wait()
	late := p.call(ctx, unary, futureService+"Echo", [][]byte{{}})
	return map[string]any{"observed": begun, "asked": asked.Code, "ends": ends, "late": late.Code}
}

// unique keeps keys of several clients of one server apart.
func unique(key string) string { return fmt.Sprintf("%s-%d", key, time.Now().UnixNano()) }
