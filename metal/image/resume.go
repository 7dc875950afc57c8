package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// ErrChanged says that the bytes behind a URL changed between two connections.
var ErrChanged = errors.New("the file behind the URL changed while it was read")

// ResumingReader reads a URL and, when the connection drops or stalls,
// continues where it was with a Range request. The zero values of the optional
// fields are usable. It is not safe for concurrent use.
type ResumingReader struct {
	// Client does the requests; nil is http.DefaultClient.
	Client *http.Client
	// Header is added to every request.
	Header http.Header
	URL    string
	// Offset is where to begin.
	Offset int64
	// SizeBytes is the whole file's expected size; 0: whatever the server says.
	SizeBytes int64
	// GiveUpAfter is how long to go on without one new byte; 0 is 2 minutes.
	GiveUpAfter time.Duration
	// Stall is how long a connection may be silent; 0 is 30 s.
	Stall time.Duration
	// MaxBackoff bounds the pause between attempts; 0 is 2 s.
	MaxBackoff time.Duration
	Logger     hclog.Logger

	ctx    context.Context
	body   *guardedBody
	cancel context.CancelFunc
	pos    int64
	etag   string
	total  int64 // -1: not known
	quiet  time.Time
	opened bool
	// Reopened counts the connections after the first.
	Reopened int
}

// permanentError is not tried again.
type permanentError struct{ err error }

func (e permanentError) Error() string { return e.err.Error() }
func (e permanentError) Unwrap() error { return e.err }

// Open connects; it comes before the first Read. ctx bounds all reads.
func (r *ResumingReader) Open(ctx context.Context) error {
	r.ctx, r.pos, r.total = ctx, r.Offset, -1
	if r.SizeBytes > 0 {
		r.total = r.SizeBytes
	}
	if r.Client == nil {
		r.Client = http.DefaultClient
	}
	if r.Logger == nil {
		r.Logger = hclog.NewNullLogger()
	}
	r.GiveUpAfter = orDefault(r.GiveUpAfter, 2*time.Minute)
	r.Stall = orDefault(r.Stall, 30*time.Second)
	r.MaxBackoff = orDefault(r.MaxBackoff, 2*time.Second)
	r.quiet = time.Now()
	return r.reconnect(nil)
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// Size is the whole file's size, or -1 when the server did not tell.
func (r *ResumingReader) Size() int64 { return r.total }

// Read reads on; io.EOF comes only after the whole file.
func (r *ResumingReader) Read(p []byte) (int, error) {
	for {
		if r.total >= 0 && r.pos >= r.total {
			return 0, io.EOF
		}
		if r.body == nil {
			return 0, fmt.Errorf("reading %q: not open", redact(r.URL))
		}
		n, err := r.body.Read(p)
		if n > 0 {
			if r.total >= 0 && r.pos+int64(n) > r.total {
				return 0, fmt.Errorf("reading %q: the server sends more than the %d bytes announced: %w",
					redact(r.URL), r.total, ErrChanged)
			}
			r.pos += int64(n)
			r.quiet = time.Now()
			return n, nil
		}
		if err == io.EOF && r.total < 0 {
			return 0, io.EOF
		}
		if err == nil {
			continue
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err := r.reconnect(err); err != nil {
			return 0, err
		}
	}
}

// Close ends the connection.
func (r *ResumingReader) Close() error {
	if r.body == nil {
		return nil
	}
	r.cancel()
	err := r.body.Close()
	r.body = nil
	return err
}

// reconnect opens the URL at the present position, again and again until it
// works, fails for good, or nothing was received for GiveUpAfter.
func (r *ResumingReader) reconnect(cause error) error {
	pause := 50 * time.Millisecond
	for {
		if r.body != nil {
			_ = r.Close() // the connection is broken already; its error was handled
		}
		if cause != nil {
			if err := r.pause(cause, pause); err != nil {
				return err
			}
			pause = min(2*pause, r.MaxBackoff)
			r.Reopened++
		}
		err := r.connect()
		if err == nil {
			return nil
		}
		var p permanentError
		if errors.As(err, &p) || r.ctx.Err() != nil {
			return fmt.Errorf("reading %q: %w", redact(r.URL), err)
		}
		cause = err
	}
}

func (r *ResumingReader) pause(cause error, d time.Duration) error {
	if since := time.Since(r.quiet); since > r.GiveUpAfter {
		return fmt.Errorf("reading %q: nothing received for %s: %w", redact(r.URL), since.Round(time.Second), cause)
	}
	r.Logger.Debug("connection lost, continuing", "offset", r.pos, "error", cause)
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-r.ctx.Done():
		return fmt.Errorf("reading %q: %w", redact(r.URL), r.ctx.Err())
	case <-t.C:
		return nil
	}
}

func (r *ResumingReader) connect() error {
	ctx, cancel := context.WithCancel(r.ctx)
	guard := time.AfterFunc(r.Stall, cancel)
	fail := func(err error) error {
		guard.Stop()
		cancel()
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return fail(permanentError{err})
	}
	for k, v := range r.Header {
		req.Header[k] = v
	}
	// Transparent decompression would make ranges and digests meaningless.
	req.Header.Set("Accept-Encoding", "identity")
	if r.pos > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.pos))
		if r.etag != "" {
			req.Header.Set("If-Range", r.etag)
		}
	}
	resp, err := r.Client.Do(req)
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the URL, whose query may carry a token
	}
	if err != nil {
		return fail(err)
	}
	guard.Stop()
	body := &guardedBody{ReadCloser: resp.Body, guard: guard, stall: r.Stall}
	if err := r.accept(resp, body); err != nil {
		_ = body.Close() // the answer's own error is the one that counts
		return fail(err)
	}
	r.body, r.cancel, r.opened = body, cancel, true
	return nil
}

