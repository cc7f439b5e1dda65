package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// caseDeadline ends a case that hangs; its result then differs, and says so.
const caseDeadline = 60 * time.Second

// longValue is where a header's value is told by its digest.
const longValue = 300

type peer struct {
	connection *grpc.ClientConn
	links      *links
}

type testCase struct {
	name string
	run  func(context.Context, *peer) any
}

// outcome is all that a client can see of a call.
type outcome struct {
	Code    string              `json:"code"`
	Message string              `json:"message,omitempty"`
	Details []string            `json:"details,omitempty"`
	Header  map[string][]string `json:"header,omitempty"`
	Trailer map[string][]string `json:"trailer,omitempty"`
	Replies int                 `json:"replies"`
	Digest  string              `json:"digest,omitempty"`

	replies [][]byte
}

func dial(socket string, window int32) (*peer, error) {
	links := &links{}
	options := []grpc.DialOption{
		grpc.WithStatsHandler(links),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithUserAgent("future"),
	}
	if window > 0 {
		options = append(options, grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window))
	}
	connection, err := grpc.NewClient("unix:"+socket, options...)
	return &peer{connection, links}, err
}

// verdict is a case's result, and how many connections were lost under it.
type verdict struct {
	Result any   `json:"result"`
	Lost   int64 `json:"connections_lost"`
}

// check runs the cases one after the other on one connection.
func (p *peer) check(ctx context.Context, battery []testCase, only string) map[string]verdict {
	verdicts := map[string]verdict{}
	for _, one := range battery {
		if only == "" || only == one.name {
			log.Printf("future: %s", one.name) // whoever waits for a hanging one sees which it is
			verdicts[one.name] = p.try(ctx, one)
		}
	}
	return verdicts
}

func (p *peer) try(ctx context.Context, one testCase) verdict {
	// Deadlines are the caller's to send: ours ends the case without a word to the server.
	bounded, cancel := context.WithTimeout(ctx, caseDeadline)
	defer cancel()
	p.connect(bounded)
	before := p.links.made.Load()
	result := one.run(withoutDeadline{bounded}, p)
	if one.name == "drain" { // which ends with the server gone, as it should
		return verdict{Result: result}
	}
	p.connect(bounded)
	return verdict{result, p.links.made.Load() - before}
}

// withoutDeadline is a context that ends in time but has no time to tell, so that no grpc-timeout is sent.
type withoutDeadline struct{ context.Context }

func (withoutDeadline) Deadline() (time.Time, bool) { return time.Time{}, false }

// shape is what kind of call a method is.
type shape struct{ manyAsks, manyReplies bool }

var (
	unary        = shape{}
	serverStream = shape{manyReplies: true}
	clientStream = shape{manyAsks: true}
	bothStream   = shape{manyAsks: true, manyReplies: true}
)

// with adds metadata to a call: names and values in turn.
func with(ctx context.Context, pairs ...string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

func (p *peer) open(ctx context.Context, shape shape, method string, options ...grpc.CallOption) (grpc.ClientStream, error) {
	description := &grpc.StreamDesc{ClientStreams: shape.manyAsks, ServerStreams: shape.manyReplies}
	options = append([]grpc.CallOption{grpc.ForceCodecV2(raw{"proto"})}, options...)
	return p.connection.NewStream(ctx, description, method, options...)
}

// call sends all asks, reading at the same time, and returns what it sees.
func (p *peer) call(ctx context.Context, shape shape, method string, asks [][]byte, options ...grpc.CallOption) outcome {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := p.open(ctx, shape, method, options...)
	if err != nil {
		return ended(nil, nil, err)
	}
	go func() {
		for _, ask := range asks {
			if stream.SendMsg(&ask) != nil {
				return // the reason is what the reader gets
			}
		}
		_ = stream.CloseSend()
	}()
	replies, err := readAll(stream, shape)
	return ended(stream, replies, err)
}

func readAll(stream grpc.ClientStream, shape shape) ([][]byte, error) {
	var replies [][]byte
	for {
		var message []byte
		err := stream.RecvMsg(&message)
		if errors.Is(err, io.EOF) {
			return replies, nil
		}
		if err != nil {
			return replies, err
		}
		replies = append(replies, message)
		if !shape.manyReplies {
			return replies, nil
		}
	}
}

// ended describes a call that is over.
func ended(stream grpc.ClientStream, replies [][]byte, err error) outcome {
	state := status.Convert(err)
	result := outcome{Code: state.Code().String(), Message: state.Message(), Replies: len(replies), replies: replies}
	for _, detail := range state.Proto().GetDetails() {
		result.Details = append(result.Details, detail.GetTypeUrl()+" "+encoded(detail.GetValue()))
	}
	if stream != nil {
		header, _ := stream.Header()
		result.Header, result.Trailer = printable(header), printable(stream.Trailer())
	}
	if len(replies) > 0 {
		sum := sha256.New()
		for _, reply := range replies {
			fmt.Fprintf(sum, "%d:", len(reply))
			sum.Write(reply)
		}
		result.Digest = fmt.Sprintf("%x", sum.Sum(nil))
	}
	return result
}

func printable(md metadata.MD) map[string][]string {
	texts := map[string][]string{}
	for key, values := range md {
		for _, value := range values {
			switch {
			case len(value) > longValue:
				value = fmt.Sprintf("%d bytes, sha256 %x", len(value), sha256.Sum256([]byte(value)))
			case strings.HasSuffix(key, "-bin"):
				value = encoded([]byte(value))
			}
			texts[key] = append(texts[key], value)
		}
	}
	return texts
}

// waitObserved waits until the server has seen so many calls with a key begin and end.
func (p *peer) waitObserved(ctx context.Context, key string, started, finished int) string {
	want := fmt.Sprintf("%d %d", started, finished)
	for ctx.Err() == nil {
		got := p.call(ctx, unary, futureService+"Observed", [][]byte{[]byte(key)})
		if len(got.replies) == 1 && string(got.replies[0]) == want {
			return "the server saw it"
		}
		time.Sleep(5 * time.Millisecond)
	}
	return "the server never saw " + want
}
