package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/bmc"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// memory is a store that survives its manager, as a file survives a process.
type memory struct {
	mu      sync.Mutex
	records map[string]string
}

func (m *memory) SaveHost(r Record) error {
	raw, err := json.Marshal(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[r.Spec.Name] = string(raw)
	return err
}

func (m *memory) RemoveHost(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, name)
	return nil
}

func (m *memory) Hosts() ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Record
	for _, raw := range m.records {
		var r Record
		if err := json.Unmarshal([]byte(raw), &r); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// server is a machine with a BMC on the other side of the engine's interfaces.
// Its installer speaks the real protocol to the real handler.
type server struct {
	t       *testing.T
	mu      sync.Mutex
	power   bmc.PowerState
	boot    bmc.Boot
	disk    order.Disk
	handler http.Handler
	macs    []string
	dead    bool // the installer never reports
	// orphaned: the owner of what is deployed is not known any more.
	orphaned bool
	cancel   context.CancelFunc
	done     sync.WaitGroup
	writes   []string
	// hold, when set, keeps a write running until it is closed.
	hold chan struct{}
	// progress is what the installer reports next.
	progress *order.Progress
}

func (s *server) System(context.Context) (bmc.System, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bmc.System{Serial: "S1", UUID: "u-1", Power: s.power, MACs: s.macs, Boot: s.boot}, nil
}

func (s *server) Power(context.Context) (bmc.PowerState, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.power, nil
}

func (s *server) SetBoot(_ context.Context, b bmc.Boot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b.Supports = s.boot.Supports
	s.boot = b
	return nil
}

func (s *server) SetPower(_ context.Context, want bmc.PowerAction) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if want != bmc.On {
		if s.cancel != nil {
			s.cancel()
		}
		s.power = bmc.PowerOff
		return nil
	}
	if s.power == bmc.PowerOn {
		return nil
	}
	s.power = bmc.PowerOn
	installer := s.boot.Enabled == "Once"
	if installer && !s.dead {
		token := s.boot.HTTPBootURI
		s.boot.Enabled, s.boot.Target = "Disabled", "None"
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		s.done.Add(1)
		go s.install(ctx, token)
	}
	return nil
}

func (s *server) ConsoleTail(context.Context, int) ([]string, error) {
	return []string{"the console says hello"}, nil
}
func (s *server) LastAnswer() string          { return "GET /redfish/v1/Systems/1 -> 200" }
func (s *server) Close(context.Context) error { return nil }

func (s *server) post(path, key string, in, out any) int {
	raw, err := json.Marshal(in)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	handler := s.handler
	s.mu.Unlock()
	if handler == nil {
		return http.StatusBadGateway
	}
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(raw))
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		if err := json.NewDecoder(w.Body).Decode(out); err != nil && !errors.Is(err, io.EOF) {
			s.t.Error(err)
		}
	}
	return w.Code
}

// install is an installer's life: session, reports, orders.
func (s *server) install(ctx context.Context, token string) {
	defer s.done.Done()
	var session order.SessionResponse
	for s.post(order.PathSession, "", order.SessionRequest{Token: token, Nonce: "n"}, &session) != http.StatusOK {
		if !tick(ctx) {
			return
		}
	}
	done, inspect := "", true
	for tick(ctx) {
		s.mu.Lock()
		disk, progress := s.disk, s.progress
		s.mu.Unlock()
		report := order.Report{Progress: progress}
		if inspect {
			report.Inventory = &order.Inventory{Disks: []order.Disk{disk}, NICs: []order.NIC{{MAC: s.macs[0]}}}
		}
		var o order.Order
		if s.post(order.PathExchange, session.Key, report, &o) != http.StatusOK {
			continue
		}
		if inspect = o.Kind == order.Inspect; inspect && progress != nil && progress.State == order.Running {
			s.t.Errorf("order %q was cut off by another", progress.OrderID)
		}
		if inspect || o.Kind == order.Wait || o.ID == done {
			continue
		}
		done = o.ID
		if o.Kind == order.WriteImage { // reports go on while it is written
			s.done.Add(1)
			go func() { defer s.done.Done(); s.carryOut(ctx, o) }()
		} else if s.carryOut(ctx, o) {
			return
		}
	}
}

