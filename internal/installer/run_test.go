package installer

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

func wait(order.Report) order.Order { return order.Order{Kind: order.Wait} }

// checkDisk compares the disk with the image, but for the mark's place.
func checkDisk(t *testing.T, m *testMachine, raw []byte) {
	t.Helper()
	got, err := os.ReadFile(m.disk.Path)
	if err != nil {
		t.Fatal(err)
	}
	clear(got[markOffset : markOffset+markSize])
	if !bytes.Equal(got[:len(raw)], raw) {
		t.Error("the disk differs from the image")
	}
	d, err := m.disk.Describe()
	if err != nil || d.Mark == nil || *d.Mark != (order.Mark{Host: "node-1", Deployment: "d1", Complete: true}) {
		t.Errorf("mark %+v, %v", d.Mark, err)
	}
}

func TestWriteImageAndBoot(t *testing.T) {
	raw, packed := testImage(t, 12<<20+999)
	a, m := startAgent(t, nil), newMachine(t)
	a.image = packed
	boot := order.Order{ID: "o2", Kind: order.Boot, Boot: &order.BootOrder{Disk: m.ref(), ExtraCmdline: "a=b"}}
	a.decide = sequence(a.writeOrder("o1", m, raw), boot)
	done := run(t, m.Machine(), Options{Config: a.config()})
	if err := await(t, "the end", done); err != nil {
		t.Fatal(err)
	}
	if e := await(t, "kexec", m.ends); e != (Ending{"kexec", m.disk.RootDir(), "a=b"}) {
		t.Errorf("ended with %+v", e)
	}
	if inv := a.all()[0].Inventory; inv == nil || len(inv.Disks) != 1 || inv.Disks[0].SizeBytes != 64<<20 {
		t.Errorf("the first report's inventory: %+v", inv)
	}
	last := a.all()[len(a.all())-1].Progress
	if last.OrderID != "o2" || last.State != order.Done || last.Step != "kexec" {
		t.Errorf("the last report was %+v", last)
	}
	written := a.waitFor("the image done", finished("o1", order.Done)).Progress
	if written.Done != int64(len(raw)) || written.Total != int64(len(raw)) || written.Written >= written.Done || written.Written == 0 {
		t.Errorf("progress %+v", written)
	}
	checkDisk(t, m, raw)
	for name, want := range map[string]string{seedDir + "/meta-data": "-rw-------", seedDir + "/user-data": "-rw-------", "/etc/metal/x": "-rw-r-----"} {
		st, err := os.Stat(filepath.Join(m.disk.RootDir(), name))
		if err != nil || st.Mode().String() != want {
			t.Errorf("%s: %v, %v", name, st, err)
		}
	}
	if _, err := os.Stat(filepath.Join(m.disk.RootDir(), seedDir, "network-config")); !os.IsNotExist(err) {
		t.Errorf("an empty network-config was written: %v", err)
	}
}

func TestImageSurvivesDroppedConnectionsAndAgent(t *testing.T) {
	raw, packed := testImage(t, 24<<20)
	a, m := startAgent(t, nil), newMachine(t)
	a.image, a.imageEnd = packed, len(packed)/3
	a.decide = sequence(a.writeOrder("o1", m, raw))
	config := a.config()
	run(t, m.Machine(), Options{Config: config})
	a.waitFor("a beginning", finished("o1", order.Running))
	a.kill() // in the middle of the image
	a.start()
	p := a.waitFor("the image done", finished("o1", order.Done)).Progress
	if p.Done != int64(len(raw)) {
		t.Errorf("progress %+v", p)
	}
	checkDisk(t, m, raw)
	inventories := 0
	for _, r := range a.all() {
		if r.Inventory != nil {
			inventories++
		}
	}
	if inventories < 2 {
		t.Error("the new session did not begin with an inventory")
	}
}

func TestSameOrderIsDoneOnce(t *testing.T) {
	m := newMachine(t)
	inspections := &countingInspector{Inspector: m.Machine().Inspector}
	machine := m.Machine()
	machine.Inspector = inspections
	var given atomic.Int32
	a := startAgent(t, func(r order.Report) order.Order {
		if n := given.Add(1); n <= 5 || n > 10 {
			return order.Order{ID: "same", Kind: order.Inspect}
		}
		return order.Order{ID: "other", Kind: order.Inspect}
	})
	run(t, machine, Options{Config: a.config()})
	a.waitFor("the other", finished("other", order.Done))
	seen := 0
	a.waitFor("the first again", func(r order.Report) bool {
		if finished("other", order.Done)(r) {
			seen = 1
		}
		return seen == 1 && finished("same", order.Done)(r)
	})
	if n := inspections.n.Load(); n != 3 { // at the start, and once for each order
		t.Errorf("inspected %d times", n)
	}
}

type countingInspector struct {
	Inspector
	n atomic.Int32
}

func (c *countingInspector) Inspect(ctx context.Context) (order.Inventory, error) {
	c.n.Add(1)
	return c.Inspector.Inspect(ctx)
}

