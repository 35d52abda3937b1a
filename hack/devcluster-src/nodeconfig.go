// Configuration files and command lines of what runs on the node.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const pauseImage = "homeostat.dev/pause:dev"

func (c *cluster) containerdSocket() string { return c.path("containerd.sock") }
func (c *cluster) cgroup() string           { return fmt.Sprintf("homeostat-%d", c.Index) }

func (c *cluster) containerd() component {
	return component{"containerd", "containerd", []string{"--config", c.path("node", "containerd.toml")}}
}

func (c *cluster) kubelet() component {
	return c.ofOurs("kubelet",
		"--config="+c.path("node", "kubelet.yaml"),
		"--kubeconfig="+c.pki("kubelet.kubeconfig"),
		"--root-dir="+c.path("kubelet"),
		"--hostname-override="+c.nodeName(),
		"--node-ip="+c.nodeAddress(),
	)
}

func (c *cluster) kubeProxy() component {
	return c.ofOurs("kube-proxy", "--config="+c.path("node", "kube-proxy.yaml"))
}

func (c *cluster) writeNodeConfigs() error {
	plugins, err := cniPlugins()
	if err != nil {
		return err
	}
	for file, text := range map[string]string{
		"containerd.toml":           c.containerdConfig(plugins),
		"cni/10-homeostat.conflist": c.cniConfig(),
		"kubelet.yaml":              c.kubeletConfig(),
		"kube-proxy.yaml":           c.kubeProxyConfig(),
		"resolv.conf":               "",
	} {
		if err := writeFile(c.path("node", file), []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// cniPlugins finds the plugins where Debian or where their own project puts them.
func cniPlugins() (string, error) {
	for _, folder := range []string{"/usr/lib/cni", "/opt/cni/bin"} {
		if _, err := os.Stat(filepath.Join(folder, "ptp")); err == nil {
			return folder, nil
		}
	}
	return "", fmt.Errorf("no CNI plugins in /usr/lib/cni or /opt/cni/bin: install containernetworking-plugins")
}

// containerdConfig: restrict_oom_score_adj is for machines without CAP_SYS_RESOURCE, where no pod starts otherwise.
func (c *cluster) containerdConfig(plugins string) string {
	return fmt.Sprintf(`version = 2
root = %q
state = "/run/homeostat-containerd"
oom_score = 0

[grpc]
address = %q

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %q
restrict_oom_score_adj = true
disable_apparmor = true
disable_hugetlb_controller = true
disable_tcp_service = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = %q
conf_dir = %q

[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.internal.v1.opt"]
path = %q
`, c.path("containerd"), c.containerdSocket(), pauseImage, plugins, c.path("node", "cni"), c.path("node", "opt"))
}

// cniConfig routes each pod by itself. With a bridge, the answers of a service's pod to a pod beside it would pass below
// kube-proxy's rules where the kernel has no br_netfilter.
func (c *cluster) cniConfig() string {
	return fmt.Sprintf(`{
  "cniVersion": "0.4.0",
  "name": "homeostat",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/homeostat-cni",
        "ranges": [[{"subnet": %q}]],
        "routes": [{"dst": "0.0.0.0/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, c.podRange())
}

// kubeletConfig: images come from us alone, so none is ever collected as garbage; a full disk of the developer's machine is
// no reason to evict pods.
func (c *cluster) kubeletConfig() string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[1]s/pki/ca.crt}
authorization: {mode: Webhook}
tlsCertFile: %[1]s/pki/kubelet.crt
tlsPrivateKeyFile: %[1]s/pki/kubelet.key
address: %[2]s
healthzBindAddress: 127.0.0.1
containerRuntimeEndpoint: unix://%[3]s
cgroupDriver: cgroupfs
clusterDNS: [%[2]s]
clusterDomain: %[5]s
cgroupRoot: /%[4]s
failSwapOn: false
enforceNodeAllocatable: []
evictionHard: {}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
maxPods: 200
oomScoreAdj: 0
resolvConf: %[1]s/node/resolv.conf
`, c.folder(), c.nodeAddress(), c.containerdSocket(), c.cgroup(), dnsDomain)
}

// kubeProxyConfig leaves the machine's connection tracking limits alone.
func (c *cluster) kubeProxyConfig() string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: %s}
clusterCIDR: %s
hostnameOverride: %s
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
iptables: {minSyncPeriod: 100ms}
oomScoreAdj: 0
`, c.pki("kube-proxy.kubeconfig"), c.podRange(), c.nodeName())
}
