package netboot

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

type httpRig struct {
	url   string
	dir   string
	hosts *directory
	seen  *witness
	log   *bytes.Buffer
}

func newHTTPRig(t *testing.T, extra http.Handler) *httpRig {
	t.Helper()
	r := &httpRig{dir: installerDir(t, 40000), hosts: newDirectory(host(1), host(2)), seen: newWitness(), log: &bytes.Buffer{}}
	s := newServer(t.Context(), Config{InstallerDir: r.dir, Extra: extra, Observe: r.seen.observe,
		Logger: hclog.New(&hclog.LoggerOptions{Output: r.log, Level: hclog.Trace})}, nil, r.hosts)
	web := httptest.NewServer(paced(s.handler()))
	t.Cleanup(web.Close)
	r.url = web.URL
	return r
}

func (r *httpRig) do(t *testing.T, method, path string, header ...string) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, body
}

// filled is the image as host n must get it.
func filled(n int) []byte {
	image := testUKI(40000)
	at := bytes.Index(image, []byte("console=tty0 default"))
	copy(image[at:at+room], fmt.Sprintf("%-*s", room, host(n).Boot.Cmdline))
	return image
}

func path(n int, file string) string { return "/boot/" + host(n).Boot.Token + "/" + file }

func TestImageIsFilledInForEachHost(t *testing.T) {
	r := newHTTPRig(t, nil)
	etags := map[string]bool{}
	for n := 1; n <= 2; n++ {
		response, body := r.do(t, "GET", path(n, FileInstaller))
		if response.StatusCode != 200 || !bytes.Equal(body, filled(n)) {
			t.Fatalf("host %d: status %s, %d bytes, not the expected image", n, response.Status, len(body))
		}
		if got := response.Header.Get("Content-Type"); got != "application/efi" {
			t.Errorf("type %q", got)
		}
		etags[response.Header.Get("ETag")] = true
	}
	if len(etags) != 2 || etags[""] {
		t.Errorf("ETags %v", etags)
	}
	response, body := r.do(t, "HEAD", path(1, FileInstaller))
	if response.ContentLength != int64(len(filled(1))) || len(body) != 0 || response.Header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("HEAD: %v", response.Header)
	}
	done := r.seen.await(t, "the end of the download", func(o Observation) bool { return o.Done && o.Client == "node-1" && o.Bytes > 0 })
	if done.File != FileInstaller || done.Bytes != done.Total || done.MAC != host(1).MAC.String() || done.Remote.String() != "127.0.0.1" || done.Time.IsZero() {
		t.Errorf("observed %+v", done)
	}
}

func TestRangesAreOfTheFilledImage(t *testing.T) {
	r := newHTTPRig(t, nil)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	whole := filled(1)
	at := bytes.Index(whole, []byte(host(1).Boot.Cmdline))
	starts := []int{0, at - 1, at, at + 1, at + room - 1, at + room, len(whole) - 1}
	for range 100 {
		starts = append(starts, rnd.IntN(len(whole)))
	}
	for _, from := range starts {
		to := min(from+rnd.IntN(2000), len(whole)-1)
		response, body := r.do(t, "GET", path(1, FileInstaller), "Range", fmt.Sprintf("bytes=%d-%d", from, to))
		if response.StatusCode != 206 || !bytes.Equal(body, whole[from:to+1]) {
			t.Fatalf("range %d-%d: status %s, %q", from, to, response.Status, body[:min(len(body), 80)])
		}
	}
	response, _ := r.do(t, "GET", path(1, FileInstaller))
	etag := response.Header.Get("ETag")
	if response, _ := r.do(t, "GET", path(1, FileInstaller), "Range", "bytes=5-9", "If-Range", etag); response.StatusCode != 206 {
		t.Errorf("continuing with the right ETag: %s", response.Status)
	}
	boot := host(1)
	boot.Boot = &Boot{Token: boot.Boot.Token, Cmdline: "other"}
	r.hosts.put(boot)
	if response, _ := r.do(t, "GET", path(1, FileInstaller), "Range", "bytes=5-9", "If-Range", etag); response.StatusCode != 200 {
		t.Errorf("continuing another content: %s", response.Status)
	}
	if response, _ := r.do(t, "GET", path(1, FileInstaller), "Range", "bytes=99999999-"); response.StatusCode != 416 {
		t.Errorf("a range behind the end: %s", response.Status)
	}
}

