// The command lines of the control plane. Its components run on the host, so that admission webhooks on the host work.
package main

import (
	"fmt"
	"os"
)

const fakeNodesCommand = "fake-nodes"

func self() string {
	path, err := os.Executable()
	if err != nil {
		panic(fmt.Sprintf("this program does not know its own path: %v", err)) // /proc is missing: nothing would work
	}
	return path
}

func (c *cluster) ofOurs(name string, args ...string) component {
	return component{name: name, program: self(), args: append([]string{name}, args...)}
}

func (c *cluster) pki(file string) string { return c.path("pki", file) }

// store and API server come first; the rest starts when the API server answers.
func (c *cluster) etcd() component {
	return c.ofOurs("etcd",
		"--name=default",
		"--data-dir="+c.path("etcd"),
		"--unsafe-no-fsync",
		"--listen-client-urls="+c.etcdURL(), "--advertise-client-urls="+c.etcdURL(),
		"--listen-peer-urls="+c.etcdPeerURL(), "--initial-advertise-peer-urls="+c.etcdPeerURL(),
		"--initial-cluster=default="+c.etcdPeerURL(),
		"--cert-file="+c.pki("etcd.crt"), "--key-file="+c.pki("etcd.key"),
		"--peer-cert-file="+c.pki("etcd.crt"), "--peer-key-file="+c.pki("etcd.key"),
		"--trusted-ca-file="+c.pki("etcd-ca.crt"), "--client-cert-auth",
		"--peer-trusted-ca-file="+c.pki("etcd-ca.crt"), "--peer-client-cert-auth",
		"--log-level=warn",
	)
}

func (c *cluster) apiServer() component {
	wanted := c.ofOurs("kube-apiserver",
		"--etcd-servers="+c.etcdURL(),
		"--etcd-cafile="+c.pki("etcd-ca.crt"),
		"--etcd-certfile="+c.pki("apiserver-to-etcd.crt"), "--etcd-keyfile="+c.pki("apiserver-to-etcd.key"),
		"--bind-address="+c.hostAddress(),
		fmt.Sprintf("--secure-port=%d", c.APIServerPort),
		"--service-cluster-ip-range="+c.serviceRange(),
		"--tls-cert-file="+c.pki("apiserver.crt"), "--tls-private-key-file="+c.pki("apiserver.key"),
		"--client-ca-file="+c.pki("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file="+c.pki("service-accounts.key"),
		"--service-account-key-file="+c.pki("service-accounts.pub"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged",
	)
	wanted.args = append(wanted.args, c.auditFlags()...)
	if c.ControlPlaneOnly {
		// No pod will ever connect, and a loopback address is no valid endpoint.
		wanted.args = append(wanted.args, "--advertise-address=198.19.127.254", "--endpoint-reconciler-type=none")
		return wanted
	}
	wanted.args = append(wanted.args,
		"--advertise-address="+c.hostAddress(),
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-certificate-authority="+c.pki("ca.crt"),
		"--kubelet-client-certificate="+c.pki("apiserver-to-kubelet.crt"),
		"--kubelet-client-key="+c.pki("apiserver-to-kubelet.key"),
	)
	return wanted
}

func (c *cluster) controllerManager() component {
	return c.ofOurs("kube-controller-manager",
		"--kubeconfig="+c.pki("kube-controller-manager.kubeconfig"),
		"--service-account-private-key-file="+c.pki("service-accounts.key"),
		"--root-ca-file="+c.pki("ca.crt"),
		"--cluster-signing-cert-file="+c.pki("ca.crt"), "--cluster-signing-key-file="+c.pki("ca.key"),
		"--leader-elect=false",
		"--secure-port=0",
	)
}

func (c *cluster) scheduler() component {
	return c.ofOurs("kube-scheduler",
		"--kubeconfig="+c.pki("kube-scheduler.kubeconfig"),
		"--leader-elect=false",
		"--secure-port=0",
	)
}

func (c *cluster) fakeNodes() component {
	return c.ofOurs(fakeNodesCommand, c.Name)
}