// guardedBody cancels the request when one Read takes longer than stall: a
// half-open connection gives no error of its own.
type guardedBody struct {
	io.ReadCloser
	guard *time.Timer
	stall time.Duration
}

func (g *guardedBody) Read(p []byte) (int, error) {
	g.guard.Reset(g.stall)
	defer g.guard.Stop()
	return g.ReadCloser.Read(p)
}

// accept checks that the answer continues the same file at the right place.
func (r *ResumingReader) accept(resp *http.Response, body io.Reader) error {
	switch resp.StatusCode {
	case http.StatusOK:
		return r.acceptWhole(resp, body)
	case http.StatusPartialContent:
		start, total, err := contentRange(resp.Header.Get("Content-Range"))
		if err != nil || start != r.pos {
			return permanentError{fmt.Errorf("unusable Content-Range %q for offset %d", resp.Header.Get("Content-Range"), r.pos)}
		}
		return r.same(resp, total)
	case http.StatusRequestedRangeNotSatisfiable:
		return permanentError{ErrChanged}
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return fmt.Errorf("HTTP %s", resp.Status)
	}
	err := fmt.Errorf("HTTP %s", resp.Status)
	if resp.StatusCode >= 400 && resp.StatusCode < 500 && !r.opened {
		return permanentError{err}
	}
	return err // also for a server that served the file before, and restarted
}

// acceptWhole takes an answer from the file's beginning; when we are further
// (a server without ranges), what was read already is read again and dropped.
func (r *ResumingReader) acceptWhole(resp *http.Response, body io.Reader) error {
	if err := r.same(resp, resp.ContentLength); err != nil {
		return err
	}
	if r.pos == 0 {
		return nil
	}
	_, err := io.CopyN(io.Discard, body, r.pos)
	return err
}

func (r *ResumingReader) same(resp *http.Response, total int64) error {
	if total >= 0 {
		if r.total >= 0 && r.total != total {
			return permanentError{fmt.Errorf("%d bytes instead of %d: %w", total, r.total, ErrChanged)}
		}
		r.total = total
	}
	etag := resp.Header.Get("ETag")
	if strings.HasPrefix(etag, "W/") {
		etag = "" // a weak validator says nothing about bytes (RFC 9110 section 13.1.5)
	}
	if r.opened && r.etag != "" && etag != "" && r.etag != etag {
		return permanentError{ErrChanged}
	}
	r.etag = etag
	return nil
}

// contentRange parses "bytes 5-9/10"; total is -1 for "*".
func contentRange(h string) (start, total int64, err error) {
	span, size, ok := strings.Cut(strings.TrimPrefix(h, "bytes "), "/")
	first, _, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 {
		return 0, 0, fmt.Errorf("parsing Content-Range %q", h)
	}
	if start, err = strconv.ParseInt(first, 10, 64); err != nil {
		return 0, 0, fmt.Errorf("parsing Content-Range %q: %w", h, err)
	}
	if size == "*" {
		return start, -1, nil
	}
	if total, err = strconv.ParseInt(size, 10, 64); err != nil {
		return 0, 0, fmt.Errorf("parsing Content-Range %q: %w", h, err)
	}
	return start, total, nil
}

// redact leaves out a password and the query, which may carry a token.
func redact(raw string) string {
	base, _, _ := strings.Cut(raw, "?")
	if i := strings.Index(base, "://"); i >= 0 {
		rest := base[i+3:]
		host, path, _ := strings.Cut(rest, "/")
		if at := strings.LastIndex(host, "@"); at >= 0 {
			host = host[at+1:]
		}
		return base[:i+3] + host + "/" + path
	}
	return base
}
