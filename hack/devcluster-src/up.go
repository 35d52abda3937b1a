// devcluster up: start what is missing, in the order in which the parts need each other, and wait until it works.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const readyTimeout = 90 * time.Second

func up(o options) error {
	unlock, err := lock("cluster-" + o.name)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := loadOrCreate(o)
	if err != nil {
		return err
	}
	if problem := c.problem(); problem == "" {
		say("%s is up already", c.Name)
		return nil
	}
	if err := c.bringUp(); err != nil {
		return err
	}
	say("%s is up; use it: eval \"$(hack/devcluster env%s)\"", c.Name, nameFlag(c.Name))
	return nil
}

func nameFlag(name string) string {
	if name == defaultName {
		return ""
	}
	return " --name " + name
}

func loadOrCreate(o options) (*cluster, error) {
	controlPlaneOnly := o.controlPlaneOnly
	if reason := cannotRunNode(); reason != "" && !controlPlaneOnly {
		say("%s: the cluster gets fake nodes instead of a real one", reason)
		controlPlaneOnly = true
	}
	c, err := loadCluster(o.name)
	if err != nil {
		return nil, err
	}
	if c != nil && c.ControlPlaneOnly != controlPlaneOnly {
		return nil, fmt.Errorf("cluster %s exists with control-plane-only=%t; use the same, another --name, or take it down first",
			c.Name, c.ControlPlaneOnly)
	}
	if c != nil {
		return c, nil
	}
	unlock, err := lock("all")
	if err != nil {
		return nil, err
	}
	defer unlock()
	return createCluster(o, controlPlaneOnly)
}

// cannotRunNode says why this process may not make namespaces, mounts and network devices, or nothing.
func cannotRunNode() string {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return "capabilities are unknown (" + err.Error() + ")"
	}
	if os.Geteuid() != 0 {
		return "not root"
	}
	for name, bit := range map[string]uint{"CAP_SYS_ADMIN": unix.CAP_SYS_ADMIN, "CAP_NET_ADMIN": unix.CAP_NET_ADMIN} {
		if sets[0].Effective&(1<<bit) == 0 {
			return "no " + name
		}
	}
	return ""
}

func (c *cluster) bringUp() error {
	if err := c.makeCredentials(); err != nil {
		return err
	}
	if err := c.linkKubectl(); err != nil {
		return err
	}
	if err := c.writeAuditPolicy(); err != nil {
		return err
	}
	if !c.ControlPlaneOnly {
		if err := c.addHostAddress(netlink.AddrReplace); err != nil {
			return err
		}
	}
	running := c.running()
	if err := c.startMissing(running, c.etcd(), c.apiServer()); err != nil {
		return err
	}
	var node *nodeStart
	if !c.ControlPlaneOnly && running[nodeInitCommand] == 0 {
		var err error
		if node, err = c.startNode(); err != nil {
			return err
		}
		defer node.pipe.Close()
	}
	if err := c.await("the API server", c.apiServerProblem, "etcd", "kube-apiserver"); err != nil {
		return err
	}
	say("the API server is ready")
	return c.bringUpRest(running, node)
}

func (c *cluster) bringUpRest(running map[string]int, node *nodeStart) error {
	if err := c.startMissing(running, c.controllerManager(), c.scheduler()); err != nil {
		return err
	}
	if node != nil {
		if err := node.signal(); err != nil {
			return err
		}
	}
	needed := []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", nodeInitCommand}
	if c.ControlPlaneOnly {
		needed[4] = fakeNodesCommand
		if err := c.startMissing(running, c.fakeNodes()); err != nil {
			return err
		}
	}
	problem := c.clusterProblem
	if node != nil {
		problem = func(ctx context.Context) string { return c.startedNodeProblem(ctx, node.at) }
	}
	return c.await("the cluster", problem, needed...)
}

func (c *cluster) startMissing(running map[string]int, wanted ...component) error {
	for _, one := range wanted {
		if running[one.name] != 0 {
			continue
		}
		if err := c.start(one); err != nil {
			return err
		}
	}
	return nil
}

// await asks for the problem until there is none; it gives up early when a needed component has ended.
func (c *cluster) await(what string, problem func(context.Context) string, needed ...string) error {
	deadline := time.Now().Add(readyTimeout)
	for attempt := 0; ; attempt++ {
		seen := c.askFor(problem)
		if seen == "" {
			return nil
		}
		if attempt%10 == 9 {
			if ended := c.firstMissing(needed); ended != "" {
				return fmt.Errorf("%s ended; the end of %s:\n%s", ended, c.logFile(ended), c.tail(ended, 15))
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %s: %s; logs are in %s", what, readyTimeout, seen, c.path("logs"))
		}
		time.Sleep(50 * time.Millisecond) // before the API server answers there is nothing to watch
	}
}

func (c *cluster) askFor(problem func(context.Context) string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return problem(ctx)
}

func (c *cluster) firstMissing(needed []string) string {
	running := c.running()
	for _, name := range needed {
		if running[name] == 0 {
			return name
		}
	}
	return ""
}

// linkKubectl makes the folder that devcluster env puts on PATH.
func (c *cluster) linkKubectl() error {
	link := c.path("bin", "kubectl")
	if err := os.MkdirAll(c.path("bin"), 0o700); err != nil {
		return err
	}
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(self(), link)
}