func TestRefusals(t *testing.T) {
	raw, packed := testImage(t, 4<<20)
	for _, test := range []struct {
		name   string
		change func(*order.WriteImageOrder)
		disk   []byte // at 1080: the ext4 magic
		reason string
		says   string
	}{
		{"foreign data", nil, []byte{0x53, 0xef}, order.ReasonForeignData, "ext2"},
		{"other serial", func(o *order.WriteImageOrder) { o.Disk.Serial = "S2" }, nil, order.ReasonDiskChanged, "S1"},
		{"other size", func(o *order.WriteImageOrder) { o.Disk.SizeBytes++ }, nil, order.ReasonDiskChanged, "bytes"},
		{"no such disk", func(o *order.WriteImageOrder) { o.Disk.Name = "/dev/vdz" }, nil, order.ReasonDiskChanged, "vdz"},
		{"too small", func(o *order.WriteImageOrder) { o.RawSizeBytes = 65 << 20 }, nil, order.ReasonDiskTooSmall, "67108864"},
		{"larger than it said", func(o *order.WriteImageOrder) { o.RawSizeBytes = 1 << 20 }, nil, order.ReasonDiskTooSmall, "1048576"},
		{"digest", func(o *order.WriteImageOrder) { o.SHA256 = strings.Repeat("ab", 32) }, nil, order.ReasonDigestMismatch, "abab"},
		{"escape", func(o *order.WriteImageOrder) { o.Files[0].Path = "/../etc/x" }, nil, order.ReasonIO, "clean"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, m := startAgent(t, nil), newMachine(t)
			a.image = packed
			if test.disk != nil {
				poke(t, m.disk.Path, 1080, test.disk)
			}
			o := a.writeOrder("o1", m, raw)
			if test.change != nil {
				test.change(o.WriteImage)
			}
			a.decide = sequence(o)
			run(t, m.Machine(), Options{Config: a.config()})
			p := a.waitFor("a failure", finished("o1", order.Failed)).Progress
			if p.Reason != test.reason || !strings.Contains(p.Error, test.says) || p.Retryable {
				t.Errorf("progress %+v", p)
			}
		})
	}
}

func poke(t *testing.T, path string, off int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOverwriteAndOwnDisksAreWritten(t *testing.T) {
	raw, packed := testImage(t, 4<<20)
	for _, overwrite := range []bool{true, false} {
		a, m := startAgent(t, nil), newMachine(t)
		a.image = packed
		poke(t, m.disk.Path, 1080, []byte{0x53, 0xef})
		if !overwrite { // an image of ours that a power loss cut short
			b, err := encodeMark(order.Mark{Host: "node-0"})
			if err != nil {
				t.Fatal(err)
			}
			poke(t, m.disk.Path, markOffset, b)
		}
		o := a.writeOrder("o1", m, raw)
		o.WriteImage.Overwrite = overwrite
		a.decide = sequence(o)
		run(t, m.Machine(), Options{Config: a.config()})
		a.waitFor("the image done", finished("o1", order.Done))
		checkDisk(t, m, raw)
	}
}

func TestWipe(t *testing.T) {
	raw, packed := testImage(t, 4<<20)
	a, m := startAgent(t, nil), newMachine(t)
	a.image = packed
	wipe := order.Order{ID: "o2", Kind: order.Wipe, Wipe: &order.WipeOrder{Disks: []order.DiskRef{m.ref()}}}
	a.decide = sequence(a.writeOrder("o1", m, raw), wipe)
	run(t, m.Machine(), Options{Config: a.config()})
	a.waitFor("the wipe", finished("o2", order.Done))
	d, err := m.disk.Describe()
	if err != nil || d.Mark != nil || len(d.Content) != 0 {
		t.Errorf("left: %+v, %v", d, err)
	}
	if _, err := os.Stat(m.disk.RootDir()); !os.IsNotExist(err) {
		t.Errorf("the root directory is still there: %v", err)
	}
}

func TestRebootWhenKexecIsRefused(t *testing.T) {
	for method, want := range map[string]string{"": order.Done, "kexec": order.Failed, "reboot": order.Done, "magic": order.Failed} {
		raw, packed := testImage(t, 4<<20)
		a, m := startAgent(t, nil), newMachine(t)
		a.image, m.NoKexec = packed, true
		boot := order.Order{ID: "o2", Kind: order.Boot, Boot: &order.BootOrder{Disk: m.ref(), Method: method}}
		a.decide = sequence(a.writeOrder("o1", m, raw), boot)
		done := run(t, m.Machine(), Options{Config: a.config()})
		p := a.waitFor("an end", func(r order.Report) bool { return finished("o2", want)(r) }).Progress
		if want == order.Failed {
			continue
		}
		if err := await(t, "the end", done); err != nil || p.Step != "reboot" || await(t, "reboot", m.ends).Action != "reboot" {
			t.Errorf("%q: %+v, %v", method, p, err)
		}
	}
}

func TestNothingToBoot(t *testing.T) {
	m := newMachine(t)
	a := startAgent(t, sequence(order.Order{ID: "o1", Kind: order.Boot, Boot: &order.BootOrder{Disk: m.ref()}}))
	run(t, m.Machine(), Options{Config: a.config()})
	if p := a.waitFor("a failure", finished("o1", order.Failed)).Progress; p.Reason != order.ReasonNoBootable {
		t.Errorf("progress %+v", p)
	}
}

func TestUnknownOrdersFail(t *testing.T) {
	m := newMachine(t)
	a := startAgent(t, sequence(order.Order{ID: "o1", Kind: "dance"}))
	run(t, m.Machine(), Options{Config: a.config()})
	if p := a.waitFor("a failure", finished("o1", order.Failed)).Progress; !strings.Contains(p.Error, "dance") {
		t.Errorf("progress %+v", p)
	}
}

func TestWrongPinIsNeverSpokenTo(t *testing.T) {
	a, m := startAgent(t, wait), newMachine(t)
	config := a.config()
	config.Pin = strings.Repeat("0", 64)
	log := newLogBuffer()
	run(t, m.Machine(), Options{Config: config, Logger: log.logger()})
	await(t, "the complaint", log.line("not the pinned one"))
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.nonces) != 0 {
		t.Error("the token went to a server with another certificate")
	}
}

