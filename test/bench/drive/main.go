// Command drive puts closed-loop CRI load on one socket and prints one line of JSON about it.
//
// Each caller makes its next call when the last one has been answered, all on one connection, as a kubelet does.
// Loads: version (a small call), bulk (a 200 KiB reply), pod (a life of seven calls), burst (N lives at once), first
// (waits until the socket answers).  -alive creates pods with a running container first and leaves them behind.
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

type options struct {
	socket  string
	mode    string
	callers int
	length  time.Duration
	count   int
	alive   int
	timeout time.Duration
}

func parse() options {
	var o options
	flag.StringVar(&o.socket, "socket", "", "unix socket to call")
	flag.StringVar(&o.mode, "mode", "version", "version | bulk | pod | burst | first")
	flag.IntVar(&o.callers, "callers", 1, "concurrent callers")
	flag.DurationVar(&o.length, "length", 5*time.Second, "how long to call; without effect if -count is given")
	flag.IntVar(&o.count, "count", 0, "this many calls or pods instead of a length of time; a burst is -callers pods")
	flag.IntVar(&o.alive, "alive", 0, "create this many containers first and leave them")
	flag.DurationVar(&o.timeout, "timeout", 0, "deadline of each call, as the kubelet sets it; 0 for none")
	flag.Parse()
	if o.mode == "burst" {
		o.count = o.callers
	}
	return o
}

func main() {
	o := parse()
	result, err := drive(context.Background(), o)
	if err != nil {
		log.Fatalf("drive: %s: %v", o.socket, err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		log.Fatalf("drive: %v", err)
	}
}

func drive(ctx context.Context, o options) (any, error) {
	if o.mode == "first" {
		return first(ctx, o)
	}
	connection, err := load.Dial(o.socket)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	kubelet := &kubelet{runtime: cri.NewRuntimeServiceClient(connection), timeout: o.timeout, prefix: fmt.Sprint(os.Getpid())}
	call, err := kubelet.load(o.mode)
	if err != nil {
		return nil, err
	}
	if err := load.Connect(ctx, kubelet.runtime); err != nil {
		return nil, err
	}
	for range o.alive {
		if _, _, err := kubelet.startPod(ctx, load.NewTimes()); err != nil {
			return nil, err
		}
	}
	plan := load.Plan{Callers: o.callers, Length: o.length, Count: o.count}
	return load.Report(o.mode, plan, load.Loop(ctx, plan, call)), nil
}
