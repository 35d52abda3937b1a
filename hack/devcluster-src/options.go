// The command line of the orchestrator.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

const defaultName = "homeostat"

type options struct {
	name             string
	controlPlaneOnly bool
	fakeNodes        int
	auditLog         bool
	all              bool
	args             []string
}

func parseOptions(command string, args []string) (options, error) {
	o := options{name: os.Getenv("HOMEOSTAT_CLUSTER")}
	if o.name == "" {
		o.name = defaultName
	}
	if command == "kubectl" {
		return o.withKubectlArguments(args)
	}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.name, "name", o.name, "")
	switch command {
	case "up":
		flags.BoolVar(&o.controlPlaneOnly, "control-plane-only", false, "")
		flags.IntVar(&o.fakeNodes, "fake-nodes", 3, "")
		flags.BoolVar(&o.auditLog, "audit-log", false, "")
	case "down":
		flags.BoolVar(&o.all, "all", false, "")
	}
	positional, err := parseAnywhere(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		return o, fmt.Errorf("\n%s", usage)
	}
	if err != nil {
		return o, fmt.Errorf("%s: %w; see devcluster help", command, err)
	}
	if len(positional) > 0 && command != "load" {
		return o, fmt.Errorf("%s takes no argument %q; see devcluster help", command, positional[0])
	}
	o.args = positional
	return o, checkName(o.name)
}

// parseAnywhere accepts flags after positional arguments too, as kubectl does.
func parseAnywhere(flags *flag.FlagSet, args []string) (positional []string, err error) {
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if flags.NArg() == 0 {
			return positional, nil
		}
		positional = append(positional, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// withKubectlArguments takes --name only as the first argument: all others belong to kubectl.
func (o options) withKubectlArguments(args []string) (options, error) {
	if len(args) >= 2 && args[0] == "--name" {
		o.name, args = args[1], args[2:]
	} else if len(args) >= 1 && strings.HasPrefix(args[0], "--name=") {
		o.name, args = strings.TrimPrefix(args[0], "--name="), args[1:]
	}
	o.args = args
	return o, checkName(o.name)
}

// checkName keeps names usable as a folder, a host name and a cgroup.
func checkName(name string) error {
	if name == "" || len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || name[0] == '-' {
		return fmt.Errorf("cluster name %q: use 1 to 40 of a-z, 0-9 and -", name)
	}
	return nil
}
