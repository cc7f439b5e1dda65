package load

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	maxMessageBytes = 64 << 20
	connectTimeout  = 20 * time.Second
)

// Dial makes a client of a unix socket, as a kubelet does: one connection, messages of any size.
func Dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)))
}

// Connect makes the connection before anything is measured.
func Connect(ctx context.Context, runtime cri.RuntimeServiceClient) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	_, err := runtime.Version(ctx, &cri.VersionRequest{}, grpc.WaitForReady(true))
	return err
}

// Timed makes one call and notes how long it took if it succeeded; a timeout of 0 is none.
func Timed[Ask, Reply any](
	ctx context.Context, times *Times, name string, timeout time.Duration,
	method func(context.Context, Ask, ...grpc.CallOption) (Reply, error), ask Ask,
) (Reply, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	begin := time.Now()
	reply, err := method(ctx, ask)
	if err != nil {
		return reply, fmt.Errorf("%s: %w", name, err)
	}
	times.Note(name, time.Since(begin))
	return reply, nil
}
