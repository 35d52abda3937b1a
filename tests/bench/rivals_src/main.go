// Command rivals has what the probe benchmark needs beside the prober itself: a server to probe, Go's own client as
// the limit to compare with, and a driver for blackbox_exporter.
//
//	rivals serve DIR                     serves HTTP and HTTPS, writes ca.pem to DIR, prints {"http": port, "https": port}
//	rivals ask new|keepalive URL N CA    asks the URL N times, 64 at once; prints {"cpu_seconds", "probes"}
//	rivals drive URL N                   the same over kept connections, for a probe that another program sends
//
// %d in a URL stands for a number from 1 to 32, so that the probes go to 32 addresses.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		return serve(args[1])
	case len(args) == 5 && args[0] == "ask":
		return ask(args[2], args[3], args[1] == "keepalive", args[4])
	case len(args) == 3 && args[0] == "drive":
		return ask(args[1], args[2], true, "")
	}
	return fmt.Errorf("usage: rivals serve DIR | ask new|keepalive URL N CA | drive URL N")
}

func count(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("not a number of probes: %q", text)
	}
	return n, nil
}

func tell(facts map[string]any) error {
	return json.NewEncoder(os.Stdout).Encode(facts)
}
