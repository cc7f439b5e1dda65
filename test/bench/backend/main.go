// Command backend is a CRI runtime that answers at once: what is left of a call's time is transport.
//
// It keeps the pods and containers that it was told to run, so that lists and statuses are true and a relay can
// reconcile with it.  Two delays imitate the slow steps of a real runtime.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const maxMessageBytes = 64 << 20

func main() {
	socket := flag.String("socket", "", "unix socket to serve")
	create := flag.Duration("create", 0, "CreateContainer takes this long")
	start := flag.Duration("start", 0, "StartContainer takes this long")
	bulk := flag.Int("bulk", 250, "containers in the list that the filter id \"bulk\" asks for (0.8 KiB each)")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	runtime := newRuntime(delays{create: *create, start: *start}, bulkList(*bulk))
	if err := serve(ctx, *socket, runtime); err != nil {
		log.Fatalf("backend: %v", err)
	}
}

// serve answers on the socket until ctx ends; a socket file of an earlier life is replaced.
func serve(ctx context.Context, socket string, runtime *runtime) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(maxMessageBytes), grpc.MaxSendMsgSize(maxMessageBytes))
	cri.RegisterRuntimeServiceServer(server, runtime)
	cri.RegisterImageServiceServer(server, images{})
	go func() {
		<-ctx.Done()
		server.Stop()
	}()
	return server.Serve(listener)
}

// images is an image service without images.
type images struct {
	cri.UnimplementedImageServiceServer
}

func (images) ListImages(context.Context, *cri.ListImagesRequest) (*cri.ListImagesResponse, error) {
	return &cri.ListImagesResponse{}, nil
}

func (images) ImageFsInfo(context.Context, *cri.ImageFsInfoRequest) (*cri.ImageFsInfoResponse, error) {
	return &cri.ImageFsInfoResponse{}, nil
}
