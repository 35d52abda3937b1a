// What is wrong with a cluster, asked of its API server.
package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// client has no limit of its own: the fake nodes of a large cluster write often.
func (c *cluster) client() (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig())
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return kubernetes.NewForConfig(config)
}

// componentNames lists what a healthy cluster of this kind runs, in the order of their start.
func (c *cluster) componentNames() []string {
	names := []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
	if c.ControlPlaneOnly {
		return append(names, fakeNodesCommand)
	}
	return append(names, nodeInitCommand, "containerd", "kubelet", "kube-proxy", dnsCommand)
}

// problem says in one line why the cluster is not up, or nothing.
func (c *cluster) problem() string {
	if missing := c.firstMissing(c.componentNames()); missing != "" {
		return missing + " does not run"
	}
	return c.askFor(c.clusterProblem)
}

func (c *cluster) apiServerProblem(ctx context.Context) string {
	client, err := c.client()
	if err != nil {
		return err.Error()
	}
	if _, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return err.Error()
	}
	return ""
}

// clusterProblem: pods can be made when a node takes them and their default service account exists.
func (c *cluster) clusterProblem(ctx context.Context) string {
	client, err := c.client()
	if err != nil {
		return err.Error()
	}
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	if wanted := c.wantedNodes(); len(nodes.Items) < wanted {
		return fmt.Sprintf("%d of %d nodes have registered", len(nodes.Items), wanted)
	}
	for _, node := range nodes.Items {
		if problem := nodeProblem(&node); problem != "" {
			return "node " + node.Name + " " + problem
		}
	}
	if _, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
		return err.Error()
	}
	return ""
}

// startedNodeProblem does not believe what the API server remembers of the node from before it was started.
func (c *cluster) startedNodeProblem(ctx context.Context, start time.Time) string {
	if problem := c.clusterProblem(ctx); problem != "" {
		return problem
	}
	client, err := c.client()
	if err != nil {
		return err.Error()
	}
	node, err := client.CoreV1().Nodes().Get(ctx, c.nodeName(), metav1.GetOptions{})
	if err != nil {
		return err.Error()
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.LastHeartbeatTime.Time.Before(start.Truncate(time.Second)) {
			return "node " + node.Name + " has not reported yet"
		}
	}
	return ""
}

func (c *cluster) wantedNodes() int {
	if c.ControlPlaneOnly {
		return c.FakeNodes
	}
	return 1
}

// nodeProblem ignores taints and cordons of the user: only those of the node's own life cycle count.
func nodeProblem(node *corev1.Node) string {
	for _, taint := range node.Spec.Taints {
		if taint.Key == corev1.TaintNodeNotReady || taint.Key == corev1.TaintNodeUnreachable {
			return "has the taint " + taint.Key
		}
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return ""
		}
	}
	return "is not ready"
}
