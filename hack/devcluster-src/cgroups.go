// The cgroup below which the node's pods run: made on every mounted hierarchy, since the kubelet wants it to exist.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupMounts returns the root folder of each hierarchy: one for cgroup v2, one a controller for v1.
func cgroupMounts() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var roots []string
	for _, line := range strings.Split(string(data), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") {
			roots = append(roots, fields[1])
		}
	}
	return roots, nil
}

// renewCgroups also removes those of pods that a node before this one left: the kubelet would take seconds over each.
func renewCgroups(name string) error {
	if err := removeCgroups(name); err != nil {
		return err
	}
	return makeCgroups(name)
}

func makeCgroups(name string) error {
	roots, err := cgroupMounts()
	if err != nil {
		return err
	}
	for _, root := range roots {
		folder := filepath.Join(root, name)
		if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make the cgroup of the pods: %w", err)
		}
		if err := prepareCgroup(root, folder); err != nil {
			return fmt.Errorf("prepare the cgroup %s: %w", folder, err)
		}
		if err := weigh(folder); err != nil {
			return fmt.Errorf("weigh the cgroup %s: %w", folder, err)
		}
	}
	return nil
}

// The pods' share of the processors. By default a cgroup weighs as much as one process beside it, such as the API server or
// a test: all pods together would starve. On a real node they weigh as much as one process for each processor.
var weights = map[string]string{"cpu.shares": "4096", "cpu.weight": "400"} // v1 and v2: four processes

func weigh(folder string) error {
	for file, weight := range weights {
		path := filepath.Join(folder, file)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue // another hierarchy, or the other version
		}
		if err := os.WriteFile(path, []byte(weight), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// prepareCgroup does what a new cgroup needs before it may hold processes: v2 hands controllers down, v1's cpuset starts
// without processors and memory.
func prepareCgroup(root, folder string) error {
	if controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers")); err == nil {
		return handDown(controllers, root, folder)
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		inherited, err := os.ReadFile(filepath.Join(root, file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, file), bytes.TrimSpace(inherited), 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func handDown(controllers []byte, root, folder string) error {
	for _, controller := range strings.Fields(string(controllers)) {
		for _, parent := range []string{root, folder} {
			if err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeCgroups waits for the kernel to finish with the processes that were just killed.
func removeCgroups(name string) error {
	roots, err := cgroupMounts()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(10 * time.Second)
	for _, root := range roots {
		for {
			err := removeTree(filepath.Join(root, name))
			if err == nil {
				break
			}
			if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
				return fmt.Errorf("remove the cgroup of the pods: %w", err)
			}
			time.Sleep(20 * time.Millisecond) // the kernel does not tell when an emptied cgroup may be removed
		}
	}
	return nil
}

// removeTree removes folders only: the files of a cgroup go with it.
func removeTree(folder string) error {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(folder, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(folder); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}