func TestFilesForIPXE(t *testing.T) {
	r := newHTTPRig(t, nil)
	_, body := r.do(t, "GET", path(1, "ipxe"))
	for _, line := range []string{"#!ipxe\n", "\nkernel vmlinuz initrd=initramfs.zst metal.host=1 console=ttyS0 || goto failed\n", "\ninitrd initramfs.zst || goto failed\n", "\nboot || goto failed\n"} {
		if !strings.Contains(string(body), line) {
			t.Errorf("the script has no %q:\n%s", line, body)
		}
	}
	if !strings.HasPrefix(string(body), "#!ipxe\n") || strings.Contains(string(body), "token") {
		t.Errorf("script:\n%s", body)
	}
	for _, name := range []string{FileKernel, FileInitramfs} {
		want, err := os.ReadFile(filepath.Join(r.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, body := r.do(t, "GET", path(2, name)); !bytes.Equal(body, want) {
			t.Errorf("%s: %d bytes, want %d", name, len(body), len(want))
		}
		if _, body := r.do(t, "GET", path(2, name), "Range", "bytes=7-19"); !bytes.Equal(body, want[7:20]) {
			t.Errorf("part of %s: %q", name, body)
		}
	}
}

func TestNotServed(t *testing.T) {
	r := newHTTPRig(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, "extra ", q.URL.Path) }))
	token := host(1).Boot.Token
	for _, p := range []string{
		"/boot/unknown/installer.efi", "/boot//installer.efi", "/boot/", "/boot/" + token, "/boot/" + token + "/", "/boot/" + token + "/nothing", "/boot/" + token + "/" + FileUEFI,
		"/boot/" + token + "/installer.efi/x", "/boot/" + token + "/..%2f..%2fetc%2fpasswd", "/boot/" + token + "/" + strings.Repeat("x", 5000),
	} {
		if response, body := r.do(t, "GET", p); response.StatusCode != 404 && response.StatusCode != 307 && response.StatusCode != 301 || bytes.Contains(body, []byte("extra")) {
			t.Errorf("GET %.60s: %s %.60q", p, response.Status, body)
		}
	}
	if response, _ := r.do(t, "POST", path(1, FileInstaller)); response.StatusCode != 404 {
		t.Errorf("POST: %s", response.Status)
	}
	if _, body := r.do(t, "GET", "/images/a.raw"); string(body) != "extra /images/a.raw" {
		t.Errorf("extra handler: %q", body)
	}
	if response, _ := r.do(t, "GET", "/", "X", strings.Repeat("x", 2<<20)); response.StatusCode != 431 {
		t.Errorf("2 MiB of header: %s", response.Status)
	}
	done := host(1)
	done.Boot = nil
	r.hosts.put(done)
	if response, _ := r.do(t, "GET", path(1, FileInstaller)); response.StatusCode != 404 {
		t.Errorf("a token that is not valid any more: %s", response.Status)
	}
	if strings.Contains(r.log.String(), token) {
		t.Errorf("the token is in the log:\n%s", r.log)
	}
}

func TestCommandLinesThatCannotBe(t *testing.T) {
	r := newHTTPRig(t, nil)
	cases := map[string]struct{ cmdline, file, word string }{
		"too long":       {strings.Repeat("x", room+1), FileInstaller, "at most 700 bytes"},
		"two lines":      {"a\nb", FileInstaller, "0x0a"},
		"not ASCII":      {"ä", FileInstaller, "printable ASCII"},
		"iPXE lines":     {"a\nshell", fileScript, "0x0a"},
		"iPXE settings":  {"a=${net0/ip}", fileScript, "expand"},
		"iPXE operators": {"a || shell", fileScript, "operator"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			client := host(1)
			client.Boot = &Boot{Token: client.Boot.Token, Cmdline: c.cmdline}
			r.hosts.put(client)
			response, body := r.do(t, "GET", path(1, c.file))
			if response.StatusCode != 500 || strings.Contains(string(body), r.dir) {
				t.Errorf("%s %q", response.Status, body)
			}
			err := CheckCmdline(r.dir, c.cmdline)
			if err == nil {
				t.Fatal("CheckCmdline accepts it")
			}
			full := err.Error()
			if f := asFault(err); f != nil {
				full += f.Detail()
			}
			if !strings.Contains(full, c.word) {
				t.Errorf("%q does not say %q", full, c.word)
			}
		})
	}
	if err := CheckCmdline(r.dir, strings.Repeat("x", room)); err != nil {
		t.Errorf("one that just fits: %v", err)
	}
}

func TestBrokenImages(t *testing.T) {
	full := []byte(strings.Repeat(" ", 512))
	cases := map[string][]byte{
		"not a PE file":          []byte("MZ nothing"),
		"no section":             makePE(section{".linux", 512, full}),
		"section without a file": makePE(section{cmdlineSection, 512, nil}),
		"huge section":           makePE(section{cmdlineSection, 2 << 20, make([]byte, 2<<20)}),
	}
	for name, image := range cases {
		if _, err := withCmdline(bytes.NewReader(image), int64(len(image)), "a"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// The smaller of the two sizes counts: more is not loaded, or not in the file.
	for name, s := range map[string]section{"memory": {cmdlineSection, 40, full}, "file": {cmdlineSection, 5000, full}} {
		_, got, err := cmdlineRoom(bytes.NewReader(makePE(s)))
		if want := min(int(s.virtual), 512); err != nil || got != want {
			t.Errorf("%s: room %d, want %d: %v", name, got, want, err)
		}
	}
}

func FuzzImage(f *testing.F) {
	f.Add(testUKI(4000))
	f.Add([]byte("MZ"))
	f.Fuzz(func(t *testing.T, image []byte) {
		r, err := withCmdline(bytes.NewReader(image), int64(len(image)), "metal.token=x")
		if err != nil {
			return
		}
		got, err := io.ReadAll(r)
		if err != nil || len(got) != len(image) {
			t.Fatalf("%d bytes of %d: %v", len(got), len(image), err)
		}
	})
}
