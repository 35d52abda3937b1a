package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
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

func start(t *testing.T) *running { return startWith(t, "") }

func startWith(t *testing.T, certificates string) *running {
	t.Helper()
	exits := make(chan int, 1)
	free := "127.0.0.1:0"
	sample, err := newSample(addresses{free, free, free, free, certificates}, func(code int) { exits <- code })
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

// ask sends a request with a token, and reads the answer into `into` unless that is nil.
func (r *running) ask(method, path, token, body string, into any) int {
	r.Helper()
	request, err := http.NewRequest(method, "http://"+r.users.Addr().String()+path, strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	defer response.Body.Close()
	if into != nil {
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			r.Fatal(err)
		}
	}
	return response.StatusCode
}

// counted reads what the control API counts.
func (r *running) counted(what string) (counts struct{ Open, Made, Begun, Ended int }) {
	r.Helper()
	_, body, err := r.request(http.MethodGet, "http://"+r.sample.control.Addr().String()+what, "", time.Second)
	if err := errors.Join(err, json.Unmarshal([]byte(body), &counts)); err != nil {
		r.Fatal(err)
	}
	return counts
}

func (r *running) expectSessions(open, made int) {
	r.Helper()
	if counted := r.counted("/sessions"); counted.Open != open || counted.Made != made {
		r.Errorf("%d of %d sessions are open, want %d of %d", counted.Open, counted.Made, open, made)
	}
}

func TestASessionLastsUntilItIsEnded(t *testing.T) {
	r := start(t)
	var login struct{ Token string }
	if status := r.ask("POST", "/login", "", `{"password": "open sesame"}`, &login); status != 200 || login.Token == "" {
		t.Fatalf("login: %d %v", status, login)
	}
	var session struct{ ID string }
	if status := r.ask("POST", "/sessions", login.Token, "", &session); status != 201 {
		t.Fatalf("a session: %d", status)
	}
	path := "/sessions/" + session.ID
	for _, step := range []struct {
		method string
		status int
		open   int
	}{{"GET", 200, 1}, {"DELETE", 204, 0}, {"GET", 404, 0}, {"DELETE", 204, 0}} {
		if status := r.ask(step.method, path, login.Token, "", nil); status != step.status {
			t.Errorf("%s %s: got %d, want %d", step.method, path, status, step.status)
		}
		r.expectSessions(step.open, 1)
	}
}

func TestNobodyHasASessionWhoDidNotLogIn(t *testing.T) {
	r := start(t)
	for _, body := range []string{`{"password": "guess"}`, `{}`, `open sesame`, ""} {
		if status := r.ask("POST", "/login", "", body, nil); status != 401 {
			t.Errorf("login with %q: %d", body, status)
		}
	}
	for _, request := range [][2]string{{"POST", "/sessions"}, {"GET", "/sessions/session-1"}, {"DELETE", "/sessions/session-1"}} {
		if status := r.ask(request[0], request[1], "guess", "", nil); status != 401 {
			t.Errorf("%v: %d", request, status)
		}
	}
	r.expectSessions(0, 0)
}

func TestARequestIsUnderWayUntilItEnds(t *testing.T) {
	r := start(t)
	r.expect("/livez", 200)
	r.breakIt(`{"kind":"hang"}`)
	if _, _, err := r.request(http.MethodGet, "http://"+r.users.Addr().String()+"/", "", 100*time.Millisecond); err == nil {
		t.Error("there was an answer")
	}
	for counted := r.counted("/requests"); counted.Ended < 2; counted = r.counted("/requests") {
		if counted.Begun != 2 {
			t.Fatalf("%d requests began, want 2", counted.Begun)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestSessionsThatNobodyEndsLeaveNoRoomForOthers(t *testing.T) {
	r := start(t)
	var login struct{ Token string }
	r.ask("POST", "/login", "", `{"password": "open sesame"}`, &login)
	for number := range mostSessions + 1 {
		want := http.StatusCreated
		if number == mostSessions {
			want = http.StatusServiceUnavailable
		}
		if status := r.ask("POST", "/sessions", login.Token, "", nil); status != want {
			t.Fatalf("session %d: got %d, want %d", number, status, want)
		}
	}
	r.expectSessions(mostSessions, mostSessions)
}

func TestAFaultBreaksSessionsToo(t *testing.T) {
	r := start(t)
	r.breakIt(`{"kind":"fail"}`)
	for _, request := range [][2]string{{"POST", "/login"}, {"POST", "/sessions"}, {"GET", "/sessions/x"}, {"GET", "/echo"}, {"GET", "/old"}} {
		if status := r.ask(request[0], request[1], "", "", nil); status != 503 {
			t.Errorf("%v: got %d, want 503", request, status)
		}
	}
}

func TestEchoSaysWhatItWasAsked(t *testing.T) {
	r := start(t)
	var said struct {
		Method, Protocol, Body string
		Headers                map[string]string
	}
	status := r.ask("POST", "/echo", "mine", "all of it", &said)
	if status != 200 || said.Method != "POST" || said.Protocol != "HTTP/1.1" || said.Body != "all of it" || said.Headers["authorization"] != "Bearer mine" {
		t.Errorf("got %d %v", status, said)
	}
}

func TestTheOldAddressLeadsToTheNew(t *testing.T) {
	r := start(t)
	r.expect("/old", 200) // having followed
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Get("http://" + r.users.Addr().String() + "/old")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	client.CloseIdleConnections()
	if response.StatusCode != 302 || response.Header.Get("Location") != "/" {
		t.Errorf("got %d to %q", response.StatusCode, response.Header.Get("Location"))
	}
}

func TestWithACertificateThereIsTLS(t *testing.T) {
	folder, roots := certificates(t)
	r := startWith(t, folder)
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "shop.test"},
	}}
	url := "https://" + r.sample.tls.Addr().String()
	response, err := client.Get(url + "/echo")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 || response.ProtoMajor != 2 {
		t.Errorf("got %d by %s", response.StatusCode, response.Proto)
	}
	r.breakIt(`{"kind":"refuse"}`)
	if _, err := client.Get(url + "/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want a refused connection", err)
	}
}

