package main

import (
	"context"
	"errors"
	"io"
)

var streamCases = []testCase{
	{"server stream of 2000 small messages", func(ctx context.Context, p *peer) any {
		return p.call(ctx, serverStream, futureService+"Count", [][]byte{[]byte("2000 10")})
	}},
	{"server stream of 60 large messages", func(ctx context.Context, p *peer) any {
		return p.call(ctx, serverStream, futureService+"Count", [][]byte{[]byte("60 200000")})
	}},
	{"server stream of CRI events", func(ctx context.Context, p *peer) any {
		return p.call(ctx, serverStream, runtimeService+"GetContainerEvents", [][]byte{[]byte("300 400")})
	}},
	{"client stream of 1000 messages", func(ctx context.Context, p *peer) any {
		return said(p.call(ctx, clientStream, futureService+"Digest", patterns(1000, 700)))
	}},
	{"client stream of nothing", func(ctx context.Context, p *peer) any {
		return said(p.call(ctx, clientStream, futureService+"Digest", nil))
	}},
	{"client stream answered early", func(ctx context.Context, p *peer) any {
		return said(p.call(ctx, clientStream, futureService+"Early", patterns(3000, 5000)))
	}},
	{"dialogue of 300 turns", dialogue},
	{"dialogue of floods", func(ctx context.Context, p *peer) any {
		return p.call(ctx, bothStream, futureService+"Talk", patterns(400, 20_000))
	}},
	{"dialogue that the server opens", serverOpens},
}

// said adds the one reply to an outcome, where it is a text.
func said(o outcome) any {
	if len(o.replies) != 1 {
		return o
	}
	return map[string]any{"outcome": o, "reply": string(o.replies[0])}
}

func patterns(n, size int) [][]byte {
	list := make([][]byte, n)
	for i := range list {
		list[i] = pattern(size+i%61, i)
	}
	return list
}

// dialogue waits for each answer before it says the next thing.
func dialogue(ctx context.Context, p *peer) any {
	stream, err := p.open(ctx, bothStream, futureService+"Talk")
	if err != nil {
		return ended(nil, nil, err)
	}
	var replies [][]byte
	for _, ask := range patterns(300, 100) {
		if err := stream.SendMsg(&ask); err != nil && !errors.Is(err, io.EOF) {
			return ended(stream, replies, err)
		}
		var reply []byte
		if err := stream.RecvMsg(&reply); err != nil {
			return ended(stream, replies, err)
		}
		replies = append(replies, reply)
	}
	_ = stream.CloseSend()
	rest, err := readAll(stream, bothStream)
	return ended(stream, append(replies, rest...), err)
}

// serverOpens says nothing before the server has spoken, and listens on after the last word of its own.
func serverOpens(ctx context.Context, p *peer) any {
	stream, err := p.open(ctx, bothStream, futureService+"Greet")
	if err != nil {
		return ended(nil, nil, err)
	}
	var hello []byte
	if err := stream.RecvMsg(&hello); err != nil {
		return ended(stream, nil, err)
	}
	ask := []byte("how are you")
	_ = stream.SendMsg(&ask)
	_ = stream.CloseSend()
	rest, err := readAll(stream, bothStream)
	return ended(stream, append([][]byte{hello}, rest...), err)
}
