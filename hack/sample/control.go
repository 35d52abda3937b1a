// The control API: it has a port of its own, which no fault closes.
package main

import (
	"encoding/json"
	"net/http"
)

func controlRoutes(faults *faults, service *service) http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /fault", func(w http.ResponseWriter, _ *http.Request) { showFault(w, faults) })
	routes.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) { setFault(w, r, faults) })
	routes.HandleFunc("DELETE /fault", func(w http.ResponseWriter, _ *http.Request) { apply(w, faults, nil) })
	routes.HandleFunc("GET /sessions", service.sessions.count)
	routes.HandleFunc("GET /requests", service.requests.count)
	routes.HandleFunc("GET /livez", well)
	return routes
}

// showFault answers null when there is none.
func showFault(w http.ResponseWriter, faults *faults) {
	current, _ := faults.now()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(current)
}

func setFault(w http.ResponseWriter, r *http.Request, faults *faults) {
	wanted, err := parseFault(r.Body)
	if err != nil {
		answer(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	apply(w, faults, wanted)
}

func apply(w http.ResponseWriter, faults *faults, wanted *fault) {
	if err := faults.set(wanted); err != nil {
		answer(w, http.StatusInternalServerError, err.Error()+"\n")
		return
	}
	showFault(w, faults)
}
