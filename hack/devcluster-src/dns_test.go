package main

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

func testServer(t *testing.T) *nameServer {
	byNamespace := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, byNamespace)
	slices := cache.NewIndexer(cache.MetaNamespaceKeyFunc, byNamespace)
	yes, no, hostname := true, false, "web-0"
	for _, service := range []*corev1.Service{
		{ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "a"}, Spec: corev1.ServiceSpec{ClusterIP: "198.18.128.9"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "a"}, Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}},
		{ObjectMeta: metav1.ObjectMeta{Name: "alias", Namespace: "a"}, Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeExternalName, ExternalName: "shop.a.svc.cluster.local"}},
	} {
		if err := services.Add(service); err != nil {
			t.Fatal(err)
		}
	}
	err := slices.Add(&discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "web-1", Namespace: "a", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		Endpoints: []discoveryv1.Endpoint{
			{Addresses: []string{"198.18.0.2"}, Hostname: &hostname, Conditions: discoveryv1.EndpointConditions{Ready: &yes}},
			{Addresses: []string{"198.18.0.3"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &nameServer{corelisters.NewServiceLister(services), discoverylisters.NewEndpointSliceLister(slices)}
}

func TestNamesOfServices(t *testing.T) {
	server := testServer(t)
	for question, want := range map[string]string{
		"A shop.a.svc.cluster.local.":      "198.18.128.9",
		"A SHOP.a.svc.cluster.local.":      "198.18.128.9",
		"AAAA shop.a.svc.cluster.local.":   "",
		"A web.a.svc.cluster.local.":       "198.18.0.2",
		"A web-0.web.a.svc.cluster.local.": "198.18.0.2",
		"A web-1.web.a.svc.cluster.local.": "RCodeNameError",
		"A alias.a.svc.cluster.local.":     "shop.a.svc.cluster.local. 198.18.128.9",
		"AAAA alias.a.svc.cluster.local.":  "shop.a.svc.cluster.local.",
		"A shop.b.svc.cluster.local.":      "RCodeNameError",
		"A x.shop.a.svc.cluster.local.":    "RCodeNameError",
		"A example.com.":                   "RCodeNameError",
	} {
		if got := ask(t, server, question); got != want {
			t.Errorf("%s: got %q, want %q", question, got, want)
		}
	}
}

func TestPacketsWithoutQuestionGetNoAnswer(t *testing.T) {
	for _, packet := range [][]byte{nil, []byte("nonsense"), make([]byte, 12)} {
		if answer, err := testServer(t).answer(packet); err == nil {
			t.Errorf("%q got the answer %q", packet, answer)
		}
	}
}

func ask(t *testing.T, server *nameServer, question string) string {
	t.Helper()
	kind, name, _ := strings.Cut(question, " ")
	types := map[string]dnsmessage.Type{"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA}
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: types[kind], Class: dnsmessage.ClassINET}},
	}
	packet, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	packet, err = server.answer(packet)
	if err != nil {
		t.Fatal(err)
	}
	if err := message.Unpack(packet); err != nil || message.ID != 7 {
		t.Fatalf("answer %v: %v", message, err)
	}
	if message.RCode != dnsmessage.RCodeSuccess {
		return message.RCode.String()
	}
	var found []string
	for _, answer := range message.Answers {
		switch body := answer.Body.(type) {
		case *dnsmessage.AResource:
			found = append(found, fmt.Sprintf("%d.%d.%d.%d", body.A[0], body.A[1], body.A[2], body.A[3]))
		case *dnsmessage.CNAMEResource:
			found = append(found, body.CNAME.String())
		}
	}
	return strings.Join(found, " ")
}