func tick(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Millisecond):
		return true
	}
}

// carryOut does an order; true when the installer is gone after it.
func (s *server) carryOut(ctx context.Context, o order.Order) bool {
	p := &order.Progress{OrderID: o.ID, State: order.Done, Total: 100, Done: 100}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o.Kind {
	case order.WriteImage:
		if foreign(s.disk) && !o.WriteImage.Overwrite {
			p.State, p.Reason, p.Error = order.Failed, order.ReasonForeignData, "foreign data"
			break
		}
		s.writes = append(s.writes, o.WriteImage.Mark.Deployment)
		if hold := s.hold; hold != nil {
			s.progress = &order.Progress{OrderID: o.ID, State: order.Running, Done: 50, Total: 100}
			s.mu.Unlock()
			select {
			case <-hold:
			case <-ctx.Done():
			}
			s.mu.Lock()
		}
		mark := o.WriteImage.Mark
		mark.Complete = true
		s.disk.Mark, s.disk.Content = &mark, []string{"GPT"}
	case order.Wipe:
		s.disk.Mark, s.disk.Content = nil, nil
	case order.Boot:
		s.progress = nil
		s.mu.Unlock()
		var ignored order.Order
		s.reportUntilTaken(ctx, p, &ignored)
		s.mu.Lock()
		return true
	}
	s.progress = p
	return false
}

// reportUntilTaken mirrors the installer: a kexec waits for the acknowledgement.
func (s *server) reportUntilTaken(ctx context.Context, p *order.Progress, o *order.Order) {
	token := s.boot.HTTPBootURI
	key := digest("session " + token + " n")
	for s.post(order.PathExchange, key, order.Report{Progress: p}, o) != http.StatusOK && tick(ctx) {
	}
}

// rack is a site with one server.
type rack struct{ s *server }

func (r rack) Connect(context.Context, BMCSpec) (BMC, error) { return r.s, nil }
func (r rack) Claim(Spec, netip.Prefix) (netip.Prefix, error) {
	return netip.MustParsePrefix("172.30.0.100/24"), nil
}
func (r rack) InUse(owner string) bool                      { return owner == "cluster/c" && !r.s.orphaned }
func (r rack) Unclaim(string)                               {}
func (r rack) BootURL(_ Spec, token string) (string, error) { return token, nil }
func (r rack) Cmdline(Spec, string) (string, error)         { return "", nil }
func (r rack) Seen(string, time.Time) []string              { return nil }

type fixture struct {
	t     *testing.T
	s     *server
	store *memory
	m     *Manager
}

var oneHost = Spec{Name: "node-1", BootMAC: "52:54:00:00:00:01", BMC: BMCSpec{URL: "https://10.0.0.5", Credentials: "rack"}}

func newFixture(t *testing.T) *fixture {
	s := &server{t: t, power: bmc.PowerOff, boot: bmc.Boot{Enabled: "Disabled", Target: "None", Supports: []string{"Pxe", "UefiHttp"}},
		macs: []string{"52:54:00:00:00:01"}, disk: order.Disk{Name: "/dev/vda", Serial: "D1", SizeBytes: 1e10}}
	f := &fixture{t: t, s: s, store: &memory{records: map[string]string{}}}
	f.restart()
	t.Cleanup(func() {
		f.m.Close()
		_ = s.SetPower(context.Background(), bmc.ForceOff)
		s.done.Wait()
	})
	return f
}

