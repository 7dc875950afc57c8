package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Handler serves the API of one facility.
type Handler struct {
	engines  Engines
	logger   hclog.Logger
	instance string
	mux      *http.ServeMux
	// beat is the time between heartbeats of an event stream.
	beat time.Duration
	// drained is done once Drain was called.
	drained context.Context
	drain   context.CancelFunc
}

var _ http.Handler = (*Handler)(nil)

// NewHandler makes the handler of engines. Each one has an instance name of
// its own, which clients take as one run of the agent.
func NewHandler(engines Engines, logger hclog.Logger) *Handler {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	h := &Handler{engines: engines, logger: logger.Named("api"), instance: rand.Text(), beat: heartbeat}
	h.drained, h.drain = context.WithCancel(context.Background())
	h.mux = http.NewServeMux()
	h.routes()
	return h
}

// Drain ends long-polls and event streams at once, now and from now on. Other
// requests are still answered.
func (h *Handler) Drain() { h.drain() }

func (h *Handler) routes() {
	h.mux.HandleFunc("GET /healthz", h.health)
	h.mux.HandleFunc("GET /v1/version", h.version)
	h.mux.HandleFunc("GET /v1/events", h.events)
	h.mux.HandleFunc("POST /v1/credentials", h.offerCredentials)

	h.mux.HandleFunc("GET /v1/facility", h.getFacility)
	h.mux.HandleFunc("PUT /v1/facility", h.applyFacility)
	h.mux.HandleFunc("PUT /v1/facility/recall", h.recallFacility)
	h.mux.HandleFunc("DELETE /v1/facility", h.releaseFacility)

	h.mux.HandleFunc("GET /v1/hosts", h.listHosts)
	h.mux.HandleFunc("GET /v1/hosts/{name}", h.getHost)
	h.mux.HandleFunc("PUT /v1/hosts/{name}", h.applyHost)
	h.mux.HandleFunc("PUT /v1/hosts/{name}/recall", h.recallHost)
	h.mux.HandleFunc("DELETE /v1/hosts/{name}", h.releaseHost)

	h.mux.HandleFunc("GET /v1/clusters", h.listClusters)
	h.mux.HandleFunc("GET /v1/clusters/{name}", h.getCluster)
	h.mux.HandleFunc("PUT /v1/clusters/{name}", h.applyCluster)
	h.mux.HandleFunc("DELETE /v1/clusters/{name}", h.deleteCluster)
	h.mux.HandleFunc("GET /v1/clusters/{name}/kubeconfig", h.kubeconfig)

	h.specRoutes()
}

// ServeHTTP routes one request; a panic in a handler is logged and answered.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	seen := &observed{ResponseWriter: w}
	seen.Header().Set(instanceHeader, h.instance)
	defer func() {
		if p := recover(); p != nil {
			h.panicked(seen, r, p)
		}
		h.logRequest(r, seen.status, time.Since(started))
	}()
	if h.unrouted(seen, r) {
		return
	}
	h.mux.ServeHTTP(seen, r)
}

// panicked answers 500, or cuts the connection when an answer has begun.
func (h *Handler) panicked(w *observed, r *http.Request, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	h.logger.Error("panic in a request", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler)
	}
	h.answer(w, http.StatusInternalServerError, errorAnswer{Error: &fault.Error{
		Class: fault.Final, Summary: "the agent failed internally",
		Seen: "a panic, see the agent's log", Advice: "please report it with the agent's log",
	}})
}

// unrouted answers in JSON what the mux would answer in plain text.
func (h *Handler) unrouted(w http.ResponseWriter, r *http.Request) bool {
	if _, pattern := h.mux.Handler(r); pattern != "" {
		return false
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := h.mux.Handler(probe); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	status, summary := http.StatusNotFound, "the agent has no such path"
	expected := "a path below /" + APIVersion + "; agent and client should be of the same version"
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		status, summary, expected = http.StatusMethodNotAllowed, "the path does not take this method", strings.Join(allowed, " or ")
	}
	h.answer(w, status, errorAnswer{Error: &fault.Error{
		Class: fault.Final, Summary: summary,
		Seen: clip(r.Method, 20) + " " + clip(r.URL.Path, 200), Expected: expected,
	}})
	return true
}

// logRequest never logs a query or a body: the path holds names only.
func (h *Handler) logRequest(r *http.Request, status int, took time.Duration) {
	level := hclog.Debug
	switch {
	case status >= http.StatusInternalServerError:
		level = hclog.Warn
	case r.Method != http.MethodGet:
		level = hclog.Info
	}
	h.logger.Log(level, "request", "method", clip(r.Method, 20), "path", clip(r.URL.Path, 200),
		"status", status, "took", took.Round(time.Microsecond))
}

func (h *Handler) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	text := "ok\n"
	if h.drained.Err() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = "shutting down\n"
	}
	if _, err := fmt.Fprint(w, text); err != nil {
		h.logger.Debug("client went away during an answer", "error", err)
	}
}

func (h *Handler) version(w http.ResponseWriter, _ *http.Request) {
	h.answer(w, http.StatusOK, Version{Version: h.engines.Version, API: APIVersion, Instance: h.instance})
}

// observed remembers the status code for the log. Unwrap gives
// http.ResponseController the connection's own methods.
type observed struct {
	http.ResponseWriter
	status int
}

func (o *observed) WriteHeader(status int) {
	if o.status == 0 {
		o.status = status
	}
	o.ResponseWriter.WriteHeader(status)
}

func (o *observed) Write(p []byte) (int, error) {
	if o.status == 0 {
		o.status = http.StatusOK
	}
	return o.ResponseWriter.Write(p)
}

func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }
