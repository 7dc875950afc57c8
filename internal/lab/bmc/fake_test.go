package bmc

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// fakeMachine is a power button that remembers what was done, and where its
// firmware was told to boot from.
type fakeMachine struct {
	mu      sync.Mutex
	board   Board
	on      bool
	boots   []Boot
	pressed int
	console string
}

func (f *fakeMachine) Attach(b Board) { f.board = b }

func (f *fakeMachine) On() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.on
}

func (f *fakeMachine) set(on bool) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed = f.on != on
	f.on = on
	return changed
}

func (f *fakeMachine) PowerOn(context.Context) error {
	if f.set(true) {
		f.firmware()
		f.board.PowerChanged(true)
	}
	return nil
}

func (f *fakeMachine) PowerOff(context.Context) error {
	if f.set(false) {
		f.board.PowerChanged(false)
	}
	return nil
}

func (f *fakeMachine) PressButton(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pressed++
	return nil
}

func (f *fakeMachine) Reset(context.Context) error {
	f.firmware()
	return nil
}

func (f *fakeMachine) Console() ([]byte, error) { return []byte(f.console), nil }

func (f *fakeMachine) firmware() {
	boot := f.board.NextBoot()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.boots = append(f.boots, boot)
}

func (f *fakeMachine) lastBoot(t *testing.T) Boot {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.boots) == 0 {
		t.Fatal("the firmware was not started")
	}
	return f.boots[len(f.boots)-1]
}

// clock is a time that only tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

const testPassword = "correct horse"

func testHardware() Hardware {
	return Hardware{
		Name: "server-1", Manufacturer: "nanometal", Model: "Lab Server", Serial: "LAB1", UUID: "11111111-2222-4333-8444-555555555555",
		BIOSVersion: "1", Firmware: FirmwareUEFI, CPUs: 2, CPUModel: "CPU", MemoryMB: 2048,
		Disks: []Disk{{ID: "disk-1", Model: "Disk", Serial: "D1", SizeBytes: 1 << 30}},
		NICs:  []NIC{{ID: "nic-1", MAC: "52:54:00:00:00:01", SpeedMbps: 1000}, {ID: "nic-2", MAC: "52:54:00:00:00:02", SpeedMbps: 1000}},
	}
}

// bench is a BMC under test.
type bench struct {
	t       *testing.T
	bmc     *BMC
	machine *fakeMachine
	clock   *clock
	dir     string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, machine: &fakeMachine{}, clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, dir: t.TempDir()}
	b.open(testHardware())
	return b
}

func (b *bench) open(h Hardware) {
	b.t.Helper()
	b.openWith(h)
}

func (b *bench) openWith(h Hardware, quirks ...string) {
	b.t.Helper()
	made, err := New(Config{Hardware: h, Machine: b.machine, Username: "admin", Password: testPassword, Dir: b.dir, Now: b.clock.Now, Quirks: quirks})
	if err != nil {
		b.t.Fatal(err)
	}
	b.bmc = made
	b.t.Cleanup(func() { made.Close() })
}

// reply is an answer of the BMC.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	raw    []byte
}

func (b *bench) do(method, path, body string, header ...string) reply {
	b.t.Helper()
	request := httptest.NewRequest(method, path, bytes.NewBufferString(body))
	request.SetBasicAuth("admin", testPassword)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Del(header[i])
		if header[i+1] != "" {
			request.Header.Set(header[i], header[i+1])
		}
	}
	recorder := httptest.NewRecorder()
	b.bmc.ServeHTTP(recorder, request)
	return reply{b.t, recorder.Code, recorder.Header(), recorder.Body.Bytes()}
}

func (b *bench) get(path string) map[string]any {
	b.t.Helper()
	return b.do("GET", path, "").want(200).json()
}

func (b *bench) boot() map[string]any {
	b.t.Helper()
	return b.get(system)["Boot"].(map[string]any)
}

func (b *bench) reset(kind string) reply {
	b.t.Helper()
	return b.do("POST", resetPath, `{"ResetType":"`+kind+`"}`)
}

func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.raw)
	}
	return r
}

func (r reply) json() map[string]any {
	r.t.Helper()
	var body map[string]any
	if err := json.Unmarshal(r.raw, &body); err != nil {
		r.t.Fatalf("decoding %q: %v", r.raw, err)
	}
	return body
}

// wantMessage checks the shape of an error and the ID of its first message.
func (r reply) wantMessage(key string) reply {
	r.t.Helper()
	failure, ok := r.json()["error"].(map[string]any)
	if !ok {
		r.t.Fatalf("no error object in %s", r.raw)
	}
	infos, _ := failure["@Message.ExtendedInfo"].([]any)
	if len(infos) == 0 {
		r.t.Fatalf("no extended information in %s", r.raw)
	}
	if got := infos[0].(map[string]any)["MessageId"]; got != registry+"."+key {
		r.t.Fatalf("message %v, want %s", got, key)
	}
	return r
}
