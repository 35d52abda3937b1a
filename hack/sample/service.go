// What users and kubelets see over HTTP.
package main

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// userPaths are where faults can be aimed at.
var userPaths = []string{"/", "/buy"}

func isUserPath(path string) bool {
	for _, known := range userPaths {
		if path == known {
			return true
		}
	}
	return false
}

type service struct {
	faults *faults
	ending context.Context
	orders atomic.Int64
}

func (s *service) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /{$}", s.serve(func() string { return "homeostat sample\n" }))
	routes.HandleFunc("/buy", s.serve(func() string { return fmt.Sprintf("{\"order\": %d}\n", s.orders.Add(1)) }))
	routes.HandleFunc("GET /healthz", s.serveHealth)
	routes.HandleFunc("GET /livez", s.serveLife)
	return routes
}

// serve answers a user. The body is made only for a request that succeeds: a failed order is no order.
func (s *service) serve(body func() string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault, _ := s.faults.now()
		if !fault.hits(r.URL.Path) {
			answer(w, http.StatusOK, body())
			return
		}
		s.serveFaulty(w, r, fault, body)
	}
}

func (s *service) serveFaulty(w http.ResponseWriter, r *http.Request, fault *fault, body func() string) {
	switch fault.Kind {
	case kindFail, kindLie:
		answer(w, fault.status(), "broken on request\n")
	case kindGarble:
		answer(w, http.StatusOK, "<!-- nothing here -->\n")
	case kindSlow:
		if s.wait(r, time.Duration(fault.Delay)) {
			answer(w, http.StatusOK, body())
		}
	case kindHang:
		s.hang(r)
	default:
		answer(w, http.StatusOK, body())
	}
}

// serveHealth says what a user of all paths would see, except under a lie or a wrong body: it does not notice these.
func (s *service) serveHealth(w http.ResponseWriter, r *http.Request) {
	fault, _ := s.faults.now()
	s.serveProbe(w, r, fault)
}

func (s *service) serveLife(w http.ResponseWriter, r *http.Request) {
	fault, _ := s.faults.now()
	if fault != nil && !fault.All {
		fault = nil
	}
	s.serveProbe(w, r, fault)
}

func (s *service) serveProbe(w http.ResponseWriter, r *http.Request, fault *fault) {
	if fault != nil && (fault.Kind == kindLie || fault.Kind == kindGarble) {
		fault = nil
	}
	if fault == nil || !fault.hits(fault.Path) {
		answer(w, http.StatusOK, "ok\n")
		return
	}
	s.serveFaulty(w, r, fault, func() string { return "ok\n" })
}

// wait is false when the user is gone before the time is over. A service that ends answers at once.
func (s *service) wait(r *http.Request, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.ending.Done():
		return true
	case <-r.Context().Done():
		return false
	}
}

// hang lasts longer than the fault: a request that was caught by it is lost, and its connection is cut when the service ends.
func (s *service) hang(r *http.Request) {
	select {
	case <-s.ending.Done():
	case <-r.Context().Done():
	}
	panic(http.ErrAbortHandler)
}

func answer(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprint(w, body)
}