func TestPowerOffWhenRefused(t *testing.T) {
	a, m := startAgent(t, wait), newMachine(t)
	done := run(t, m.Machine(), Options{Config: a.config(), GiveUpAfter: 300 * time.Millisecond})
	a.waitFor("a report", func(order.Report) bool { return true })
	a.mu.Lock()
	a.refuse = true
	clear(a.sessions)
	a.mu.Unlock()
	if err := await(t, "the end", done); !errors.Is(err, ErrRefused) {
		t.Fatalf("got %v", err)
	}
	if e := await(t, "power off", m.ends); e.Action != "poweroff" {
		t.Errorf("ended with %+v", e)
	}
}

func TestAmendmentsAreReported(t *testing.T) {
	m := newMachine(t)
	m.Facts.NICs = []order.NIC{{MAC: "aa:bb:cc:dd:ee:ff"}}
	amend := make(chan func(*order.Inventory), 1)
	machine := m.Machine()
	machine.Inspector = amendingInspector{machine.Inspector, amend}
	a := startAgent(t, wait)
	run(t, machine, Options{Config: a.config()})
	a.waitFor("an inventory", func(r order.Report) bool { return r.Inventory != nil })
	amend <- func(inv *order.Inventory) { inv.NICs[0].LLDP = "switch / 1" }
	a.waitFor("the neighbour", func(r order.Report) bool { return r.Inventory != nil && r.Inventory.NICs[0].LLDP == "switch / 1" })
	if m.Facts.NICs[0].LLDP != "" {
		t.Error("the inventory of before was changed")
	}
}

type amendingInspector struct {
	Inspector
	c chan func(*order.Inventory)
}

func (a amendingInspector) Amendments() <-chan func(*order.Inventory) { return a.c }

// The token is in no log line and in no message but the one that opens the session.
func TestTokenStaysSecret(t *testing.T) {
	raw, packed := testImage(t, 4<<20)
	a, m := startAgent(t, nil), newMachine(t)
	a.image = packed
	o := a.writeOrder("o1", m, raw)
	o.WriteImage.SHA256 = strings.Repeat("ab", 32)
	a.decide = sequence(o)
	log := newLogBuffer()
	config := a.config()
	run(t, m.Machine(), Options{Config: config, Logger: log.logger(), Log: log.take})
	a.waitFor("a failure", finished("o1", order.Failed))
	a.kill()
	await(t, "a lost connection", log.line("agent not reached"))
	a.start()
	await(t, "a new session", log.line("opening another"))
	a.mu.Lock()
	defer a.mu.Unlock()
	if strings.Contains(log.String()+a.bodies.String(), canary) {
		t.Error("the token was logged or reported")
	}
	if !strings.Contains(a.bodies.String(), "order failed") {
		t.Error("the log did not go with the reports")
	}
}

// logBuffer keeps log lines and tells when one comes that has a text.
type logBuffer struct {
	mu    sync.Mutex
	all   strings.Builder
	fresh []string
	waits map[string]chan struct{}
}

func newLogBuffer() *logBuffer { return &logBuffer{waits: map[string]chan struct{}{}} }

func (l *logBuffer) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: l})
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Write(p)
	l.fresh = append(l.fresh, string(p))
	for text, c := range l.waits {
		if strings.Contains(l.all.String(), text) {
			close(c)
			delete(l.waits, text)
		}
	}
	return len(p), nil
}

func (l *logBuffer) line(text string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := make(chan struct{})
	if strings.Contains(l.all.String(), text) {
		close(c)
	} else {
		l.waits[text] = c
	}
	return c
}

func (l *logBuffer) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.fresh
	l.fresh = nil
	return out
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}
