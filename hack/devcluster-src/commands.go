// devcluster status, load, env and kubectl.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func status(o options) error {
	c, err := loadCluster(o.name)
	if err != nil {
		return err
	}
	if c == nil {
		fmt.Printf("%s: not up\n", o.name)
		return errNotUp
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "COMPONENT\tPID\tADDRESS\tMEMORY")
	running, addresses := c.running(), c.addresses()
	for _, name := range c.componentNames() {
		pid, memory := "-", "-"
		if running[name] != 0 {
			pid, memory = fmt.Sprint(running[name]), residentMemory(running[name])
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, pid, addresses[name], memory)
	}
	table.Flush()
	c.printNodes()
	if problem := c.problem(); problem != "" {
		fmt.Printf("%s: not up: %s\n", c.Name, problem)
		return errNotUp
	}
	fmt.Printf("%s: up\n", c.Name)
	return nil
}

func (c *cluster) addresses() map[string]string {
	return map[string]string{
		"etcd":           c.etcdURL(),
		"kube-apiserver": c.apiServerURL(),
		"containerd":     c.containerdSocket(),
		"kubelet":        fmt.Sprintf("https://%s:10250", c.nodeAddress()),
		nodeInitCommand:  fmt.Sprintf("pods %s, services %s", c.podRange(), c.serviceRange()),
	}
}

func residentMemory(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "-"
	}
	for _, line := range strings.Split(string(data), "\n") {
		var kilobytes int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kilobytes); err == nil {
			return fmt.Sprintf("%d MiB", kilobytes/1024)
		}
	}
	return "-"
}

func (c *cluster) printNodes() {
	client, err := c.client()
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5e9)
	defer cancel()
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	for _, node := range nodes.Items {
		problem := nodeProblem(&node)
		if problem == "" {
			problem = "is ready"
		}
		fmt.Printf("node %s %s (%s)\n", node.Name, problem, internalAddress(&node))
	}
}

func internalAddress(node *corev1.Node) string {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return address.Address
		}
	}
	return "no address"
}

func load(o options) error {
	c, err := mustLoadCluster(o.name)
	if err != nil {
		return err
	}
	if c.ControlPlaneOnly {
		return fmt.Errorf("cluster %s has no real node, so there is nothing to load images into", c.Name)
	}
	if len(o.args) == 0 {
		return errors.New("load needs at least one IMAGE.tar")
	}
	for _, archive := range o.args {
		path, err := filepath.Abs(archive)
		if err != nil {
			return err
		}
		if err := c.importImage(path); err != nil {
			return err
		}
		say("loaded %s", archive)
	}
	return nil
}

// printEnvironment also exempts the API server from proxies, which could not reach it.
func printEnvironment(o options) error {
	c, err := mustLoadCluster(o.name)
	if err != nil {
		return err
	}
	fmt.Printf("export KUBECONFIG=%s\n", quoted(c.kubeconfig()))
	fmt.Printf("export PATH=%s:\"$PATH\"\n", quoted(c.path("bin")))
	if os.Getenv("HTTPS_PROXY")+os.Getenv("https_proxy") != "" {
		fmt.Printf("export NO_PROXY=\"${NO_PROXY:+$NO_PROXY,}%s\"\n", c.hostAddress())
	}
	return nil
}

func quoted(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func kubectlOn(o options) error {
	c, err := mustLoadCluster(o.name)
	if err != nil {
		return err
	}
	if err := os.Setenv("KUBECONFIG", c.kubeconfig()); err != nil {
		return err
	}
	os.Exit(runKubectl(o.args))
	return nil
}
