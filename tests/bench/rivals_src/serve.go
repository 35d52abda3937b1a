package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

var body = []byte(strings.Repeat("x", 224))

// serve answers every request with 200 and 224 bytes; /count tells how many requests and connections came before.
func serve(dir string) error {
	certificate, err := issue(dir)
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return err
	}
	secure, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		return err
	}
	var requests, connections atomic.Int64
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/count" {
			fmt.Fprintf(w, `{"requests": %d, "connections": %d}`, requests.Load(), connections.Load())
			return
		}
		requests.Add(1)
		w.Write(body)
	})
	server := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}}
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(plain) }()
	settings := &tls.Config{Certificates: []tls.Certificate{certificate}}
	go func() { failed <- server.Serve(tls.NewListener(secure, settings)) }()
	err = tell(map[string]any{"http": plain.Addr().(*net.TCPAddr).Port, "https": secure.Addr().(*net.TCPAddr).Port})
	if err != nil {
		return err
	}
	return <-failed
}

// issue makes a certificate for the 32 addresses that signs itself, and writes it to DIR/ca.pem.
func issue(dir string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rivals"}, DNSNames: []string{"shop.test", "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	for last := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.IPv4(127, 0, 0, byte(last+1)))
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), text, 0o644); err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, nil
}
