// devcluster down: end the processes, then remove the network, the cgroups and the files.
package main

import (
	"errors"
	"fmt"
	"os"
)

func down(o options) error {
	names := []string{o.name}
	if o.all {
		var err error
		if names, err = clusterNames(); err != nil {
			return err
		}
	}
	var failures []error
	for _, name := range names {
		if err := downOne(name); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(failures...)
}

// downOne removes cluster.json last: after a failure, down can be tried again.
func downOne(name string) error {
	unlock, err := lock("cluster-" + name)
	if err != nil {
		return err
	}
	defer unlock()
	folder, err := folderOf(name)
	if err != nil {
		return err
	}
	if err := stopProcesses(folder); err != nil {
		return err
	}
	c, err := loadCluster(name)
	if err != nil {
		return err
	}
	if c == nil {
		say("%s is not up", name)
		return os.RemoveAll(folder)
	}
	if err := c.removeNetwork(); err != nil {
		return err
	}
	if !c.ControlPlaneOnly {
		if err := removeCgroups(c.cgroup()); err != nil {
			return err
		}
	}
	if err := c.removeFiles(); err != nil {
		return err
	}
	say("%s is down", name)
	return nil
}

func (c *cluster) removeFiles() error {
	entries, err := os.ReadDir(c.folder())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == "cluster.json" {
			continue
		}
		if err := os.RemoveAll(c.path(entry.Name())); err != nil {
			return err
		}
	}
	return os.RemoveAll(c.folder())
}
