package installer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/klauspost/compress/zstd"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

const canary = "canary-token-5f2b"

// testAgent is an agent at the wire: TLS, sessions, orders from a function of
// the last report. It can be killed and come back on the same address.
type testAgent struct {
	t        *testing.T
	srv      *httptest.Server
	addr     string
	decide   func(order.Report) order.Order
	image    []byte
	imageEnd int // drop the image's connections after that many bytes; 0: never

	mu       sync.Mutex
	sessions map[string]string // key -> nonce
	nonces   map[string]bool
	reports  []order.Report
	bodies   bytes.Buffer
	news     chan struct{}
	refuse   bool
}

func startAgent(t *testing.T, decide func(order.Report) order.Order) *testAgent {
	a := &testAgent{t: t, decide: decide, addr: "127.0.0.1:0", sessions: map[string]string{}, nonces: map[string]bool{}, news: make(chan struct{}, 1000)}
	a.start()
	t.Cleanup(a.kill)
	return a
}

func (a *testAgent) start() {
	l, err := net.Listen("tcp", a.addr)
	if err != nil {
		a.t.Fatal(err)
	}
	a.addr = l.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+order.PathSession, a.session)
	mux.HandleFunc("POST "+order.PathExchange, a.exchange)
	mux.HandleFunc("GET /image", a.serveImage)
	a.srv = httptest.NewUnstartedServer(mux)
	_ = a.srv.Listener.Close() // replaced by one on the address of before
	a.srv.Listener = l
	a.srv.Config.ErrorLog = hclog.NewNullLogger().StandardLogger(nil)
	a.srv.StartTLS()
}

// kill ends the agent at once: connections break, the session table is lost.
func (a *testAgent) kill() {
	a.srv.CloseClientConnections()
	a.srv.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.sessions)
}

func (a *testAgent) pin() string {
	s := sha256.Sum256(a.srv.Certificate().Raw)
	return hex.EncodeToString(s[:])
}

func (a *testAgent) config() Config {
	return Config{AgentURL: "https://" + a.addr, Pin: a.pin(), Token: canary}
}

func (a *testAgent) session(w http.ResponseWriter, r *http.Request) {
	var req order.SessionRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		a.t.Error(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nonces[req.Nonce] = true
	if req.Token != canary || len(a.nonces) > 1 || a.refuse {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	key := "key-" + req.Nonce
	a.sessions[key] = req.Nonce
	a.answer(w, order.SessionResponse{Key: key, Host: "node-1"})
}

func (a *testAgent) exchange(w http.ResponseWriter, r *http.Request) {
	var report order.Report
	body := new(bytes.Buffer)
	if _, err := body.ReadFrom(r.Body); err != nil {
		return // the installer went away
	}
	if err := json.Unmarshal(body.Bytes(), &report); err != nil {
		a.t.Error(err)
	}
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.sessions[key]; !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	a.bodies.Write(body.Bytes())
	a.reports = append(a.reports, report)
	a.answer(w, a.decide(report))
	select {
	case a.news <- struct{}{}:
	default:
	}
}

func (a *testAgent) answer(w http.ResponseWriter, v any) {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		a.t.Log("the installer went away:", err)
	}
}

func (a *testAgent) serveImage(w http.ResponseWriter, r *http.Request) {
	if a.imageEnd > 0 {
		w = &droppingWriter{ResponseWriter: w, left: a.imageEnd}
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.image))
}

type droppingWriter struct {
	http.ResponseWriter
	left int
}

func (d *droppingWriter) Write(p []byte) (int, error) {
	if len(p) > d.left {
		panic(http.ErrAbortHandler)
	}
	d.left -= len(p)
	return d.ResponseWriter.Write(p)
}

// waitFor returns the first report, past or future, that ok accepts.
func (a *testAgent) waitFor(what string, ok func(order.Report) bool) order.Report {
	a.t.Helper()
	limit := time.After(30 * time.Second)
	for next := 0; ; {
		a.mu.Lock()
		for ; next < len(a.reports); next++ {
			if r := a.reports[next]; ok(r) {
				a.mu.Unlock()
				return r
			}
		}
		a.mu.Unlock()
		select {
		case <-a.news:
		case <-limit:
			a.t.Fatalf("no report with %s", what)
		}
	}
}

func (a *testAgent) all() []order.Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]order.Report(nil), a.reports...)
}

func finished(id, state string) func(order.Report) bool {
	return func(r order.Report) bool {
		return r.Progress != nil && r.Progress.OrderID == id && r.Progress.State == state
	}
}

// sequence gives the orders one after the other, each when the one before is done.
func sequence(orders ...order.Order) func(order.Report) order.Order {
	return func(r order.Report) order.Order {
		if r.Progress == nil {
			return orders[0]
		}
		for i, o := range orders {
			if r.Progress.OrderID != o.ID {
				continue
			}
			if r.Progress.State == order.Done && i+1 < len(orders) {
				return orders[i+1]
			}
			return o // given again: it must not be done again
		}
		return order.Order{Kind: order.Wait}
	}
}

// testMachine is a simulated machine with one disk of 64 MiB.
type testMachine struct {
	*Simulated
	disk *FileDisk
	ends chan Ending
}

func newMachine(t *testing.T) *testMachine {
	t.Helper()
	disk, err := NewFileDisk(filepath.Join(t.TempDir(), "disk"), 64<<20, order.Disk{Name: "/dev/vda", Serial: "S1"})
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan Ending, 4)
	return &testMachine{&Simulated{Disks: []*FileDisk{disk}, End: func(e Ending) { ends <- e }}, disk, ends}
}

func (m *testMachine) ref() order.DiskRef {
	return order.DiskRef{Name: "/dev/vda", Serial: "S1", SizeBytes: 64 << 20}
}

// run starts the installer; its result comes on the channel.
func run(t *testing.T, m Machine, o Options) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done, ended := make(chan error, 1), make(chan struct{})
	if o.ReportEvery == 0 {
		o.ReportEvery = 10 * time.Millisecond
	}
	go func() {
		defer close(ended)
		done <- Run(ctx, m, o)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return done
}

func await[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// testImage is noise with holes, and its zstd form.
func testImage(t *testing.T, size int) (raw, packed []byte) {
	t.Helper()
	raw = make([]byte, size)
	state := uint32(1)
	for i := range raw {
		if i>>20%3 == 1 || i < 1<<20 && i > 4096 {
			continue
		}
		state = state*1664525 + 1013904223
		raw[i] = byte(state >> 24)
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw, enc.EncodeAll(raw, nil)
}

func (a *testAgent) writeOrder(id string, m *testMachine, raw []byte) order.Order {
	s := sha256.Sum256(a.image)
	return order.Order{ID: id, Kind: order.WriteImage, WriteImage: &order.WriteImageOrder{
		Disk: m.ref(), URL: "https://" + a.addr + "/image", SHA256: hex.EncodeToString(s[:]), SizeBytes: int64(len(a.image)),
		Format: "zstd", RawSizeBytes: int64(len(raw)), Mark: order.Mark{Host: "node-1", Deployment: "d1"},
		Seed:  order.Seed{MetaData: "instance-id: d1\n", UserData: "#cloud-config\n"},
		Files: []order.File{{Path: "/etc/metal/x", Mode: 0o640, Content: []byte("x")}},
	}}
}
