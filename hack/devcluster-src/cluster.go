// A cluster: what is fixed when it is first brought up, and where its files are.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// cluster is written to cluster.json before anything is started, so that every later command finds the same addresses.
type cluster struct {
	Name             string `json:"name"`
	ControlPlaneOnly bool   `json:"controlPlaneOnly"`
	FakeNodes        int    `json:"fakeNodes,omitempty"`
	AuditLog         bool   `json:"auditLog,omitempty"`
	// Index picks the address ranges of a cluster with a real node.
	Index          int `json:"index"`
	EtcdClientPort int `json:"etcdClientPort"`
	EtcdPeerPort   int `json:"etcdPeerPort"`
	APIServerPort  int `json:"apiServerPort"`
}

const (
	lowestPort = 20000
	portRange  = 12000
)

// The longest Unix socket below a cluster's folder has 38 characters, and a socket's path may have 107.
const longestFolder = 107 - 38

func stateFolder() (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no place for the state of clusters: set HOME or XDG_STATE_HOME: %w", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Abs(filepath.Join(base, "homeostat", "clusters"))
}

func folderOf(name string) (string, error) {
	base, err := stateFolder()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(base, name)
	if len(folder) > longestFolder {
		return "", fmt.Errorf("the path %s is too long for Unix sockets below it: use a shorter XDG_STATE_HOME", folder)
	}
	return folder, nil
}

func (c *cluster) folder() string {
	folder, err := folderOf(c.Name)
	if err != nil {
		panic(err) // a cluster is only made by functions that checked its folder
	}
	return folder
}

func (c *cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.folder()}, parts...)...)
}

func (c *cluster) kubeconfig() string { return c.path("kubeconfig") }
func (c *cluster) nodeName() string   { return c.Name + "-node" }

// loadCluster returns nil when there is no such cluster.
func loadCluster(name string) (*cluster, error) {
	folder, err := folderOf(name)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(folder, "cluster.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := &cluster{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("%s/cluster.json: %w", folder, err)
	}
	return c, nil
}

func mustLoadCluster(name string) (*cluster, error) {
	c, err := loadCluster(name)
	if err == nil && c == nil {
		err = fmt.Errorf("there is no cluster %q; start it: devcluster up --name %s", name, name)
	}
	return c, err
}

func clusterNames() ([]string, error) {
	base, err := stateFolder()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	sort.Strings(names)
	return names, err
}

// createCluster picks addresses that nobody on this machine uses and writes them down. The caller holds the lock of all clusters.
func createCluster(o options, controlPlaneOnly bool) (*cluster, error) {
	c := &cluster{Name: o.name, ControlPlaneOnly: controlPlaneOnly, AuditLog: o.auditLog, APIServerPort: 6443}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	c.EtcdClientPort, c.EtcdPeerPort = ports[0], ports[1]
	if controlPlaneOnly {
		c.FakeNodes, c.APIServerPort = o.fakeNodes, ports[2]
	} else if c.Index, err = claimIndex(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.folder(), 0o700); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	return c, writeFile(c.path("cluster.json"), append(data, '\n'))
}

// freePorts tries ports below those that the kernel gives to outgoing connections, which might take one while the cluster is
// down for a moment. It holds each open until the last is known, so that they differ.
func freePorts(count int) ([]int, error) {
	taken := map[int]bool{}
	for _, c := range knownClusters() {
		taken[c.EtcdClientPort], taken[c.EtcdPeerPort], taken[c.APIServerPort] = true, true, true
	}
	var ports []int
	for len(ports) < count {
		port := lowestPort + rand.IntN(portRange)
		if taken[port] {
			continue
		}
		taken[port] = true
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			defer listener.Close()
			ports = append(ports, port)
		} else if len(taken) > portRange/2 {
			return nil, fmt.Errorf("no free port on 127.0.0.1: %w", err)
		}
	}
	return ports, nil
}

func knownClusters() []*cluster {
	names, _ := clusterNames()
	var known []*cluster
	for _, name := range names {
		if c, err := loadCluster(name); err == nil && c != nil {
			known = append(known, c)
		}
	}
	return known
}

// lock takes an exclusive lock on a file beside the clusters' folders; it ends with the process at the latest. The file
// stays: removing a lock file that another process waits for would give two processes the lock.
func lock(name string) (unlock func(), err error) {
	base, err := stateFolder()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(base, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(base, "."+name+".lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		say("another devcluster command works on %s; waiting for it", strings.TrimPrefix(name, "cluster-"))
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return func() { file.Close() }, nil
}

// writeFile replaces a file in one step: a reader, or the next up after a crash, sees the old or the new one.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}
