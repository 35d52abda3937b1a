// The faults: what can be asked for, and what is in force now.
package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// The kinds of faults. Unless `all` is set, /livez stays well under each of them that does not end or close the service.
const (
	kindFail   = "fail"   // users get an error status, and /healthz and gRPC health say so
	kindLie    = "lie"    // users get an error status, while /healthz and gRPC health say that all is well
	kindGarble = "garble" // users get status 200 with a wrong body
	kindSlow   = "slow"   // answers come late
	kindHang   = "hang"   // requests are accepted and never answered
	kindRefuse = "refuse" // connections to the ports of users and of gRPC are refused
	kindLeak   = "leak"   // memory grows until the fault is lifted, or the kernel ends the process
	kindCrash  = "crash"  // the process ends
	kindPause  = "pause"  // the process stands still, as under SIGSTOP: nothing of it answers, the control API neither
	kindFill   = "fill"   // the scratch folder is full: users get status 507 for as long as it is, whoever looks
	kindHog    = "hog"    // connections to another service are opened and kept
)

// fault is one request of the control API. Fields that a kind does not use must be left out.
type fault struct {
	Kind string `json:"kind"`
	// Duration ends the fault by itself; without it the fault stays until it is lifted.
	Duration duration `json:"duration,omitzero"`
	// Percent of the requests (all of them unless given), for fail, lie, garble, slow and hang.
	Percent *float64 `json:"percent,omitempty"`
	// Path limits the fault to one of the users' paths, for fail, lie, garble, slow and hang.
	Path string `json:"path,omitempty"`
	// All lets the fault reach /livez of the users' port too, for fail, slow and hang.
	All bool `json:"all,omitempty"`
	// Status of the answer, for fail and lie: 503 unless given.
	Status int `json:"status,omitempty"`
	// Delay of the answer, for slow.
	Delay duration `json:"delay,omitzero"`
	// Rate in MiB per second, for leak: 16 unless given.
	Rate int `json:"rate,omitempty"`
	// ExitCode of the process, for crash: 1 unless given.
	ExitCode *int `json:"exitCode,omitempty"`
	// Address and Count of the connections to keep, for hog.
	Address string `json:"address,omitempty"`
	Count   int    `json:"count,omitempty"`
	// Keep writes the fault into the scratch folder, so that it is back in force whenever the process starts there.
	Keep bool `json:"keep,omitempty"`
}

// fields lists what each kind may carry besides its kind and duration.
var fields = map[string]string{
	kindFail:   "percent path all status keep",
	kindLie:    "percent path status keep",
	kindGarble: "percent path keep",
	kindSlow:   "percent path all delay keep",
	kindHang:   "percent path all keep",
	kindRefuse: "keep",
	kindLeak:   "rate keep",
	kindCrash:  "exitCode keep",
	kindPause:  "",
	kindFill:   "",
	kindHog:    "address count",
}

// duration is written as Go and Kubernetes do: "30s".
type duration time.Duration

func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

func (d *duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration is a string such as \"30s\", not %s", data)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("duration %q: use a form such as \"30s\" or \"250ms\"", text)
	}
	if parsed <= 0 {
		return fmt.Errorf("duration %q is not positive", text)
	}
	*d = duration(parsed)
	return nil
}

// hits decides for one request. A fault without a path hits every path of users.
func (f *fault) hits(path string) bool {
	if f == nil || (f.Path != "" && f.Path != path) {
		return false
	}
	return f.Percent == nil || rand.Float64()*100 < *f.Percent
}

func (f *fault) status() int {
	if f.Status == 0 {
		return 503
	}
	return f.Status
}

// faults is the fault in force, if any. A new one replaces the old one.
type faults struct {
	effects *effects

	mutex   sync.Mutex
	current *fault
	changed chan struct{}
	expiry  *time.Timer
}

func newFaults(effects *effects) *faults {
	return &faults{effects: effects, changed: make(chan struct{})}
}

// now returns the fault in force (or nil), and a channel that is closed when it changes.
func (f *faults) now() (*fault, <-chan struct{}) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.current, f.changed
}

// set puts a fault in force, or lifts the one that is when the new one is nil.
func (f *faults) set(wanted *fault) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.replace(wanted)
}

func (f *faults) replace(wanted *fault) error {
	if f.expiry != nil {
		f.expiry.Stop()
		f.expiry = nil
	}
	f.effects.end()
	f.current = wanted
	close(f.changed)
	f.changed = make(chan struct{})
	if wanted == nil {
		slog.Info("no fault")
		return f.effects.open()
	}
	slog.Info("fault", "kind", wanted.Kind, "duration", time.Duration(wanted.Duration))
	if wanted.Duration > 0 {
		f.expiry = time.AfterFunc(time.Duration(wanted.Duration), func() { f.expire(wanted) })
	}
	return f.effects.begin(wanted)
}

// expire lifts a fault only if it is still the one in force.
func (f *faults) expire(ended *fault) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.current != ended {
		return
	}
	if err := f.replace(nil); err != nil {
		slog.Error("the fault's end", "error", err)
	}
}
