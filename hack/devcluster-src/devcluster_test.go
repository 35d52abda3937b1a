package main

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// useShortFolder: Unix sockets below t.TempDir() would have too long a path.
func useShortFolder(t *testing.T) {
	folder, err := os.MkdirTemp("", "dc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	t.Setenv("XDG_STATE_HOME", folder)
}

func TestNamesOfClusters(t *testing.T) {
	for name, isGood := range map[string]bool{
		"homeostat": true, "a-1": true, "": false, "-a": false, "a/b": false, "..": false, "Big": false, strings.Repeat("a", 41): false,
	} {
		if err := checkName(name); (err == nil) != isGood {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestOptionsMayFollowArguments(t *testing.T) {
	got, err := parseOptions("load", []string{"a.tar", "--name", "mine", "b.tar"})
	if err != nil || got.name != "mine" || !reflect.DeepEqual(got.args, []string{"a.tar", "b.tar"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseOptions("up", []string{"extra"}); err == nil {
		t.Error("up took an argument")
	}
}

func TestOnlyAFirstNameIsTakenFromKubectl(t *testing.T) {
	got, err := parseOptions("kubectl", []string{"--name=mine", "get", "--name", "x"})
	if err != nil || got.name != "mine" || !reflect.DeepEqual(got.args, []string{"get", "--name", "x"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPortsDifferAndAreRemembered(t *testing.T) {
	useShortFolder(t)
	seen := map[int]bool{}
	for _, name := range []string{"one", "two"} {
		c, err := createCluster(options{name: name, fakeNodes: 1}, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range []int{c.EtcdClientPort, c.EtcdPeerPort, c.APIServerPort} {
			if seen[port] || port < lowestPort {
				t.Errorf("port %d is taken twice, or out of range", port)
			}
			seen[port] = true
		}
		loaded, err := loadCluster(name)
		if err != nil || !reflect.DeepEqual(loaded, c) {
			t.Errorf("loaded %+v (%v), want %+v", loaded, err, c)
		}
	}
}

func TestCertificatesAreForTheAddressesInUse(t *testing.T) {
	useShortFolder(t)
	c := &cluster{Name: "c", Index: 5, APIServerPort: 6443}
	if err := c.makeCredentials(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(c.pki("apiserver.crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"198.19.5.1", "198.18.133.1", "127.0.0.1", "kubernetes.default.svc"} {
		if err := certificate.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig())
	if err != nil || config.Host != "https://198.19.5.1:6443" {
		t.Errorf("kubeconfig: %v, %v", config, err)
	}
	if info, err := os.Stat(c.kubeconfig()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig is readable by others: %v %v", info, err)
	}
}

func TestAProcessIsFoundByItsFolderOnly(t *testing.T) {
	useShortFolder(t)
	ours, other := &cluster{Name: "ours"}, &cluster{Name: "other"}
	for _, c := range []*cluster{ours, other} {
		if err := c.start(component{"sleeper", "sleep", []string{"60"}}); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = stopProcesses(other.folder()) })
	if err := stopProcesses(ours.folder()); err != nil {
		t.Fatal(err)
	}
	if ours.running()["sleeper"] != 0 || other.running()["sleeper"] == 0 {
		t.Errorf("running: ours %v, other %v", ours.running(), other.running())
	}
}

func TestFakePods(t *testing.T) {
	address := &addressCounter{}
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
	if !isUnsettled(pod) {
		t.Error("a new pod is settled")
	}
	pod.Status = fakePodStatus(pod, address.next)
	if pod.Status.Phase != corev1.PodRunning || !pod.Status.ContainerStatuses[0].Ready || isUnsettled(pod) {
		t.Errorf("status %+v", pod.Status)
	}
	before := pod.Status.PodIP
	pod.Spec.EphemeralContainers = []corev1.EphemeralContainer{{}}
	if !isUnsettled(pod) {
		t.Error("a new ephemeral container is not noticed")
	}
	pod.Status = fakePodStatus(pod, address.next)
	if pod.Status.PodIP != before || len(pod.Status.EphemeralContainerStatuses) != 1 {
		t.Errorf("status %+v", pod.Status)
	}
	once := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: pod.Spec.Containers}}
	if got := fakePodStatus(once, address.next); got.Phase != corev1.PodSucceeded || got.PodIP == before {
		t.Errorf("status %+v", got)
	}
}

func TestAddressesGoOnAfterARestart(t *testing.T) {
	first, second := &addressCounter{last: 300}, &addressCounter{}
	second.sawInUse(first.next())
	if got := second.next(); got != "198.19.129.46" {
		t.Errorf("got %s", got)
	}
}

func TestNodeProblems(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}
	if nodeProblem(node) == "" {
		t.Error("a node without conditions is ready")
	}
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	node.Spec.Unschedulable = true
	if problem := nodeProblem(node); problem != "" {
		t.Errorf("a cordoned node %s", problem)
	}
	node.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeNotReady}}
	if nodeProblem(node) == "" {
		t.Error("a node with the taint of the life cycle is ready")
	}
}
