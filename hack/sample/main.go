// sample: a small service that breaks on request, to try homeostat on.
//
//	:8080   users: / and /buy, /echo, /old (which redirects), /login and /sessions (see sessions.go); /healthz (what users
//	        would see); /livez (what a kubelet should see)
//	:8443   the same by TLS, when told where its certificate is
//	:50051  gRPC health
//	:8081   control: POST, GET, DELETE /fault (see fault.go); GET /sessions, how many are open and were made, and
//	        GET /requests, how many began and ended; /livez, which answers even while the service refuses
//
// All state is the process's own, so that a restarted pod is healthy again; but for what is in its scratch folder.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

const (
	shutdownTimeout = 10 * time.Second
	headerTimeout   = 10 * time.Second
)

func main() {
	addresses := addresses{}
	flag.StringVar(&addresses.users, "http", ":8080", "address for users")
	flag.StringVar(&addresses.grpc, "grpc", ":50051", "address for gRPC health")
	flag.StringVar(&addresses.control, "control", ":8081", "address for the control API")
	flag.StringVar(&addresses.tls, "tls", ":8443", "address for users who want TLS")
	flag.StringVar(&addresses.certificates, "certificates", "", "folder with tls.crt and tls.key; without it there is no TLS")
	needs := needs{}
	flag.StringVar(&needs.fault, "fault", "", "a fault, as for POST /fault, that is in force from the start: a bad release")
	flag.StringVar(&needs.scratch, "scratch", "", "folder that users' requests need room in, and that keeps faults")
	flag.StringVar(&needs.upstream, "upstream", "", "address of a service that users' requests need")
	flag.IntVar(&needs.connections, "connections", 0, "how many connections of users there may be; 0 is any number")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	sample, err := newSample(addresses, os.Exit)
	if err == nil {
		err = sample.need(needs)
	}
	if err == nil {
		slog.Info("serving", "http", addresses.users, "grpc", addresses.grpc, "control", addresses.control)
		err = sample.run(ctx)
	}
	if err != nil {
		slog.Error("the sample ends", "error", err)
		os.Exit(1)
	}
}

type addresses struct{ users, tls, grpc, control, certificates string }

// needs are what a sample depends on, and what is wrong with it from the start.
type needs struct {
	fault, scratch, upstream string
	connections              int
}

// sample holds the servers and what they have in common: the fault of the moment, and the open sessions.
type sample struct {
	faults                    *faults
	ending                    context.Context
	end                       context.CancelFunc
	certificates              string
	users, tls, grpc, control *gate // tls is nil without certificates
	usersHTTP, controlAPI     *http.Server
	health                    *grpc.Server
	service                   *service
}

func newSample(at addresses, exit func(code int)) (*sample, error) {
	s := &sample{certificates: at.certificates}
	s.ending, s.end = context.WithCancel(context.Background())
	var err error
	for _, door := range []struct {
		gate    **gate
		address string
	}{{&s.users, at.users}, {&s.grpc, at.grpc}, {&s.control, at.control}} {
		if *door.gate, err = newGate(door.address); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	doors := []*gate{s.users, s.grpc}
	if s.certificates != "" {
		if s.tls, err = newGate(at.tls); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
		doors = append(doors, s.tls)
	}
	disk := &scratch{}
	s.faults = newFaults(&effects{doors: doors, exit: exit, pause: standStill, scratch: disk})
	s.service = &service{faults: s.faults, sessions: newSessions(), scratch: disk, ending: s.ending}
	s.usersHTTP = &http.Server{Handler: s.service.routes(), ReadHeaderTimeout: headerTimeout}
	s.controlAPI = &http.Server{Handler: controlRoutes(s.faults, s.service), ReadHeaderTimeout: headerTimeout}
	s.health = grpc.NewServer()
	healthpb.RegisterHealthServer(s.health, &health{faults: s.faults, ending: s.ending})
	return s, nil
}

// need takes up what the service depends on, and the fault that it starts with: one that was kept before one that was given.
func (s *sample) need(wanted needs) error {
	s.service.scratch.folder, s.service.upstream, s.users.most = wanted.scratch, upstream(wanted.upstream), wanted.connections
	first, err := s.service.scratch.kept()
	if first == nil && err == nil && wanted.fault != "" {
		first, err = parseFault(strings.NewReader(wanted.fault))
	}
	if first == nil || err != nil {
		return err
	}
	return s.faults.set(first)
}

// standStill needs a process that is not the first of its PID namespace: that one cannot stop itself.
func standStill() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) }

// run serves until the context ends; then requests in flight get time to finish, and those that hang are let go.
func (s *sample) run(ctx context.Context) error {
	failures := make(chan error, 4)
	go func() { failures <- s.usersHTTP.Serve(s.users) }()
	if s.tls != nil {
		go func() { failures <- s.serveTLS() }()
	}
	go func() { failures <- s.controlAPI.Serve(s.control) }()
	go func() { failures <- s.health.Serve(s.grpc) }()
	select {
	case err := <-failures:
		return err
	case <-ctx.Done():
		return s.shutDown()
	}
}

func (s *sample) serveTLS() error {
	return s.usersHTTP.ServeTLS(s.tls, filepath.Join(s.certificates, "tls.crt"), filepath.Join(s.certificates, "tls.key"))
}

func (s *sample) shutDown() error {
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	var group sync.WaitGroup
	group.Add(1)
	go func() {
		defer group.Done()
		s.health.GracefulStop()
	}()
	err := errors.Join(s.usersHTTP.Shutdown(ctx), s.controlAPI.Shutdown(ctx))
	group.Wait()
	return err
}
