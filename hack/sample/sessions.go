// What users do in several steps: log in, open a session, use it, end it. One that nobody ends stays open, and counts.
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

const (
	password     = "open sesame"
	mostSessions = 1000
)

// sessions are the open ones, by id. Whoever logged in holds the token, and may do anything to any of them.
type sessions struct {
	token string

	mutex sync.Mutex
	open  map[string]bool
	made  int
}

func newSessions() *sessions {
	return &sessions{token: rand.Text(), open: map[string]bool{}}
}

// logIn wants {"password": "open sesame"}.
func (s *sessions) logIn(w http.ResponseWriter, r *http.Request) {
	var given struct{ Password string }
	if err := json.NewDecoder(io.LimitReader(r.Body, requestLimit)).Decode(&given); err != nil || given.Password != password {
		answer(w, http.StatusUnauthorized, "not the password\n")
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{"token": s.token})
}

// loggedIn lets requests pass that carry the token.
func (s *sessions) loggedIn(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+s.token {
			answer(w, http.StatusUnauthorized, "log in first\n")
			return
		}
		handler(w, r)
	}
}

func (s *sessions) begin(w http.ResponseWriter, _ *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.open) >= mostSessions {
		answer(w, http.StatusServiceUnavailable, "too many sessions that nobody ended\n")
		return
	}
	s.made++
	id := fmt.Sprintf("session-%d", s.made)
	s.open[id] = true
	w.Header().Set("Location", "/sessions/"+id)
	answerJSON(w, http.StatusCreated, map[string]any{"id": id})
}

func (s *sessions) show(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if id := r.PathValue("id"); s.open[id] {
		answerJSON(w, http.StatusOK, map[string]any{"id": id})
		return
	}
	answer(w, http.StatusNotFound, "no such session\n")
}

func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.open, r.PathValue("id"))
	w.WriteHeader(http.StatusNoContent)
}

func (s *sessions) count(w http.ResponseWriter, _ *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	answerJSON(w, http.StatusOK, map[string]any{"open": len(s.open), "made": s.made})
}
