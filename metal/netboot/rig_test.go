package netboot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// directory is a Directory that tests change while it is used.
type directory struct {
	mu      sync.Mutex
	byMAC   map[string]Client
	byToken map[string]Client
}

func newDirectory(clients ...Client) *directory {
	d := &directory{byMAC: map[string]Client{}, byToken: map[string]Client{}}
	for _, c := range clients {
		d.put(c)
	}
	return d
}

func (d *directory) put(c Client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if old := d.byMAC[c.MAC.String()]; old.Boot != nil {
		delete(d.byToken, old.Boot.Token)
	}
	d.byMAC[c.MAC.String()] = c
	if c.Boot != nil {
		d.byToken[c.Boot.Token] = c
	}
}

func (d *directory) ByMAC(mac net.HardwareAddr) (Client, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.byMAC[mac.String()]
	return c, ok
}

func (d *directory) ByToken(token string) (Client, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c, ok := d.byToken[token]
	return c, ok
}

// witness collects observations and lets tests wait for one.
type witness struct {
	mu      sync.Mutex
	all     []Observation
	changed chan struct{}
}

func newWitness() *witness { return &witness{changed: make(chan struct{})} }

func (w *witness) observe(o Observation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, o)
	close(w.changed)
	w.changed = make(chan struct{})
}

// await gives the first observation that fits, when there is one.
func (w *witness) await(t *testing.T, what string, fits func(Observation) bool) Observation {
	t.Helper()
	return w.awaitSome(t, what, 1, fits)[0]
}

// awaitSome waits for a number of observations that fit.
func (w *witness) awaitSome(t *testing.T, what string, number int, fits func(Observation) bool) []Observation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		w.mu.Lock()
		changed := w.changed
		var found []Observation
		for _, o := range w.all {
			if fits(o) {
				found = append(found, o)
			}
		}
		seen := len(w.all)
		w.mu.Unlock()
		if len(found) >= number {
			return found
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%s was observed %d times of %d, among %d observations", what, len(found), number, seen)
		}
	}
}

func (w *witness) count(fits func(Observation) bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, o := range w.all {
		if fits(o) {
			n++
		}
	}
	return n
}

// section is one of a generated PE file.
type section struct {
	name    string
	virtual uint32
	data    []byte
}

// makePE makes the least that is a PE file: headers and sections, the data
// aligned to 512 bytes as linkers do.
func makePE(sections ...section) []byte {
	const header, align = 64, 512
	le := binary.LittleEndian
	out := make([]byte, header)
	copy(out, "MZ")
	le.PutUint32(out[0x3c:], header)
	out = append(out, 'P', 'E', 0, 0)
	out = le.AppendUint16(out, 0x8664)
	out = le.AppendUint16(out, uint16(len(sections)))
	out = append(out, make([]byte, 16)...) // no symbols, no optional header
	at := (len(out) + 40*len(sections) + align - 1) / align * align
	var body []byte
	for _, s := range sections {
		raw := (len(s.data) + align - 1) / align * align
		var name [8]byte
		copy(name[:], s.name)
		out = append(out, name[:]...)
		out = le.AppendUint32(out, s.virtual)
		out = le.AppendUint32(out, uint32(0x1000+at))
		out = le.AppendUint32(out, uint32(raw))
		out = le.AppendUint32(out, uint32(at+len(body)))
		out = append(out, make([]byte, 16)...)
		body = append(body, s.data...)
		body = append(body, make([]byte, raw-len(s.data))...)
	}
	out = append(out, make([]byte, at-len(out))...)
	return append(out, body...)
}

const room = 700 // of the generated image's .cmdline

// testUKI has its command line between two sections of noise.
func testUKI(size int) []byte {
	noise := make([]byte, size)
	for i := range noise {
		noise[i] = byte(i*7 + i>>8)
	}
	cmdline := append([]byte("console=tty0 default"), []byte(strings.Repeat(" ", room-20))...)
	return makePE(section{".osrel", 512, noise[:512]}, section{cmdlineSection, room, cmdline}, section{".linux", uint32(size), noise})
}

// installerDir has all files, recognizable.
func installerDir(t testing.TB, ukiSize int) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]byte{FileInstaller: testUKI(ukiSize)}
	for _, name := range []string{FileKernel, FileInitramfs, FileUEFI, FileBIOS} {
		files[name] = []byte(strings.Repeat(name+" ", 9000))
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	body, err := get(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return body, errors.Join(err, response.Body.Close())
}

// host number n of the test network.
func host(n int) Client {
	return Client{
		Name: fmt.Sprintf("node-%d", n), Network: "lab", MAC: net.HardwareAddr{2, 0, 0, 0, byte(n >> 8), byte(n)},
		Addr: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 30, 8 + byte((n+9)>>8), byte(n + 9)}), 22),
		Boot: &Boot{Token: fmt.Sprintf("token-of-%d-%032d", n, n), Cmdline: fmt.Sprintf("metal.host=%d console=ttyS0", n)},
	}
}
