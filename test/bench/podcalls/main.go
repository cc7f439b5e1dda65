// Command podcalls lets pods live in a real runtime, a few at a time, and prints one line of JSON about it.
//
// A life is seven calls, as a kubelet makes them: run, create, start, stop, remove, stop, remove; with -keep the pods
// stay and it is three.  Beside them, on the same connection, somebody asks for the version again and again.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"time"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"bench/load"
)

const pauseBeside = 10 * time.Millisecond // more would be a load of its own

type options struct {
	socket  string
	image   string
	parent  string
	pods    int
	callers int
	keep    bool
	special string
	every   int
}

func parse() options {
	var o options
	flag.StringVar(&o.socket, "socket", "", "unix socket to call")
	flag.StringVar(&o.image, "image", "", "image of the containers, which has `sleep`")
	flag.StringVar(&o.parent, "parent", "/kubepods", "control group of the pods")
	flag.IntVar(&o.pods, "pods", 32, "how many pods live, or are left")
	flag.IntVar(&o.callers, "callers", 8, "how many live at once")
	flag.BoolVar(&o.keep, "keep", false, "leave them running")
	flag.StringVar(&o.special, "special", "", "alone: some want a CPU for themselves; wide: some want more memory than there is")
	flag.IntVar(&o.every, "every", 0, "each how manieth pod is special; 0 for none")
	flag.Parse()
	return o
}

func main() {
	o := parse()
	result, err := drive(context.Background(), o)
	if err != nil {
		log.Fatalf("podcalls: %s: %v", o.socket, err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatalf("podcalls: %v", err)
	}
}

func drive(ctx context.Context, o options) (any, error) {
	connection, err := load.Dial(o.socket)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	runtime := cri.NewRuntimeServiceClient(connection)
	if err := load.Connect(ctx, runtime); err != nil {
		return nil, err
	}
	special, known := specials[o.special]
	if !known {
		return nil, fmt.Errorf("no pod is called %q", o.special)
	}
	pods := &pods{options: o, special: special, runtime: runtime, prefix: fmt.Sprint(os.Getpid())}
	ended, beside := make(chan struct{}), make(chan *load.Times)
	go func() { beside <- versions(ctx, runtime, ended) }()
	plan := load.Plan{Callers: o.callers, Count: o.pods}
	outcome := load.Loop(ctx, plan, pods.live)
	close(ended)
	outcome.Add(<-beside)
	return load.Report("pods", plan, outcome), nil
}

// versions asks for the version until the others have ended.
func versions(ctx context.Context, runtime cri.RuntimeServiceClient, ended <-chan struct{}) *load.Times {
	times := load.NewTimes()
	for {
		select {
		case <-ended:
			return times
		case <-time.After(pauseBeside):
			if _, err := load.Timed(ctx, times, "Version", 0, runtime.Version, &cri.VersionRequest{}); err != nil {
				times.Fail(err)
				return times
			}
		}
	}
}
