package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	maxMessageBytes = 64 << 20
	futureService   = "/runtime.v9.FutureService/"
	runtimeService  = "/runtime.v1.RuntimeService/"
)

// Metadata by which a caller says how any method is to behave.
const (
	doStatus = "do-status-bin" // end with this google.rpc.Status, after the replies
	doEarly  = "do-early"      // end before anything is read
	doWaitMs = "do-wait-ms"    // wait so long before anything is sent
	doKey    = "do-key"        // remember under this key what became of the call
)

type server struct {
	grpc *grpc.Server

	mu      sync.Mutex
	started map[string]int
	ended   map[string]int
}

// serve answers until SIGTERM or the method Drain, then lets the calls under way finish.
func serve(socket string, window int32) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	s := &server{started: map[string]int{}, ended: map[string]int{}}
	options := []grpc.ServerOption{
		grpc.UnknownServiceHandler(s.handle), grpc.ForceServerCodecV2(raw{"proto"}),
		grpc.MaxRecvMsgSize(maxMessageBytes), grpc.MaxSendMsgSize(maxMessageBytes),
	}
	if window > 0 {
		options = append(options, grpc.StaticStreamWindowSize(window), grpc.StaticConnWindowSize(window))
	}
	s.grpc = grpc.NewServer(options...)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	go func() {
		<-ctx.Done()
		s.grpc.GracefulStop()
	}()
	return s.grpc.Serve(listener)
}

// handle serves every method there is, and says in headers and trailers what it has seen of the call.
func (s *server) handle(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	asked, _ := metadata.FromIncomingContext(stream.Context())
	if err := stream.SetHeader(seen(stream.Context(), asked)); err != nil {
		return err
	}
	stream.SetTrailer(reflected("end-", asked))
	key := first(asked, doKey)
	s.count(s.started, key)
	err := s.behave(method, stream, asked)
	if stream.Context().Err() != nil {
		s.count(s.ended, key)
	}
	return err
}

func (s *server) behave(method string, stream grpc.ServerStream, asked metadata.MD) error {
	wanted := wantedStatus(asked)
	if first(asked, doEarly) != "" {
		return wanted
	}
	if err := wait(stream.Context(), first(asked, doWaitMs)); err != nil {
		return err
	}
	handler, known := s.methods()[method]
	if !known {
		return status.Errorf(codes.Unimplemented, "%s is not even in the future", method)
	}
	if err := handler(stream); err != nil {
		return err
	}
	return wanted
}

func wait(ctx context.Context, text string) error {
	ms, _ := strconv.Atoi(text)
	if ms == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return nil
	}
}

// wantedStatus is nil unless the caller asked for an end that is not OK.
func wantedStatus(asked metadata.MD) error {
	var wanted spb.Status
	if err := proto.Unmarshal([]byte(first(asked, doStatus)), &wanted); err != nil {
		return status.Errorf(codes.DataLoss, "%s: %v", doStatus, err)
	}
	return status.ErrorProto(&wanted)
}

// seen is the call as the server knows it: metadata, and the deadline in minutes (the rest is travelling time).
func seen(ctx context.Context, asked metadata.MD) metadata.MD {
	header := reflected("seen-", asked)
	header.Set("seen-deadline", "none")
	if at, has := ctx.Deadline(); has {
		header.Set("seen-deadline", fmt.Sprintf("%.0f min", time.Until(at).Minutes()))
	}
	return header
}

// reflected gives back all metadata under other names; what the caller wants done is no news to it.
func reflected(prefix string, asked metadata.MD) metadata.MD {
	back := metadata.MD{}
	for key, values := range asked {
		if !strings.HasPrefix(key, "do-") {
			back[prefix+strings.TrimPrefix(key, ":")] = values
		}
	}
	return back
}

func first(asked metadata.MD, key string) string {
	if values := asked.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (s *server) count(counts map[string]int, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts[key]++
}

// counts says how many calls with a key have begun, and how many of them were cancelled or timed out.
func (s *server) counts(key string) (int, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started[key], s.ended[key]
}

func encoded(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
