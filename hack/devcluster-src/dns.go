// The names of services, for pods: A records of services and of the pods behind headless ones, CNAMEs of external names.
//
// It answers for cluster.local only. All other names do not exist: there is no way out of the node to ask anyone.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
)

const (
	dnsCommand = "dns"
	dnsDomain  = "cluster.local"
	dnsTTL     = 1 // seconds: a test that changes a service does not want to wait
	dnsPacket  = 512
)

type nameServer struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
}

func (c *cluster) dns() component { return c.ofOurs(dnsCommand, c.Name) }

func runDNS(args []string) error {
	if len(args) != 1 {
		return errors.New("dns is started by devcluster up only")
	}
	c, err := mustLoadCluster(args[0])
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	factory := informers.NewSharedInformerFactory(client, 0)
	server := &nameServer{factory.Core().V1().Services().Lister(), factory.Discovery().V1().EndpointSlices().Lister()}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	socket, err := net.ListenPacket("udp4", net.JoinHostPort(c.nodeAddress(), "53"))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { socket.Close() })
	return server.serve(socket)
}

func (s *nameServer) serve(socket net.PacketConn) error {
	buffer := make([]byte, dnsPacket)
	for {
		size, from, err := socket.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		response, err := s.answer(buffer[:size])
		if err != nil {
			continue // no question at all: nobody waits for an answer
		}
		if _, err := socket.WriteTo(response, from); err != nil {
			fmt.Fprintf(os.Stderr, "answer %s: %v\n", from, err)
		}
	}
}

// answer is a whole packet for a whole packet.
func (s *nameServer) answer(packet []byte) ([]byte, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(packet)
	if err != nil {
		return nil, err
	}
	question, err := parser.Question()
	if err != nil {
		return nil, err
	}
	reply := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired, RecursionAvailable: true,
		},
		Questions: []dnsmessage.Question{question},
	}
	answers, known := s.resolve(question.Name, question.Type)
	reply.Answers = answers
	if !known {
		reply.RCode = dnsmessage.RCodeNameError
	}
	packed, err := reply.Pack()
	if len(packed) > dnsPacket {
		reply.Truncated, reply.Answers = true, reply.Answers[:dnsPacket/32]
		return reply.Pack()
	}
	return packed, err
}

// resolve follows one alias, since resolvers of C libraries leave that to the server. A name that exists without a record of
// the type has an empty answer.
func (s *nameServer) resolve(name dnsmessage.Name, kind dnsmessage.Type) (answers []dnsmessage.Resource, known bool) {
	records, known := s.lookUp(strings.ToLower(name.String()))
	for _, record := range records {
		alias, isAlias := record.(*dnsmessage.CNAMEResource)
		if isAlias {
			answers = append(answers, answerRecord(name, record))
			records, _ := s.lookUp(strings.ToLower(alias.CNAME.String()))
			answers = append(answers, addressesOnly(alias.CNAME, records, kind)...)
		}
	}
	return append(answers, addressesOnly(name, records, kind)...), known
}

func addressesOnly(name dnsmessage.Name, records []dnsmessage.ResourceBody, kind dnsmessage.Type) (answers []dnsmessage.Resource) {
	for _, record := range records {
		_, isAddress := record.(*dnsmessage.AResource)
		if isAddress && (kind == dnsmessage.TypeA || kind == dnsmessage.TypeALL) {
			answers = append(answers, answerRecord(name, record))
		}
	}
	return answers
}

func answerRecord(name dnsmessage.Name, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: dnsTTL},
		Body:   body,
	}
}

// lookUp knows SERVICE.NAMESPACE.svc.cluster.local., and HOSTNAME before it for pods of a headless service. A namespace, or
// a headless service without pods, is a name without records.
func (s *nameServer) lookUp(name string) (records []dnsmessage.ResourceBody, known bool) {
	path, inside := strings.CutSuffix(name, ".svc."+dnsDomain+".")
	parts := strings.Split(path, ".")
	if !inside || len(parts) < 2 || len(parts) > 3 {
		return nil, false
	}
	namespace, serviceName, hostname := parts[len(parts)-1], parts[len(parts)-2], ""
	if len(parts) == 3 {
		hostname = parts[0]
	}
	service, err := s.services.Services(namespace).Get(serviceName)
	if err != nil {
		return nil, false
	}
	switch {
	case service.Spec.ClusterIP == corev1.ClusterIPNone:
		records = s.podsOf(service, hostname)
		return records, hostname == "" || len(records) > 0
	case hostname != "":
		return nil, false
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		target, err := dnsmessage.NewName(strings.TrimSuffix(service.Spec.ExternalName, ".") + ".")
		return []dnsmessage.ResourceBody{&dnsmessage.CNAMEResource{CNAME: target}}, err == nil
	}
	return addressRecords(service.Spec.ClusterIP), true
}

func (s *nameServer) podsOf(service *corev1.Service, hostname string) (records []dnsmessage.ResourceBody) {
	ofService := labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: service.Name})
	slices, err := s.slices.EndpointSlices(service.Namespace).List(ofService)
	if err != nil {
		return nil
	}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			isReady := endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready
			isNamed := hostname == "" || (endpoint.Hostname != nil && *endpoint.Hostname == hostname)
			if (isReady || service.Spec.PublishNotReadyAddresses) && isNamed {
				records = append(records, addressRecords(endpoint.Addresses...)...)
			}
		}
	}
	return records
}

func addressRecords(addresses ...string) (records []dnsmessage.ResourceBody) {
	for _, text := range addresses {
		if address := net.ParseIP(text).To4(); address != nil {
			records = append(records, &dnsmessage.AResource{A: [4]byte(address)})
		}
	}
	return records
}
