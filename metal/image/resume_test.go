package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// flaky serves b but drops each connection after at most limit bytes.
type flaky struct {
	b        []byte
	limit    int
	ranges   bool
	etag     func(request int) string
	requests atomic.Int32
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(f.requests.Add(1))
	if f.etag != nil {
		w.Header().Set("ETag", f.etag(n))
	}
	start := 0
	if f.ranges && r.Header.Get("Range") != "" {
		if ir := r.Header.Get("If-Range"); ir == "" || ir == w.Header().Get("ETag") {
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start)
		}
	}
	if start >= len(f.b) && start > 0 {
		w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(f.b)-start))
	if start > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(f.b)-1, len(f.b)))
		w.WriteHeader(http.StatusPartialContent)
	}
	end := min(len(f.b), start+f.limit)
	if !f.ranges {
		end = min(len(f.b), f.limit*n)
	}
	_, _ = w.Write(f.b[start:end]) // the client may be gone: that is the test
	if end < len(f.b) {
		panic(http.ErrAbortHandler)
	}
}

func readAll(t *testing.T, h http.Handler, r *ResumingReader) ([]byte, error) {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	r.URL, r.Client = srv.URL+"/image?token=secret", srv.Client()
	if err := r.Open(context.Background()); err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestResumingReaderContinues(t *testing.T) {
	body := sparseImage(5, 3<<20)
	for name, f := range map[string]*flaky{
		"ranges":                {b: body, limit: 500_000, ranges: true},
		"ranges and etag":       {b: body, limit: 500_000, ranges: true, etag: func(int) string { return `"a"` }},
		"weak etag":             {b: body, limit: 500_000, ranges: true, etag: func(n int) string { return fmt.Sprintf(`W/"%d"`, n) }},
		"server without ranges": {b: body, limit: 900_000},
	} {
		t.Run(name, func(t *testing.T) {
			r := &ResumingReader{}
			got, err := readAll(t, f, r)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes, equal %v, error %v", len(got), bytes.Equal(got, body), err)
			}
			if r.Reopened < 3 {
				t.Errorf("reopened %d times", r.Reopened)
			}
		})
	}
}

func TestResumingReaderFailures(t *testing.T) {
	body := sparseImage(6, 1<<20)
	status := func(code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	for _, test := range []struct {
		name string
		h    http.Handler
		size int64
		want string
	}{
		{"changed etag", &flaky{b: body, limit: 300_000, ranges: true, etag: func(n int) string { return fmt.Sprintf(`"%d"`, n) }}, 0, ErrChanged.Error()},
		{"other size", &flaky{b: body, limit: 1 << 20, ranges: true}, 77, ErrChanged.Error()},
		{"not found", status(404), 0, "404"},
		{"always broken", status(503), 0, "503"},
		{"never a byte", &flaky{b: body, limit: 0, ranges: true}, 0, "nothing received"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := readAll(t, test.h, &ResumingReader{SizeBytes: test.size, GiveUpAfter: 200 * time.Millisecond, MaxBackoff: 50 * time.Millisecond})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the URL's query: %v", err)
			}
		})
	}
}

func TestResumingReaderLeavesSilentConnections(t *testing.T) {
	body, first := sparseImage(7, 1<<20), make(chan struct{})
	var n atomic.Int32
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			_, _ = w.Write(body[:1000])
			_ = http.NewResponseController(w).Flush()
			<-first // silent until the client gives up
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
	defer close(first)
	srv := httptest.NewServer(h)
	defer srv.CloseClientConnections()
	r := &ResumingReader{URL: srv.URL, Client: srv.Client(), Stall: 100 * time.Millisecond}
	if err := r.Open(context.Background()); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, body) || r.Reopened != 1 {
		t.Fatalf("%d bytes, reopened %d, error %v", len(got), r.Reopened, err)
	}
}

func TestResumingReaderStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer srv.Close()
	err := (&ResumingReader{URL: srv.URL}).Open(ctx)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 5-9/10")
	f.Add("bytes 5-9/*")
	f.Add("bytes */10")
	f.Fuzz(func(t *testing.T, h string) {
		if start, total, err := contentRange(h); err == nil && total < -1 && start < 0 {
			t.Errorf("%q: %d, %d", h, start, total)
		}
	})
}
