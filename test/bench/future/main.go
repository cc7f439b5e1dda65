// Command future is a CRI runtime from the future and a kubelet that knows it: two strangers to a relay between them.
//
//	future serve -socket S    serves methods, fields, metadata and message sizes that no relay has heard of
//	future check -socket S    calls all of them and prints, for each case, what came back and what the server saw
//	future drain -socket S    makes the server stop gracefully while calls are under way, and prints how they end
//
// What `check` prints through a relay must equal what it prints on the server's own socket.  So results hold nothing
// that two honest runs could differ in: no times, no counts of a race.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("future: serve, check or drain?")
	}
	flags := flag.NewFlagSet("future "+os.Args[1], flag.ExitOnError)
	socket := flags.String("socket", "", "unix socket to serve or to call")
	window := flags.Int("window", 0, "fixed flow-control windows of this many bytes (at least 65535); 0: grpc-go's own, which grow")
	only := flags.String("case", "", "check only this case")
	_ = flags.Parse(os.Args[2:])

	if err := run(os.Args[1], *socket, int32(*window), *only); err != nil {
		log.Fatalf("future %s: %v", os.Args[1], err)
	}
}

func run(verb, socket string, window int32, only string) error {
	ctx := context.Background()
	switch verb {
	case "serve":
		return serve(socket, window)
	case "check", "drain":
		peer, err := dial(socket, window)
		if err != nil {
			return err
		}
		defer peer.connection.Close()
		battery := cases
		if verb == "drain" {
			battery = []testCase{{"drain", drain}}
		}
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", " ")
		return encoder.Encode(peer.check(ctx, battery, only))
	}
	return fmt.Errorf("no such verb")
}