func TestACertificateThatIsMissingEndsTheSample(t *testing.T) {
	free := "127.0.0.1:0"
	sample, err := newSample(addresses{free, free, free, free, t.TempDir()}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := sample.run(context.Background()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that the file is missing", err)
	}
	_ = sample.shutDown()
}

// certificates writes a key pair for shop.test, and gives its folder and who trusts it.
func certificates(t *testing.T) (string, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.test"}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: certificate}, "tls.key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	return folder, roots
}

func TestAKeptFaultIsBackWhenTheProcessStartsAgain(t *testing.T) {
	folder := needs{scratch: t.TempDir()}
	before := start(t)
	if err := before.need(folder); err != nil {
		t.Fatal(err)
	}
	before.breakIt(`{"kind":"fail","status":500,"keep":true}`)
	after := start(t)
	if err := after.need(folder); err != nil {
		t.Fatal(err)
	}
	after.expect("/buy", 500)
	after.control(http.MethodDelete, "")
	healed := start(t)
	if err := healed.need(folder); err != nil {
		t.Fatal(err)
	}
	healed.expect("/buy", 200)
}

func TestAFaultCannotBeKeptNowhere(t *testing.T) {
	r := start(t)
	for _, fault := range []string{`{"kind":"fail","keep":true}`, `{"kind":"fill"}`} {
		if status, answer := r.control(http.MethodPost, fault); status != 500 || !strings.Contains(answer, "-scratch") {
			t.Errorf("%s: got %d %q, want 500 and the flag that is missing", fault, status, answer)
		}
	}
}

func TestAReleaseMayBeBrokenFromTheStart(t *testing.T) {
	r := start(t)
	if err := r.need(needs{fault: `{"kind":"fail"}`}); err != nil {
		t.Fatal(err)
	}
	r.expect("/", 503)
	if err := r.need(needs{fault: `{"kind":"explode"}`}); err == nil {
		t.Error("a fault that does not exist was taken")
	}
}

func TestUsersGetNothingWhileTheDiskIsNotThere(t *testing.T) {
	r := start(t)
	if err := r.need(needs{scratch: filepath.Join(t.TempDir(), "missing")}); err != nil {
		t.Fatal(err)
	}
	for path, status := range map[string]int{"/": 507, "/healthz": 507, "/livez": 200} {
		r.expect(path, status)
	}
}

func TestWithoutItsUpstreamAServiceFailsItsUsers(t *testing.T) {
	behind, r := start(t), start(t)
	if err := r.need(needs{upstream: behind.users.Addr().String()}); err != nil {
		t.Fatal(err)
	}
	r.expect("/buy", 200)
	behind.breakIt(`{"kind":"refuse"}`)
	for path, status := range map[string]int{"/buy": 502, "/healthz": 502, "/livez": 200} {
		r.expect(path, status)
	}
}

func TestAHogTakesAllConnectionsUntilItEnds(t *testing.T) {
	hog, r := start(t), start(t)
	if err := r.need(needs{connections: 2}); err != nil {
		t.Fatal(err)
	}
	hog.breakIt(`{"kind":"hog","count":4,"address":"` + r.users.Addr().String() + `"}`)
	r.eventually("users are turned away", func() bool { _, _, err := r.get("/"); return err != nil })
	hog.control(http.MethodDelete, "")
	r.eventually("users are let in", func() bool { status, _, _ := r.get("/"); return status == 200 })
}

func (r *running) eventually(what string, holds func() bool) {
	r.Helper()
	for deadline := time.Now().Add(5 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			r.Fatalf("not within 5 s: %s", what)
		}
	}
}

func TestAPauseStopsTheProcessAfterItsAnswer(t *testing.T) {
	r, paused := start(t), make(chan struct{})
	r.faults.effects.pause = func() { close(paused) }
	r.breakIt(`{"kind":"pause"}`)
	select {
	case <-paused:
	case <-time.After(time.Second):
		t.Error("it did not pause")
	}
}

func TestWrongFaultsAreRefusedWithAReason(t *testing.T) {
	for body, reason := range map[string]string{
		`{"kind":"explode"}`:                    "use one of crash, fail, fill, garble, hang, hog, leak, lie, pause, refuse, slow",
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
		`{"kind":"hog","count":1}`:              "address",
		`{"kind":"hog","address":"db:80"}`:      "between 1 and 1000",
		`{"kind":"pause","keep":true}`:          `no "keep"`,
	} {
		_, err := parseFault(bytes.NewReader([]byte(body)))
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: got %v, want a reason with %q", body, err, reason)
		}
	}
}
