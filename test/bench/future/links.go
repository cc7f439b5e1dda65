package main

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/stats"
)

// links counts connections: one that is lost and made again behind our back has lost somebody's calls.
type links struct{ made atomic.Int64 }

func (*links) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (*links) HandleRPC(context.Context, stats.RPCStats)                         {}
func (*links) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (l *links) HandleConn(_ context.Context, event stats.ConnStats) {
	if _, begins := event.(*stats.ConnBegin); begins {
		l.made.Add(1)
	}
}

// connect makes the connection that the next calls use, unless it is there.
func (p *peer) connect(ctx context.Context) {
	p.connection.Connect()
	for state := p.connection.GetState(); state != connectivity.Ready; state = p.connection.GetState() {
		if !p.connection.WaitForStateChange(ctx, state) {
			return // the calls will say why
		}
	}
}