// restart is a killed process and its successor.
func (f *fixture) restart() {
	f.t.Helper()
	if f.m != nil {
		f.s.mu.Lock()
		f.s.handler = nil
		f.s.mu.Unlock()
		f.m.Close()
	}
	m, err := New(Config{Store: f.store, Site: rack{f.s}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.m = m
	f.s.mu.Lock()
	f.s.handler = m.Handler()
	f.s.mu.Unlock()
}

// settle waits until work has ended.
func (f *fixture) settle() Status {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 20*time.Second)
	defer cancel()
	s, err := f.m.Status("node-1")
	for err == nil && s.Busy && ctx.Err() == nil {
		s, err = f.m.Wait(ctx, "node-1", s.Revision)
	}
	if errors.Is(err, ErrUnknown) {
		return Status{}
	}
	if err != nil || ctx.Err() != nil {
		f.t.Fatalf("the host did not settle: %+v, %v", s, err)
	}
	return s
}

func (f *fixture) available() {
	f.t.Helper()
	if _, err := f.m.Apply(f.t.Context(), oneHost, nil); err != nil {
		f.t.Fatal(err)
	}
	if s := f.settle(); s.State != Available || s.Failure != nil {
		f.t.Fatalf("state %s, failure %v", s.State, s.Failure)
	}
}

var deployment = Deployment{ID: "cluster/c/node-1/abc", Owner: "cluster/c", Image: DeploymentImage{URL: "http://x", SHA256: "abc"}}

func TestLifeOfAHost(t *testing.T) {
	f := newFixture(t)
	before := f.s.boot
	f.available()
	if f.s.power != bmc.PowerOff {
		t.Errorf("an available host is %s", f.s.power)
	}
	for range 2 { // the second time nothing is done
		s, err := f.m.Provision(t.Context(), "node-1", deployment)
		if err != nil || s.State != Provisioned || s.Owner != "cluster/c" {
			t.Fatalf("%+v, %v", s, err)
		}
	}
	if _, err := f.m.Release(t.Context(), "node-1", false); err == nil {
		t.Error("a host in use was released")
	}
	if err := f.m.Deprovision(t.Context(), "node-1", "cluster/other"); err != nil || len(f.s.disk.Content) == 0 {
		t.Errorf("another owner's deprovision: %v", err)
	}
	if err := f.m.Deprovision(t.Context(), "node-1", "cluster/c"); err != nil || len(f.s.disk.Content) != 0 {
		t.Fatalf("deprovision: %v, disk %v", err, f.s.disk)
	}
	if _, err := f.m.Release(t.Context(), "node-1", false); err != nil {
		t.Fatal(err)
	}
	f.settle()
	if f.s.boot.Enabled != before.Enabled || f.s.boot.Target != before.Target || f.s.boot.HTTPBootURI != before.HTTPBootURI || f.s.power != bmc.PowerOff {
		t.Errorf("not as found: %+v, power %s", f.s.boot, f.s.power)
	}
	if len(f.s.writes) != 1 || len(f.store.records) != 0 {
		t.Errorf("%d image writes, %d records left", len(f.s.writes), len(f.store.records))
	}
}

// TestKillDuringImage kills the process in the middle of a write; the installer
// goes on, and the next process takes over without writing again.
func TestKillDuringImage(t *testing.T) {
	f := newFixture(t)
	f.available()
	f.s.hold = make(chan struct{})
	failed := make(chan error)
	go func() { _, err := f.m.Provision(t.Context(), "node-1", deployment); failed <- err }()
	for s := (Status{}); s.Progress == nil; {
		var err error
		if s, err = f.m.Wait(t.Context(), "node-1", s.Revision); err != nil {
			t.Fatal(err)
		}
	}
	killed := f.m
	f.s.mu.Lock()
	f.s.handler = nil
	f.s.mu.Unlock()
	killed.Close()
	var e *fault.Error
	if err := <-failed; !errors.As(err, &e) || e.Class != fault.Retryable {
		t.Errorf("the interrupted work says %v", err)
	}
	f.restart()
	close(f.s.hold)
	if s, err := f.m.Provision(t.Context(), "node-1", deployment); err != nil || s.State != Provisioned || s.ImagesWritten != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	if !slices.Equal(f.s.writes, []string{deployment.ID}) {
		t.Errorf("written %v", f.s.writes)
	}
}

// TestLostStore: without any record, the front end's memory and the disk's mark
// are enough to leave a provisioned host alone.
func TestLostStore(t *testing.T) {
	f := newFixture(t)
	f.available()
	recall, err := f.m.Provision(t.Context(), "node-1", deployment)
	if err != nil {
		t.Fatal(err)
	}
	f.store.records = map[string]string{}
	f.restart()
	if _, err := f.m.Apply(t.Context(), oneHost, &recall); err != nil {
		t.Fatal(err)
	}
	s := f.settle()
	if s.State != Provisioned || s.Failure != nil || f.s.power != bmc.PowerOn || len(f.s.writes) != 1 {
		t.Errorf("%+v, power %s, writes %v", s, f.s.power, f.s.writes)
	}
}

// TestOrphanIsReleased: a host whose cluster nobody knows any more is wiped and
// given back like any other.
func TestOrphanIsReleased(t *testing.T) {
	f := newFixture(t)
	f.available()
	if _, err := f.m.Provision(t.Context(), "node-1", deployment); err != nil {
		t.Fatal(err)
	}
	f.s.orphaned = true
	if _, err := f.m.Release(t.Context(), "node-1", false); err != nil {
		t.Fatal(err)
	}
	if s := f.settle(); s.Name != "" || len(f.s.disk.Content) != 0 || f.s.power != bmc.PowerOff {
		t.Errorf("%+v, disk %v, power %s", s.Failure, f.s.disk.Content, f.s.power)
	}
}

func TestPowerDriftIsHealed(t *testing.T) {
	f := newFixture(t)
	f.available()
	if _, err := f.m.Provision(t.Context(), "node-1", deployment); err != nil {
		t.Fatal(err)
	}
	_ = f.s.SetPower(t.Context(), bmc.ForceOff)
	if s, err := f.m.Refresh(t.Context(), "node-1"); err != nil || s.Power != "off" {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := f.m.Apply(t.Context(), oneHost, nil); err != nil {
		t.Fatal(err)
	}
	if s := f.settle(); s.Power != "on" || f.s.power != bmc.PowerOn {
		t.Errorf("power %s", s.Power)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name      string
		spoil     func(*server)
		attribute string
	}{
		{"foreign data", func(s *server) { s.disk.Content = []string{`ext4 "customers"`} }, "wipe"},
		{"no such port", func(s *server) { s.macs = []string{"52:54:00:00:00:99"} }, "boot_mac"},
		{"no disk", func(s *server) { s.disk.ReadOnly = true }, "root_device"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			tt.spoil(f.s)
			if _, err := f.m.Apply(t.Context(), oneHost, nil); err != nil {
				t.Fatal(err)
			}
			s := f.settle()
			if s.Failure == nil || s.Failure.Attribute != tt.attribute || s.Failure.Subject != `host "node-1"` || len(s.Failure.Evidence) == 0 {
				t.Fatalf("failure %+v", s.Failure)
			}
			if len(f.s.writes) != 0 {
				t.Error("the disk was written")
			}
			if _, err := f.m.Release(t.Context(), "node-1", false); err != nil {
				t.Fatal(err)
			}
			if s := f.settle(); s.Name != "" {
				t.Errorf("a refused host cannot be released: %+v", s.Failure)
			}
		})
	}
}

func TestTwoHostsWithOneBMC(t *testing.T) {
	f := newFixture(t)
	f.available()
	for attribute, change := range map[string]func(*Spec){
		"bmc.url":  func(s *Spec) { s.BootMAC = "52:54:00:00:00:02"; s.BMC.URL = "https://10.0.0.5:443" },
		"boot_mac": func(s *Spec) { s.BMC.URL = "https://10.0.0.6"; s.BootMAC = "52:54:00:00:00:01" },
	} {
		second := oneHost
		second.Name = "node-2"
		change(&second)
		var e *fault.Error
		if _, err := f.m.Apply(t.Context(), second, nil); !errors.As(err, &e) || e.Attribute != attribute {
			t.Errorf("%s: %v", attribute, err)
		}
	}
}

func TestInstallerThatNeverComes(t *testing.T) {
	f := newFixture(t)
	f.s.dead = true
	spec := oneHost
	spec.Timeouts.BootSeconds = 1
	if _, err := f.m.Apply(t.Context(), spec, nil); err != nil {
		t.Fatal(err)
	}
	s := f.settle()
	if s.Failure == nil || s.Failure.Class != fault.NeedsPerson || s.Failure.Advice == "" {
		t.Fatalf("failure %+v", s.Failure)
	}
	if got := fmt.Sprint(s.Failure); got == "" || s.Failure.Phase != string(PhasePowerOn) {
		t.Errorf("%s in phase %s", got, s.Failure.Phase)
	}
}
