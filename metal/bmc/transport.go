package bmc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

const (
	// maxBody bounds an answer; the largest that are asked for here, pages of
	// log entries, are some hundred KiB.
	maxBody = 4 << 20
	// maxHeader bounds the header of an answer.
	maxHeader = 64 << 10
)

var errTooLarge = errors.New("answer too large")

// wire sends one request at a time to one BMC and counts them. Some BMCs hang
// after a burst of requests (omni issue 785), so nothing is sent in parallel.
type wire struct {
	base    *url.URL
	http    *http.Client
	timeout time.Duration
	log     hclog.Logger
	slot    chan struct{} // a mutex that can be given up on
	veil    veil

	requests, connections atomic.Int64
	last                  atomic.Pointer[string]
}

func newWire(base *url.URL, t trust, timeout time.Duration, log hclog.Logger) *wire {
	w := &wire{base: base, timeout: timeout, log: log, slot: make(chan struct{}, 1)}
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	w.http = &http.Client{
		// A BMC has no business sending credentials elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, addr)
				if err == nil {
					w.connections.Add(1)
				}
				return conn, err
			},
			TLSClientConfig:     t.tlsConfig(),
			TLSHandshakeTimeout: 20 * time.Second, // up to seconds on a busy BMC
			MaxConnsPerHost:     1,
			IdleConnTimeout:     time.Minute,
			// No Accept-Encoding at all: compression changes ETags on some BMCs
			// (sushy do-not-offer-compression-encoding), "identity" is answered
			// with 406 by HPE Gen10 (sushy accept-encoding).
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
		},
	}
	return w
}

// request is one to be sent.
type request struct {
	method, path string
	body         any
	header       map[string]string
	// repeatable allows the transport to send it again when a kept connection
	// turns out to be closed. GETs always are.
	repeatable bool
}

// send gives the BMC's answer, whatever its status; the error is a *fault.Error
// about not having got one.
func (w *wire) send(ctx context.Context, r request, authorize func(http.Header)) (*answer, error) {
	target, err := w.resolve(r.path)
	if err != nil {
		return nil, err
	}
	select {
	case w.slot <- struct{}{}:
		defer func() { <-w.slot }()
	case <-ctx.Done():
		return nil, transportFault(w.base, fmt.Errorf("waiting for the request before: %w", ctx.Err()))
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	req, err := newRequest(ctx, r, target)
	if err != nil {
		return nil, err
	}
	authorize(req.Header)
	began := time.Now()
	a, err := w.exchange(req)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err) // whatever the connection says of it
	}
	name := r.method + " " + target.EscapedPath()
	if err != nil {
		f := transportFault(w.base, err)
		w.note(fmt.Sprintf("%s -> no answer: %s", name, f.Seen))
		f.Evidence = []string{w.lastAnswer()}
		w.log.Debug("redfish", "request", w.lastAnswer(), "took", time.Since(began).Round(time.Millisecond))
		return nil, w.veilFault(f)
	}
	a.line = w.note(strings.TrimSpace(fmt.Sprintf("%s -> %d %s", name, a.status, a.summary())))
	w.log.Debug("redfish", "request", a.line, "took", time.Since(began).Round(time.Millisecond))
	return a, nil
}

func newRequest(ctx context.Context, r request, target *url.URL) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("encoding the body of %s %q: %w", r.method, r.path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return nil, fmt.Errorf("making %s %q: %w", r.method, r.path, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("OData-Version", "4.0")
	req.Header.Set("User-Agent", "terraform-provider-metal")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	if r.repeatable {
		// net/http: an empty list marks the request as idempotent without
		// sending the header. BMCs close kept connections at reuse (sushy
		// disable-conn-pooling).
		req.Header["Idempotency-Key"] = []string{}
	}
	return req, nil
}

func (w *wire) exchange(req *http.Request) (*answer, error) {
	w.requests.Add(1)
	resp, err := w.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(body) > maxBody {
		return nil, errTooLarge
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: body}, nil
}

// resolve turns a reference from a BMC into a URL on that same BMC: whatever
// host it names, nothing else is ever asked.
func (w *wire) resolve(ref string) (*url.URL, error) {
	bad := &fault.Error{Class: fault.NeedsPerson, Subject: subject(w.base), Attribute: "bmc.url",
		Summary: "the BMC refers to a resource outside its Redfish service", Seen: clean(ref, 200),
		Expected: "a path below /redfish/", Advice: "check that the URL is that of a BMC"}
	u, err := url.Parse(ref)
	if err != nil || len(ref) > 2048 || u.Opaque != "" || !strings.HasPrefix(u.Path, "/redfish/") || strings.Contains(u.Path, "/../") {
		return nil, bad
	}
	abs := *w.base
	out, err := url.Parse(abs.String() + u.EscapedPath())
	if err != nil {
		return nil, bad
	}
	out.RawQuery = u.RawQuery
	return out, nil
}

// note keeps line as the last answer and gives it back scrubbed and bounded.
func (w *wire) note(line string) string {
	line = clean(w.veil.hide(line), 500)
	w.last.Store(&line)
	return line
}

func (w *wire) lastAnswer() string {
	if p := w.last.Load(); p != nil {
		return *p
	}
	return ""
}
