// Starting, finding and ending the processes of a cluster.
//
// Each carries its cluster's folder and its component's name in its environment. They are found by these, not by a file of
// pids: such a file is wrong after a crash between fork and write, and after a pid is used again. Signals go through a
// pidfd that was opened before the environment was read, so they cannot reach another process.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	folderVariable    = "HOMEOSTAT_DEVCLUSTER_FOLDER"
	componentVariable = "HOMEOSTAT_DEVCLUSTER_COMPONENT"
)

// component is a program to run: usually this binary, under the name of a component.
type component struct {
	name    string
	program string
	args    []string
}

type process struct {
	pid       int
	component string
}

func (c *cluster) logFile(component string) string { return c.path("logs", component+".log") }

// command gives a component its marks and its log file; args[0] is what a user sees in ps.
func (c *cluster) command(wanted component) (*exec.Cmd, error) {
	if err := os.MkdirAll(c.path("logs"), 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(c.logFile(wanted.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(wanted.program, wanted.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = c.folder()
	cmd.Env = append(pathWithSystemPrograms(environmentWithoutMarks()), folderVariable+"="+c.folder(), componentVariable+"="+wanted.name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, nil
}

// environmentWithoutMarks also drops what would steer a component by accident.
func environmentWithoutMarks() []string {
	var kept []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if name != folderVariable && name != componentVariable && name != "KUBECONFIG" && !strings.HasPrefix(name, "ETCD_") {
			kept = append(kept, pair)
		}
	}
	return kept
}

// pathWithSystemPrograms: iptables and runc are in folders that are not always on a user's PATH.
func pathWithSystemPrograms(environment []string) []string {
	return append(environment, "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")
}

// start runs a component in the background and leaves it behind when this program ends.
func (c *cluster) start(wanted component) error {
	cmd, err := c.command(wanted)
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", wanted.name, err)
	}
	go cmd.Wait() // nolint: a component that ends early must not stay a zombie; its absence is what counts
	return nil
}

// processes returns the cluster's processes of any component, started by us or by one of them.
func processes(folder string) []process {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var found []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if name, ok := componentOf(pid, folder); ok {
			found = append(found, process{pid, name})
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].pid < found[j].pid })
	return found
}

// componentOf reads the environment the process was started with. Those of other users, and zombies, have none for us.
func componentOf(pid int, folder string) (string, bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", false
	}
	name, ours := "", false
	for _, pair := range bytes.Split(data, []byte{0}) {
		key, value, _ := strings.Cut(string(pair), "=")
		switch key {
		case folderVariable:
			ours = value == folder
		case componentVariable:
			name = value
		}
	}
	return name, ours
}

// running returns the pid of each component: the first process that bears its name.
func (c *cluster) running() map[string]int {
	pids := map[string]int{}
	for _, found := range processes(c.folder()) {
		if _, known := pids[found.component]; !known {
			pids[found.component] = found.pid
		}
	}
	return pids
}

// stopProcesses kills until none is left: a process may have forked between our look and its end.
func stopProcesses(folder string) error {
	deadline := time.Now().Add(20 * time.Second)
	for {
		found := processes(folder)
		if len(found) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s (pid %d) does not end", found[0].component, found[0].pid)
		}
		if err := killAndWait(found, folder, deadline); err != nil {
			return err
		}
	}
}

func killAndWait(found []process, folder string, deadline time.Time) error {
	var waiting []unix.PollFd
	for _, target := range found {
		handle, err := unix.PidfdOpen(target.pid, 0)
		if errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return fmt.Errorf("open pid %d: %w", target.pid, err)
		}
		defer unix.Close(handle)
		if _, ours := componentOf(target.pid, folder); !ours {
			continue
		}
		if err := unix.PidfdSendSignal(handle, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill %s (pid %d): %w", target.component, target.pid, err)
		}
		waiting = append(waiting, unix.PollFd{Fd: int32(handle), Events: unix.POLLIN})
	}
	return awaitExit(waiting, deadline)
}

func awaitExit(waiting []unix.PollFd, deadline time.Time) error {
	for _, one := range waiting {
		for {
			left := time.Until(deadline).Milliseconds()
			_, err := unix.Poll([]unix.PollFd{one}, int(max(left, 0)))
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil {
				return fmt.Errorf("wait for a process to end: %w", err)
			}
			break
		}
	}
	return nil
}

// tail returns the last lines of a component's log, for the message of a failure.
func (c *cluster) tail(component string, lines int) string {
	data, err := os.ReadFile(c.logFile(component))
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
