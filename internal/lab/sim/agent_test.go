package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// testAgent serves one boot file and follows a script of orders.
type testAgent struct {
	t     *testing.T
	http  *httptest.Server // the boot file, as firmware fetches it
	tls   *httptest.Server // the installer's side
	image []byte

	mu        sync.Mutex
	orders    []order.Order // given one after the other, each until it is done
	inventory *order.Inventory
	fetched   []string
	failed    *order.Progress
}

func newTestAgent(t *testing.T) *testAgent {
	a := &testAgent{t: t, image: bytes.Repeat([]byte("image content! "), 5000)}
	installer := http.NewServeMux()
	installer.HandleFunc("POST "+order.PathSession, a.session)
	installer.HandleFunc("POST "+order.PathExchange, a.exchange)
	installer.HandleFunc("GET /image", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.image))
	})
	a.tls = httptest.NewTLSServer(installer)
	a.http = httptest.NewServer(http.HandlerFunc(a.boot))
	t.Cleanup(a.tls.Close)
	t.Cleanup(a.http.Close)
	return a
}

func (a *testAgent) bootURI() string { return a.http.URL + "/boot/installer.efi" }

func (a *testAgent) boot(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.fetched = append(a.fetched, r.Method+" "+r.URL.Path)
	a.mu.Unlock()
	if r.URL.Path != "/boot/installer.efi" {
		http.NotFound(w, r)
		return
	}
	pin := sha256.Sum256(a.tls.Certificate().Raw)
	cmdline := order.CmdlineAgent + "=" + a.tls.URL + " " + order.CmdlinePin + "=" + hex.EncodeToString(pin[:]) + " " + order.CmdlineToken + "=token"
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(unifiedImage(cmdline)))
}

// unifiedImage is a PE file with nothing but a kernel command line and some
// weight behind it.
func unifiedImage(cmdline string) []byte {
	const at = 512
	image := make([]byte, at)
	copy(image, "MZ")
	binary.LittleEndian.PutUint32(image[0x3c:], 64)
	copy(image[64:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(image[68:], 0x8664) // IMAGE_FILE_MACHINE_AMD64
	binary.LittleEndian.PutUint16(image[70:], 1)      // one section
	section := image[88:]
	copy(section, ".cmdline")
	room := len(cmdline) + 100
	binary.LittleEndian.PutUint32(section[8:], uint32(room))
	binary.LittleEndian.PutUint32(section[16:], uint32(room))
	binary.LittleEndian.PutUint32(section[20:], at)
	image = append(image, cmdline+strings.Repeat(" ", 100)...)
	return append(image, make([]byte, 1<<20)...)
}

func (a *testAgent) session(w http.ResponseWriter, _ *http.Request) {
	a.answer(w, order.SessionResponse{Key: "key", Host: "sim"})
}

func (a *testAgent) exchange(w http.ResponseWriter, r *http.Request) {
	var report order.Report
	if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if report.Inventory != nil {
		a.inventory = report.Inventory
	}
	if p := report.Progress; p != nil && len(a.orders) > 0 && p.OrderID == a.orders[0].ID {
		switch p.State {
		case order.Done:
			a.orders = a.orders[1:]
		case order.Failed:
			a.failed = p
		}
	}
	next := order.Order{ID: "wait", Kind: order.Wait}
	if len(a.orders) > 0 {
		next = a.orders[0]
	}
	a.answer(w, next)
}

func (a *testAgent) answer(w http.ResponseWriter, value any) {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		a.t.Error(err)
	}
}

// deploy scripts a whole deployment to the server's first disk.
func (a *testAgent) deploy(s *Server) {
	disk := order.DiskRef{Name: "/dev/vda", Serial: s.Hardware.Disks[0].Serial, SizeBytes: s.Hardware.Disks[0].SizeBytes}
	sum := sha256.Sum256(a.image)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.orders = []order.Order{
		{ID: "write", Kind: order.WriteImage, WriteImage: &order.WriteImageOrder{
			Disk: disk, URL: a.tls.URL + "/image", SHA256: hex.EncodeToString(sum[:]), SizeBytes: int64(len(a.image)), Format: "raw",
			Mark: order.Mark{Host: "sim", Deployment: "d1"}, Seed: order.Seed{MetaData: "instance-id: d1\n", UserData: "#cloud-config\n"},
		}},
		{ID: "boot", Kind: order.Boot, Boot: &order.BootOrder{Disk: disk}},
	}
}

func (a *testAgent) state() (inventory *order.Inventory, fetched []string, failed *order.Progress) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.inventory, append([]string(nil), a.fetched...), a.failed
}
