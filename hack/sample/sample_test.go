package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// running is a sample on free ports of the loopback device, and what ends it.
type running struct {
	*testing.T
	*sample
	stop  context.CancelFunc
	ended chan error
	exits chan int
}

func start(t *testing.T) *running {
	t.Helper()
	exits := make(chan int, 1)
	sample, err := newSample(addresses{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"}, func(code int) { exits <- code })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t, sample, stop, make(chan error, 1), exits}
	go func() { r.ended <- sample.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-r.ended; err != nil {
			t.Errorf("the sample ended with: %v", err)
		}
	})
	return r
}

func (r *running) get(path string) (status int, body string, err error) {
	return r.request(http.MethodGet, "http://"+r.users.Addr().String()+path, "", time.Second)
}

func (r *running) request(method, url, body string, timeout time.Duration) (int, string, error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

func (r *running) control(method, body string) (int, string) {
	r.Helper()
	status, answer, err := r.request(method, "http://"+r.sample.control.Addr().String()+"/fault", body, time.Second)
	if err != nil {
		r.Fatal(err)
	}
	return status, answer
}

func (r *running) breakIt(fault string) {
	r.Helper()
	if status, answer := r.control(http.MethodPost, fault); status != http.StatusOK {
		r.Fatalf("POST %s: %d %s", fault, status, answer)
	}
}

func (r *running) expect(path string, status int) {
	r.Helper()
	if got, body, err := r.get(path); err != nil || got != status {
		r.Errorf("GET %s: got %d %q (%v), want %d", path, got, body, err, status)
	}
}

func (r *running) grpcHealth() (healthpb.HealthCheckResponse_ServingStatus, error) {
	connection, err := grpc.NewClient(r.sample.grpc.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		r.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	response, err := healthpb.NewHealthClient(connection).Check(ctx, &healthpb.HealthCheckRequest{})
	return response.GetStatus(), err
}

func TestAllIsWellWithoutFault(t *testing.T) {
	r := start(t)
	for _, path := range []string{"/", "/buy", "/healthz", "/livez"} {
		r.expect(path, 200)
	}
	if state, err := r.grpcHealth(); state != healthpb.HealthCheckResponse_SERVING || err != nil {
		t.Errorf("gRPC health: %v %v", state, err)
	}
	if _, body := r.control(http.MethodGet, ""); strings.TrimSpace(body) != "null" {
		t.Errorf("GET /fault: %q, want null", body)
	}
}

func TestFaultsAsUsersAndProbesSeeThem(t *testing.T) {
	for name, want := range map[string]struct {
		fault                     string
		root, buy, healthz, livez int
		grpc                      healthpb.HealthCheckResponse_ServingStatus
	}{
		"fail":           {`{"kind":"fail"}`, 503, 503, 503, 200, healthpb.HealthCheckResponse_NOT_SERVING},
		"fail by status": {`{"kind":"fail","status":500}`, 500, 500, 500, 200, healthpb.HealthCheckResponse_NOT_SERVING},
		"fail one path":  {`{"kind":"fail","path":"/buy"}`, 200, 503, 503, 200, healthpb.HealthCheckResponse_NOT_SERVING},
		"fail all":       {`{"kind":"fail","all":true}`, 503, 503, 503, 503, healthpb.HealthCheckResponse_NOT_SERVING},
		"fail none":      {`{"kind":"fail","percent":0}`, 200, 200, 200, 200, healthpb.HealthCheckResponse_SERVING},
		"lie":            {`{"kind":"lie"}`, 503, 503, 200, 200, healthpb.HealthCheckResponse_SERVING},
		"garble":         {`{"kind":"garble"}`, 200, 200, 200, 200, healthpb.HealthCheckResponse_SERVING},
		"leak":           {`{"kind":"leak","rate":1}`, 200, 200, 200, 200, healthpb.HealthCheckResponse_SERVING},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			r.breakIt(want.fault)
			r.expect("/", want.root)
			r.expect("/buy", want.buy)
			r.expect("/healthz", want.healthz)
			r.expect("/livez", want.livez)
			if state, err := r.grpcHealth(); state != want.grpc || err != nil {
				t.Errorf("gRPC health: got %v (%v), want %v", state, err, want.grpc)
			}
			r.control(http.MethodDelete, "")
			r.expect("/", 200)
		})
	}
}

func TestGarbleChangesTheBody(t *testing.T) {
	r := start(t)
	_, healthy, _ := r.get("/")
	r.breakIt(`{"kind":"garble"}`)
	if _, body, _ := r.get("/"); body == healthy {
		t.Errorf("the body is still %q", body)
	}
}

func TestPercentHitsAShareOfRequests(t *testing.T) {
	half := 50.0
	wanted, hits := &fault{Kind: kindFail, Percent: &half}, 0
	for range 10_000 {
		if wanted.hits("/") {
			hits++
		}
	}
	if hits < 4_500 || hits > 5_500 {
		t.Errorf("%d of 10000 requests were hit", hits)
	}
}

func TestSlowAnswersLate(t *testing.T) {
	r := start(t)
	r.breakIt(`{"kind":"slow","delay":"150ms"}`)
	before := time.Now()
	r.expect("/", 200)
	if took := time.Since(before); took < 150*time.Millisecond {
		t.Errorf("the answer came after %s", took)
	}
}

func TestHangNeverAnswersUsersAndLetsKubeletsPass(t *testing.T) {
	r := start(t)
	r.breakIt(`{"kind":"hang"}`)
	url := "http://" + r.users.Addr().String() + "/"
	if _, _, err := r.request(http.MethodGet, url, "", 100*time.Millisecond); err == nil {
		t.Error("there was an answer")
	}
	if _, err := r.grpcHealth(); err == nil {
		t.Error("there was an answer over gRPC")
	}
	r.expect("/livez", 200)
}

func TestRefuseClosesThePortsUntilItEnds(t *testing.T) {
	r := start(t)
	r.breakIt(`{"kind":"refuse"}`)
	if _, _, err := r.get("/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want a refused connection", err)
	}
	if _, err := r.grpcHealth(); err == nil {
		t.Error("there was an answer over gRPC")
	}
	r.breakIt(`{"kind":"lie"}`)
	r.expect("/healthz", 200)
	r.breakIt(`{"kind":"refuse"}`)
	r.control(http.MethodDelete, "")
	r.expect("/", 200)
}

