package image

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestValidate(t *testing.T) {
	good := strings.Repeat("a1", 32)
	for _, test := range []struct {
		src       Source
		attribute string
	}{
		{Source{URL: "https://host/x.zst", SHA256: good}, ""},
		{Source{URL: "file:///x.img", SHA256: strings.ToUpper(good), Format: Raw}, ""},
		{Source{URL: "file://x.img", SHA256: good}, "image.url"},
		{Source{URL: "ftp://host/x", SHA256: good}, "image.url"},
		{Source{URL: "https:///x", SHA256: good}, "image.url"},
		{Source{URL: "https://host/x", SHA256: "abc"}, "image.sha256"},
		{Source{URL: "https://host/x"}, "image.sha256"},
		{Source{URL: "https://host/x", SHA256: good, Format: "qcow2"}, "image.format"},
	} {
		err := test.src.Validate()
		var f *fault.Error
		if errors.As(err, &f); (test.attribute == "") != (err == nil) || f != nil && f.Attribute != test.attribute {
			t.Errorf("%+v: %v", test.src, err)
		}
	}
}

func writeImage(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFetchFileHashesOnce(t *testing.T) {
	packed := pack(t, Zstd, sparseImage(8, 1<<20))
	path, cache := writeImage(t, "i.zst", packed), t.TempDir()
	if err := os.WriteFile(path+".json", []byte(`{"kubernetes":"v1.36.4"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	src := Source{URL: "file://" + path, SHA256: sum(packed)}
	local, err := Fetch(context.Background(), src, cache)
	if err != nil || local.Path != path || local.Format != Zstd || local.SizeBytes != int64(len(packed)) || local.Metadata.Kubernetes != "v1.36.4" {
		t.Fatalf("%+v, %v", local, err)
	}
	// Same path, size, time and inode: the old verdict holds, so nothing was read.
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	packed[100] ^= 1
	overwrite(t, path, packed, st.ModTime())
	if _, err := Fetch(context.Background(), src, cache); err != nil {
		t.Fatalf("the file was hashed again: %v", err)
	}
	overwrite(t, path, packed, st.ModTime().Add(time.Second))
	_, err = Fetch(context.Background(), src, cache)
	var f *fault.Error
	if !errors.Is(err, ErrDigest) || !errors.As(err, &f) || f.Attribute != "image.sha256" || !strings.Contains(f.Seen, sum(packed)) {
		t.Fatalf("a changed file: %v", err)
	}
}

func overwrite(t *testing.T, path string, b []byte, at time.Time) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Close(), os.Chtimes(path, at, at)); err != nil {
		t.Fatal(err)
	}
}

func TestFetchMissingFile(t *testing.T) {
	_, err := Fetch(context.Background(), Source{URL: "file:///nowhere/x.img", SHA256: sum(nil)}, t.TempDir())
	if fault.ClassOf(err) != fault.NeedsPerson {
		t.Fatalf("got %v", err)
	}
}

func TestFetchDownloadsOnceForAll(t *testing.T) {
	body := pack(t, Gzip, sparseImage(9, 1<<20))
	f := &flaky{b: body, limit: 200_000, ranges: true}
	var images atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".json") {
			http.NotFound(w, r)
			return
		}
		if r.Header.Get("Range") == "" {
			images.Add(1)
		}
		f.ServeHTTP(w, r)
	}))
	defer srv.Close()
	src, cache := Source{URL: srv.URL + "/i.gz", SHA256: sum(body)}, t.TempDir()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			l, err := Fetch(context.Background(), src, cache)
			if err != nil || l.Path != filepath.Join(cache, sum(body)) || l.Format != Gzip {
				t.Errorf("%+v, %v", l, err)
			}
		})
	}
	wg.Wait()
	if images.Load() != 1 {
		t.Errorf("downloaded %d times", images.Load())
	}
}

func TestFetchContinuesPartAndRepairsCache(t *testing.T) {
	body := sparseImage(10, 1<<20)
	cache := t.TempDir()
	path := filepath.Join(cache, sum(body))
	f := &flaky{b: body, limit: 1 << 30, ranges: true}
	srv := httptest.NewServer(f)
	defer srv.Close()
	src := Source{URL: srv.URL, SHA256: sum(body), Format: Raw}
	for name, prepare := range map[string]func() error{
		"part":          func() error { return os.WriteFile(path+".part", body[:700_000], 0o644) },
		"too long part": func() error { return os.WriteFile(path+".part", append(body[:len(body):len(body)], 1, 2, 3), 0o644) },
		"damaged cache": func() error { return os.WriteFile(path, body[:1000], 0o644) },
	} {
		if err := errors.Join(os.RemoveAll(path), prepare()); err != nil {
			t.Fatal(err)
		}
		if _, err := (Fetcher{}).obtain(context.Background(), src, cache); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := os.ReadFile(path)
		if err != nil || sum(got) != sum(body) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestFetchKeepsNothingWrong(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("other")) }))
	defer srv.Close()
	cache := t.TempDir()
	_, err := Fetch(context.Background(), Source{URL: srv.URL, SHA256: sum([]byte("wanted"))}, cache)
	if !errors.Is(err, ErrDigest) {
		t.Fatalf("got %v", err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range left {
		if !strings.HasSuffix(l, ".lock") {
			t.Errorf("kept %s", l)
		}
	}
}

func TestReadMetadata(t *testing.T) {
	for _, test := range []struct {
		name string
		code int
		body string
		ok   bool
	}{
		{"there", 200, `{"name":"debian","raw_size_bytes":42,"unknown":true}`, true},
		{"missing", 404, "", true},
		{"hidden", 403, "", true},
		{"nonsense", 200, "<html>", false},
		{"huge", 200, strings.Repeat(" ", metadataLimit+1) + "{}", false},
		{"broken server", 500, "", false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/i.zst.json" || r.URL.RawQuery != "a=b" {
				t.Errorf("asked for %s", r.URL)
			}
			w.WriteHeader(test.code)
			_, _ = w.Write([]byte(test.body))
		}))
		m, err := ReadMetadata(context.Background(), Source{URL: srv.URL + "/i.zst?a=b", SHA256: sum(nil)})
		srv.Close()
		if (err == nil) != test.ok || test.name == "there" && (m.Name != "debian" || m.RawSizeBytes != 42) {
			t.Errorf("%s: %+v, %v", test.name, m, err)
		}
	}
}
