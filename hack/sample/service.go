// What users and kubelets see over HTTP.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
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
	faults   *faults
	sessions *sessions
	requests requests
	scratch  *scratch
	upstream upstream
	ending   context.Context
	orders   atomic.Int64
}

// requests are those of users and of whoever probes: what has begun and not ended is under way.
type requests struct{ begun, ended atomic.Int64 }

func (c *requests) counted(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.begun.Add(1)
		defer c.ended.Add(1)
		handler.ServeHTTP(w, r)
	})
}

func (c *requests) count(w http.ResponseWriter, _ *http.Request) {
	ended := c.ended.Load() // first, so that there are never more ended than begun
	answerJSON(w, http.StatusOK, map[string]any{"begun": c.begun.Load(), "ended": ended})
}

func (s *service) routes() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /{$}", s.serve(welcome))
	routes.HandleFunc("/buy", s.serve(s.buy))
	routes.HandleFunc("/echo", s.serve(echo))
	routes.HandleFunc("GET /old", s.serve(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }))
	routes.HandleFunc("POST /login", s.serve(s.sessions.logIn))
	routes.HandleFunc("POST /sessions", s.serve(s.sessions.loggedIn(s.sessions.begin)))
	routes.HandleFunc("GET /sessions/{id}", s.serve(s.sessions.loggedIn(s.sessions.show)))
	routes.HandleFunc("DELETE /sessions/{id}", s.serve(s.sessions.loggedIn(s.sessions.end)))
	routes.HandleFunc("GET /healthz", s.serveHealth)
	routes.HandleFunc("GET /livez", s.serveLife)
	return s.requests.counted(routes)
}

// serve answers a user. The handler runs only for a request that succeeds: a failed order is no order.
func (s *service) serve(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		fault, _ := s.faults.now()
		if !fault.hits(r.URL.Path) {
			s.serveIfAble(w, r, handler)
			return
		}
		s.serveFaulty(w, r, fault, handler)
	}
}

// serveIfAble answers unless the service lacks what it needs.
func (s *service) serveIfAble(w http.ResponseWriter, r *http.Request, handler http.HandlerFunc) {
	if s.scratch.check() != nil {
		answer(w, http.StatusInsufficientStorage, "no room on the disk\n")
	} else if s.upstream.check() != nil {
		answer(w, http.StatusBadGateway, "what is behind does not answer\n")
	} else {
		handler(w, r)
	}
}

func (s *service) serveFaulty(w http.ResponseWriter, r *http.Request, fault *fault, handler http.HandlerFunc) {
	switch fault.Kind {
	case kindFail, kindLie:
		answer(w, fault.status(), "broken on request\n")
	case kindGarble:
		answer(w, http.StatusOK, "<!-- nothing here -->\n")
	case kindSlow:
		if s.wait(r, time.Duration(fault.Delay)) {
			handler(w, r)
		}
	case kindHang:
		s.hang(r)
	default:
		handler(w, r)
	}
}

func welcome(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "homeostat sample\n") }

func well(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") }

func (s *service) buy(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, map[string]any{"order": s.orders.Add(1)})
}

// echo says what it was asked, with names of headers in lower case.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, requestLimit))
	if err != nil {
		answer(w, http.StatusBadRequest, "no whole body\n")
		return
	}
	headers := map[string]string{}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	answerJSON(w, http.StatusOK, map[string]any{"method": r.Method, "protocol": r.Proto, "headers": headers, "body": string(body)})
}

// serveHealth says what a user of all paths would see, except under a lie or a wrong body: it does not notice these.
func (s *service) serveHealth(w http.ResponseWriter, r *http.Request) {
	fault, _ := s.faults.now()
	s.serveProbe(w, r, fault, func(w http.ResponseWriter, r *http.Request) { s.serveIfAble(w, r, well) })
}

func (s *service) serveLife(w http.ResponseWriter, r *http.Request) {
	fault, _ := s.faults.now()
	if fault != nil && !fault.All {
		fault = nil
	}
	s.serveProbe(w, r, fault, well)
}

func (s *service) serveProbe(w http.ResponseWriter, r *http.Request, fault *fault, handler http.HandlerFunc) {
	if fault != nil && (fault.Kind == kindLie || fault.Kind == kindGarble) {
		fault = nil
	}
	if fault == nil || !fault.hits(fault.Path) {
		handler(w, r)
		return
	}
	s.serveFaulty(w, r, fault, handler)
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

func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