func TestRefuseCutsOpenConnections(t *testing.T) {
	r := start(t)
	client := &http.Client{Timeout: time.Second}
	url := "http://" + r.users.Addr().String() + "/"
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	response.Body.Close()
	r.breakIt(`{"kind":"refuse"}`)
	if _, err := client.Get(url); err == nil {
		t.Error("a connection from before the fault still works")
	}
}

func TestCrashEndsTheProcessWithTheCode(t *testing.T) {
	r := start(t)
	r.breakIt(`{"kind":"crash","exitCode":137}`)
	if code := <-r.exits; code != 137 {
		t.Errorf("exit code %d, want 137", code)
	}
}

func TestAFaultEndsByItself(t *testing.T) {
	r := start(t)
	_, changed := r.faults.now()
	r.breakIt(`{"kind":"fail","duration":"50ms"}`)
	<-changed
	_, changed = r.faults.now()
	if current, _ := r.faults.now(); current != nil {
		<-changed
	}
	r.expect("/", 200)
}

func TestANewFaultOutlivesTheTimerOfTheOldOne(t *testing.T) {
	r := start(t)
	first, second := &fault{Kind: kindFail}, &fault{Kind: kindLie}
	for _, wanted := range []*fault{first, second} {
		if err := r.faults.set(wanted); err != nil {
			t.Fatal(err)
		}
	}
	r.faults.expire(first)
	if current, _ := r.faults.now(); current != second {
		t.Errorf("the fault in force is %v", current)
	}
}

func TestWatchTellsOfChanges(t *testing.T) {
	r := start(t)
	connection, err := grpc.NewClient(r.sample.grpc.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stream, err := healthpb.NewHealthClient(connection).Watch(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if got, err := stream.Recv(); got.GetStatus() != want {
			t.Errorf("got %v (%v), want %v", got, err, want)
		}
	}
	expect(healthpb.HealthCheckResponse_SERVING)
	r.breakIt(`{"kind":"fail"}`)
	expect(healthpb.HealthCheckResponse_NOT_SERVING)
	r.control(http.MethodDelete, "")
	expect(healthpb.HealthCheckResponse_SERVING)
}

func TestTheEndFreesRequestsThatHang(t *testing.T) {
	r := start(t)
	r.breakIt(`{"kind":"hang"}`)
	freed := make(chan error, 1)
	go func() {
		_, _, err := r.request(http.MethodGet, "http://"+r.users.Addr().String()+"/", "", 5*time.Second)
		freed <- err
	}()
	for {
		r.users.mutex.Lock()
		open := len(r.users.connections)
		r.users.mutex.Unlock()
		if open > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	r.stop()
	if err := <-freed; err == nil {
		t.Error("a request that hangs was answered")
	}
}

func TestWrongFaultsAreRefusedWithAReason(t *testing.T) {
	for body, reason := range map[string]string{
		`{"kind":"explode"}`:                    "use one of crash, fail, garble, hang, leak, lie, refuse, slow",
		`{}`:                                    "kind",
		`no json`:                               "not a fault",
		`{"kind":"fail","percentage":5}`:        "unknown field",
		`{"kind":"fail","percent":101}`:         "between 0 and 100",
		`{"kind":"fail","status":200}`:          "400 to 599",
		`{"kind":"fail","duration":"soon"}`:     "duration",
		`{"kind":"fail","duration":30}`:         "string",
		`{"kind":"fail","duration":"-1s"}`:      "not positive",
		`{"kind":"fail","path":"/admin"}`:       "use one of /, /buy",
		`{"kind":"fail","path":"/","all":true}`: "one of them",
		`{"kind":"fail","exitCode":1}`:          `no "exitCode"`,
		`{"kind":"slow"}`:                       "delay",
		`{"kind":"leak","rate":-1}`:             "negative",
		`{"kind":"crash","exitCode":256}`:       "between 0 and 255",
	} {
		_, err := parseFault(bytes.NewReader([]byte(body)))
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want a reason with %q", body, err, reason)
		}
	}
}
