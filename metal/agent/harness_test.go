package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// harness is an agent on one transport, with a client.
type harness struct {
	*Client
	fake *fakeEngine
	// stop ends the agent as gracefully as its transport does; it may be called twice.
	stop func()
	log  *logBuffer
}

// logBuffer collects what all loggers write at trace level.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: l, Level: hclog.Trace})
}

// eachTransport runs one test against an agent on each transport.
func eachTransport(t *testing.T, test func(t *testing.T, h *harness)) {
	t.Run("unix", func(t *testing.T) {
		t.Parallel()
		test(t, onSocket(t, newFake()))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, embeddedHarness(t, newFake()))
	})
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func onSocket(t testing.TB, fake *fakeEngine) *harness {
	t.Helper()
	log := &logBuffer{}
	socket := filepath.Join(shortDir(t), "s")
	stop := serve(t, socket, fake, log.logger())
	client, err := Dial(t.Context(), "unix://"+socket, Options{Version: "test", Logger: log.logger(), Patience: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeClient(t, client) })
	return &harness{Client: client, fake: fake, stop: stop, log: log}
}

// serve runs a server and returns how to stop it; it checks that it ends well.
func serve(t testing.TB, socket string, fake *fakeEngine, logger hclog.Logger) func() {
	t.Helper()
	return serveEngines(t, socket, fake.engines(), logger)
}

func serveEngines(t testing.TB, socket string, engines Engines, logger hclog.Logger) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	server := &Server{Socket: socket, Handler: NewHandler(engines, logger), Logger: logger, Ready: func() { close(ready) }}
	go func() { ended <- server.Serve(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("server ended with %v", err)
			}
		})
	}
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("server did not start: %v", err)
	}
	t.Cleanup(stop)
	return stop
}

func embeddedHarness(t testing.TB, fake *fakeEngine) *harness {
	t.Helper()
	log := &logBuffer{}
	client, err := Dial(t.Context(), "embedded:"+t.TempDir(),
		Options{Version: "test", Logger: log.logger(), Patience: 5 * time.Second, Open: fake.open})
	if err != nil {
		t.Fatal(err)
	}
	stop := func() { closeClient(t, client) }
	t.Cleanup(stop)
	return &harness{Client: client, fake: fake, stop: stop, log: log}
}

// onHandler serves a handler inside the process, for tests that prepare it.
func onHandler(t testing.TB, handler *Handler) *harness {
	t.Helper()
	listener := newPipeListener()
	server := newHTTPServer(handler, hclog.NewNullLogger())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	client := newClient("embedded:test", func(ctx context.Context) (net.Conn, error) { return listener.Dial(ctx) }, Options{})
	t.Cleanup(func() {
		closeClient(t, client)
		if err := shutdown(server, 0); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return &harness{Client: client}
}

func closeClient(t testing.TB, client *Client) {
	if err := client.Close(); err != nil {
		t.Errorf("closing a client: %v", err)
	}
}

// raw makes a request as another program would.
func (h *harness) raw(t testing.TB, method, path, body string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://agent"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := h.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

// called are the engine's calls so far.
func (f *fakeEngine) called() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.calls, "\n")
}

func hostSpec(name string) host.Spec {
	return host.Spec{Name: name, BMC: host.BMCSpec{URL: "https://192.0.2.1", Credentials: "lab"}, BootMAC: "52:54:00:00:00:01"}
}

func wantFault(t testing.TB, err error, class fault.Class, texts ...string) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("error %v (%T), want a *fault.Error", err, err)
	}
	if f.Class != class {
		t.Errorf("class %q of %v, want %q", f.Class, err, class)
	}
	for _, text := range texts {
		if all := f.Error() + "\n" + f.Attribute + "\n" + f.Detail(); !strings.Contains(all, text) {
			t.Errorf("fault has no %q:\n%s", text, all)
		}
	}
	return f
}

// serveOnce answers one request without a connection.
func serveOnce(handler http.Handler, path string, body []byte) (int, []byte) {
	method := http.MethodPut
	if path == "/v1/credentials" {
		method = http.MethodPost
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(method, path, bytes.NewReader(body)))
	return recorder.Code, recorder.Body.Bytes()
}
