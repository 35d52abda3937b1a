// The addresses of a cluster, and the host's side of its network.
//
// The node lives in a network namespace of its own. The host reaches it over one veth pair, and routes the ranges of pods
// and services to it: so both answer from the host, and the node's iptables rules end with its namespace. The API server
// listens on an address of the loopback device, which outlives the node and is not reachable from other machines.
//
//	198.18.X.0/24        pods            198.19.X.1   the host (API server)
//	198.18.(128+X).0/24  services        198.19.X.2   the node
package main

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Fake nodes and their pods take made-up addresses in 198.19.127.0/24 and 198.19.128.0/17.
const indexes = 127

func (c *cluster) podRange() string     { return fmt.Sprintf("198.18.%d.0/24", c.Index) }
func (c *cluster) serviceRange() string { return fmt.Sprintf("198.18.%d.0/24", 128+c.Index) }
func (c *cluster) firstService() string { return fmt.Sprintf("198.18.%d.1", 128+c.Index) }
func (c *cluster) nodeAddress() string  { return fmt.Sprintf("198.19.%d.2", c.Index) }
func (c *cluster) hostDevice() string   { return fmt.Sprintf("homeostat%d", c.Index) }
func (c *cluster) apiServerURL() string {
	return fmt.Sprintf("https://%s:%d", c.hostAddress(), c.APIServerPort)
}
func (c *cluster) etcdURL() string     { return fmt.Sprintf("https://127.0.0.1:%d", c.EtcdClientPort) }
func (c *cluster) etcdPeerURL() string { return fmt.Sprintf("https://127.0.0.1:%d", c.EtcdPeerPort) }
func (c *cluster) hostAddress() string {
	if c.ControlPlaneOnly {
		return "127.0.0.1"
	}
	return fmt.Sprintf("198.19.%d.1", c.Index)
}

// claimIndex takes a range for a new cluster. The host's address is the claim: the kernel gives it to one claimer only, so
// clusters of other users, or of another state folder, are safe too. Clusters that are down keep their range.
func claimIndex() (int, error) {
	taken := map[int]bool{}
	for _, c := range knownClusters() {
		if !c.ControlPlaneOnly {
			taken[c.Index] = true
		}
	}
	for index := range indexes {
		if taken[index] {
			continue
		}
		err := (&cluster{Index: index}).addHostAddress(netlink.AddrAdd)
		if err == nil {
			return index, nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return 0, err
		}
	}
	return 0, fmt.Errorf("all %d address ranges are in use; see devcluster down --all", indexes)
}

// addHostAddress must come before the API server starts: it listens there. Adding fails if it is there, replacing does not.
func (c *cluster) addHostAddress(add func(netlink.Link, *netlink.Addr) error) error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := add(loopback, &netlink.Addr{IPNet: single(c.hostAddress())}); err != nil {
		return fmt.Errorf("add %s to the loopback device: %w", c.hostAddress(), err)
	}
	return nil
}

// connectNode makes the veth pair, puts its far end into the node's network namespace as eth0, and routes to it.
func (c *cluster) connectNode(nodePid int) error {
	if err := removeDevice(c.hostDevice()); err != nil {
		return err
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = c.hostDevice()
	pair := &netlink.Veth{LinkAttrs: attributes, PeerName: "eth0", PeerNamespace: netlink.NsPid(nodePid)}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("make the veth pair %s: %w", c.hostDevice(), err)
	}
	link, err := netlink.LinkByName(c.hostDevice())
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return err
	}
	return c.routeToNode(link)
}

func (c *cluster) routeToNode(link netlink.Link) error {
	node := single(c.nodeAddress())
	routes := []*netlink.Route{{Dst: node, Scope: netlink.SCOPE_LINK}}
	for _, text := range []string{c.podRange(), c.serviceRange()} {
		_, destination, err := net.ParseCIDR(text)
		if err != nil {
			return err
		}
		routes = append(routes, &netlink.Route{Dst: destination, Gw: node.IP, Flags: int(netlink.FLAG_ONLINK)})
	}
	for _, route := range routes {
		route.LinkIndex, route.Src = link.Attrs().Index, net.ParseIP(c.hostAddress())
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("route %s to the node: %w", route.Dst, err)
		}
	}
	return nil
}

// removeNetwork removes what is left on the host; the routes end with the device, the rest with the node's namespace.
func (c *cluster) removeNetwork() error {
	if c.ControlPlaneOnly {
		return nil
	}
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	err = netlink.AddrDel(loopback, &netlink.Addr{IPNet: single(c.hostAddress())})
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return fmt.Errorf("remove %s from the loopback device: %w", c.hostAddress(), err)
	}
	return removeDevice(c.hostDevice())
}

func removeDevice(name string) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove the device %s: %w", name, err)
	}
	return nil
}

func single(address string) *net.IPNet {
	return &net.IPNet{IP: net.ParseIP(address).To4(), Mask: net.CIDRMask(32, 32)}
}

// setUpNodeNetwork runs inside the node's network namespace, where eth0 already is.
func (c *cluster) setUpNodeNetwork() error {
	for _, name := range []string{"lo", "eth0"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("device %s of the node: %w", name, err)
		}
		if name == "eth0" {
			if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: single(c.nodeAddress())}); err != nil {
				return fmt.Errorf("give the node its address: %w", err)
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return fmt.Errorf("device %s of the node: %w", name, err)
		}
	}
	uplink, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	gateway := &netlink.Route{LinkIndex: uplink.Attrs().Index, Gw: net.ParseIP(c.hostAddress()), Flags: int(netlink.FLAG_ONLINK)}
	if err := netlink.RouteAdd(gateway); err != nil {
		return fmt.Errorf("the node's default route: %w", err)
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}
