package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

var cases = slices.Concat(sizeCases(), metadataCases, statusCases(), streamCases, endCases, criCases, []testCase{{"mix of 200 callers", mix}})

// sizeCases go round the default window and the default frame size, and up to messages that fill many of both.
func sizeCases() []testCase {
	var list []testCase
	for _, size := range []int{0, 1, 5, 16379, 16384, 16385, 65530, 65535, 65536, 300_000, 1 << 20, 32 << 20} {
		list = append(list, testCase{fmt.Sprintf("unary %d bytes", size), func(ctx context.Context, p *peer) any {
			return p.call(ctx, unary, futureService+"Echo", [][]byte{pattern(size, size)})
		}})
	}
	return list
}

func echoWith(pairs func() []string, options ...grpc.CallOption) func(context.Context, *peer) any {
	return func(ctx context.Context, p *peer) any {
		return p.call(with(ctx, pairs()...), unary, futureService+"Echo", [][]byte{[]byte("ask")}, options...)
	}
}

func pairs(texts ...string) func() []string { return func() []string { return texts } }

var metadataCases = []testCase{
	{"metadata binary", echoWith(func() []string {
		every := make([]byte, 256)
		for i := range every {
			every[i] = byte(i)
		}
		return []string{"x-every-bin", string(every), "x-nothing-bin", "", "x-zero-bin", "\x00"}
	})},
	{"metadata repeated", echoWith(pairs("x-same", "one", "x-same", "two", "x-same", "one", "x-empty", "", "x-list", "a, b,c"))},
	{"metadata 100 KiB", echoWith(pairs("x-long", strings.Repeat("long value ", 9_000)))},
	{"metadata 300 fields", echoWith(func() []string {
		var many []string
		for i := range 300 {
			many = append(many, fmt.Sprintf("x-field-%03d", i), strings.Repeat("v", i%60))
		}
		return many
	})},
	{"metadata new in each of 500 calls", func(ctx context.Context, p *peer) any {
		var last outcome
		for i := range 500 {
			name := fmt.Sprintf("x-turn-%d", i%90)
			last = p.call(with(ctx, name, fmt.Sprint(i)), unary, futureService+"Echo", [][]byte{[]byte(name)})
		}
		return last
	}},
	{"content subtype of the future", echoWith(pairs(), grpc.ForceCodecV2(raw{"cbor-2031"}))},
	{"gzip", func(ctx context.Context, p *peer) any {
		ask := bytes.Repeat([]byte("squeeze"), 20_000)
		return p.call(ctx, unary, futureService+"Echo", [][]byte{ask}, grpc.UseCompressor(gzip.Name))
	}},
	{"far deadline", func(ctx context.Context, p *peer) any {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 90*time.Minute)
		defer cancel()
		return p.call(ctx, unary, futureService+"Echo", [][]byte{[]byte("ask")})
	}},
	{"unknown method", func(ctx context.Context, p *peer) any {
		return p.call(ctx, unary, futureService+"NotYet", [][]byte{[]byte("ask")})
	}},
	{"unknown method of CRI", func(ctx context.Context, p *peer) any {
		return p.call(ctx, bothStream, runtimeService+"TeleportContainer", [][]byte{[]byte("ask"), []byte("and more")})
	}},
}

// asStatus is the value of doStatus: a status with details that need no registry of types.
func asStatus(code codes.Code, message string) string {
	detail, _ := anypb.New(wrapperspb.Bytes([]byte("\x00\xff details")))
	strange := &anypb.Any{TypeUrl: "future.example/v9.Unheard", Value: []byte{1, 2, 3}}
	text, _ := proto.Marshal(&spb.Status{Code: int32(code), Message: message, Details: []*anypb.Any{detail, strange}})
	return string(text)
}

const hardMessage = "no: 100% of \u20ac 5 \U0001f6ab\nsecond line\t%41"

func statusCases() []testCase {
	var list []testCase
	add := func(name string, shape shape, method string, asks [][]byte, pairs ...string) {
		list = append(list, testCase{name, func(ctx context.Context, p *peer) any {
			return p.call(with(ctx, pairs...), shape, method, asks)
		}})
	}
	ask := [][]byte{[]byte("ask")}
	for _, code := range []codes.Code{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 99} {
		state := asStatus(code, hardMessage)
		add(fmt.Sprintf("status %d before the request", code), unary, futureService+"Echo", ask, doEarly, "yes", doStatus, state, "x-a", "b")
		add(fmt.Sprintf("status %d after the reply", code), unary, futureService+"Echo", ask, doStatus, state)
	}
	add("status with a long message", unary, futureService+"Echo", ask, doStatus, asStatus(codes.Aborted, strings.Repeat(hardMessage, 200)))
	add("status after 100 messages", serverStream, futureService+"Count", [][]byte{[]byte("100 500")}, doStatus, asStatus(codes.OutOfRange, "enough"))
	add("status before a stream", bothStream, futureService+"Talk", ask, doEarly, "yes", doStatus, asStatus(codes.PermissionDenied, "not you"))
	add("status after a dialogue", bothStream, futureService+"Talk", ask, doStatus, asStatus(codes.Internal, "at last"))
	return list
}
