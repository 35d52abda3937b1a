// The node: containerd, kubelet and kube-proxy below an init process of our own, in new PID, mount and network namespaces.
//
// When the init process ends, the kernel ends every process of the node (shims and containers too), and with the last of
// them go their mounts, interfaces and iptables rules. So nothing needs to be remembered to be cleaned up, not even after
// kill -9. /run starts empty as after a reboot of a machine, so containerd and the kubelet find no stale state.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	nodeInitCommand = "node-init"
	restartDelay    = time.Second
)

// nodeStart is the other end of the pipe on which the node's init process waits. Closing it early ends the node.
type nodeStart struct {
	c    *cluster
	pipe *os.File
	at   time.Time
}

// startNode starts the init process; it goes on with containerd when its network is there.
func (c *cluster) startNode() (*nodeStart, error) {
	if err := c.writeNodeConfigs(); err != nil {
		return nil, err
	}
	if err := renewCgroups(c.cgroup()); err != nil {
		return nil, err
	}
	cmd, err := c.command(component{nodeInitCommand, self(), []string{nodeInitCommand, c.Name}})
	if err != nil {
		return nil, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	cmd.ExtraFiles = []*os.File{reader}
	cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the node in namespaces of its own: %w", err)
	}
	go cmd.Wait() // nolint: see start
	started := &nodeStart{c, writer, time.Now()}
	if err := c.connectNode(cmd.Process.Pid); err != nil {
		writer.Close()
		return nil, err
	}
	return started, started.signal()
}

// signal lets the init process take its next step.
func (s *nodeStart) signal() error {
	if _, err := s.pipe.Write([]byte{1}); err != nil {
		return fmt.Errorf("the node ended early: %w\n%s", err, s.c.tail(nodeInitCommand, 15))
	}
	return nil
}

// runNodeInit is PID 1 of the node.
func runNodeInit(args []string) error {
	if os.Getpid() != 1 || len(args) != 1 {
		return errors.New("node-init is started by devcluster up only")
	}
	c, err := mustLoadCluster(args[0])
	if err != nil {
		return err
	}
	start := os.NewFile(3, "start")
	if err := awaitSignal(start); err != nil {
		return err
	}
	if err := c.setUpNodeMounts(); err != nil {
		return err
	}
	if err := c.setUpNodeNetwork(); err != nil {
		return err
	}
	children := &children{c: c, byPid: map[int]component{}}
	if err := children.start(c.containerd()); err != nil {
		return err
	}
	if err := c.awaitContainerd(); err != nil {
		return err
	}
	go children.reap() // not before: it would take the end of the import's process from the one who waits for it
	if err := awaitSignal(start); err != nil {
		return err
	}
	start.Close()
	for _, wanted := range []component{c.kubelet(), c.kubeProxy(), c.dns()} {
		if err := children.start(wanted); err != nil {
			return err
		}
	}
	select {}
}

func awaitSignal(pipe io.Reader) error {
	if _, err := io.ReadFull(pipe, make([]byte, 1)); err != nil {
		return fmt.Errorf("devcluster up ended before the node was started: %w", err)
	}
	return nil
}

// awaitContainerd also imports the pause image, which every pod needs and no registry has.
func (c *cluster) awaitContainerd() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		connection, err := net.Dial("unix", c.containerdSocket())
		if err == nil {
			connection.Close()
			return c.importImage(pauseArchive())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("containerd does not answer:\n%s", c.tail("containerd", 15))
		}
		time.Sleep(20 * time.Millisecond) // a socket that does not exist yet cannot be waited for in a better way
	}
}

func (c *cluster) importImage(archive string) error {
	cmd := exec.Command("ctr", "--address", c.containerdSocket(), "--namespace", "k8s.io", "images", "import", archive)
	cmd.Env = pathWithSystemPrograms(os.Environ())
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("import %s: %w\n%s", archive, err, output)
	}
	return nil
}

// pauseArchive is built by the launcher, beside this program.
func pauseArchive() string { return filepath.Join(filepath.Dir(self()), "pause.tar") }

// setUpNodeMounts gives the node a /proc of its PID namespace, an empty /run, and its own logs of pods. The mounts are
// slaves of the host's (nothing goes up) and shared within the node (kubelet, containerd and pods see each other's).
func (c *cluster) setUpNodeMounts() error {
	cniCache := "/var/lib/cni"
	for _, folder := range []string{c.path("node", "log"), cniCache} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	for _, mount := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"", "/", "", unix.MS_REC | unix.MS_SLAVE},
		{"", "/", "", unix.MS_REC | unix.MS_SHARED},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV},
		{"tmpfs", cniCache, "tmpfs", unix.MS_NOSUID | unix.MS_NODEV},
		{c.path("node", "log"), "/var/log", "", unix.MS_BIND},
	} {
		if err := unix.Mount(mount.source, mount.target, mount.kind, mount.flags, ""); err != nil {
			return fmt.Errorf("mount %s for the node: %w", mount.target, err)
		}
	}
	return c.linkContainerdSocket()
}

// linkContainerdSocket: the kubelet's metrics of containers look for containerd at this path alone.
func (c *cluster) linkContainerdSocket() error {
	if err := os.MkdirAll("/run/containerd", 0o755); err != nil {
		return err
	}
	return os.Symlink(c.containerdSocket(), "/run/containerd/containerd.sock")
}

// children are the node's components. One that ends is started again, as a service manager would.
type children struct {
	c     *cluster
	mutex sync.Mutex
	byPid map[int]component
}

func (ch *children) start(wanted component) error {
	ch.mutex.Lock() // until the pid is known, or reap might see the end of a process before its name
	defer ch.mutex.Unlock()
	cmd, err := ch.c.command(wanted)
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", wanted.name, err)
	}
	ch.byPid[cmd.Process.Pid] = wanted
	return nil
}

// reap collects all that ends in the node, since PID 1 inherits every orphan.
func (ch *children) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "node-init: wait: %v\n", err)
			time.Sleep(restartDelay)
			continue
		}
		ch.ended(pid, status)
	}
}

func (ch *children) ended(pid int, status syscall.WaitStatus) {
	ch.mutex.Lock()
	ended, ours := ch.byPid[pid]
	delete(ch.byPid, pid)
	ch.mutex.Unlock()
	if !ours {
		return
	}
	fmt.Fprintf(os.Stderr, "%s node-init: %s ended (exit code %d, signal %d); it is started again in %s\n",
		time.Now().Format(time.RFC3339), ended.name, status.ExitStatus(), status.Signal(), restartDelay)
	time.AfterFunc(restartDelay, func() {
		if err := ch.start(ended); err != nil {
			fmt.Fprintf(os.Stderr, "node-init: %v\n", err)
		}
	})
}
