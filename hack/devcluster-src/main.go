// devcluster: a real Kubernetes cluster as plain processes, for development and tests.
//
// The same binary is every component (see components.go) and the orchestrator: up, down, status, load, env.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const usage = `A real Kubernetes cluster as plain processes: no Docker, no registry.

usage: devcluster COMMAND [--name NAME] [options]

  up [--control-plane-only] [--fake-nodes N]   start the cluster, or what is missing of it; wait until it is ready
     [--audit-log]                             with a log of what ServiceAccounts ask for, beside its kubeconfig
  down [--all]                                 stop the cluster (or every cluster) and remove all it made
  status                                       components, addresses, nodes; exit code 0 only if everything runs
  load IMAGE.tar...                            import docker archives into the node's image store
  env                                          shell lines that set KUBECONFIG and PATH: eval "$(hack/devcluster env)"
  kubectl ARGS...                              kubectl against the cluster

NAME is "homeostat" unless --name or HOMEOSTAT_CLUSTER says otherwise. Each cluster has addresses, ports, folders and
namespaces of its own, so several run side by side. Without root (or with --control-plane-only) there are only the API
server, the controllers, the scheduler and fake nodes, which claim that every pod scheduled to them runs.
`

// errNotUp makes status exit with 1 without a further message: its table has said it.
var errNotUp = errors.New("not up")

func main() {
	if run, ok := components[filepath.Base(os.Args[0])]; ok {
		os.Exit(run(os.Args[1:]))
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]
	if run, ok := components[name]; ok && name != "kubectl" {
		os.Exit(run(args))
	}
	err := runCommand(name, args)
	if err == nil {
		return
	}
	if !errors.Is(err, errNotUp) {
		fmt.Fprintf(os.Stderr, "devcluster: %v\n", err)
	}
	os.Exit(1)
}

func runCommand(name string, args []string) error {
	switch name {
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	case nodeInitCommand:
		return runNodeInit(args)
	case fakeNodesCommand:
		return runFakeNodes(args)
	case dnsCommand:
		return runDNS(args)
	}
	options, err := parseOptions(name, args)
	if err != nil {
		return err
	}
	switch name {
	case "up":
		return up(options)
	case "down":
		return down(options)
	case "status":
		return status(options)
	case "load":
		return load(options)
	case "env":
		return printEnvironment(options)
	case "kubectl":
		return kubectlOn(options)
	}
	return fmt.Errorf("there is no command %q; see devcluster help", name)
}

// say prints one line of progress with the time since the program started.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(started).Seconds(), fmt.Sprintf(format, args...))
}

var started = time.Now()
