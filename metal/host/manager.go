package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sort"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/bmc"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// ErrUnknown says that there is no host of that name.
var ErrUnknown = errors.New("host is not known")

// BMC is what the engine needs of out-of-band control; *bmc.Client has it.
type BMC interface {
	System(ctx context.Context) (bmc.System, error)
	Power(ctx context.Context) (bmc.PowerState, error)
	SetPower(ctx context.Context, want bmc.PowerAction) error
	SetBoot(ctx context.Context, b bmc.Boot) error
	ConsoleTail(ctx context.Context, lines int) ([]string, error)
	LastAnswer() string
	Close(ctx context.Context) error
}

// Site is what a host needs of the facility it stands in.
type Site interface {
	// Connect reaches the BMC; it resolves the credentials' name.
	Connect(ctx context.Context, b BMCSpec) (BMC, error)
	// Claim gives the host its address; the same each time. had is the address
	// that the caller remembers, if any: it is claimed again.
	Claim(s Spec, had netip.Prefix) (netip.Prefix, error)
	// Unclaim gives it back.
	Unclaim(name string)
	// BootURL is where firmware finds the installer for that token.
	BootURL(s Spec, token string) (string, error)
	// Cmdline is the installer's kernel command line for that token.
	Cmdline(s Spec, token string) (string, error)
	// InUse tells whether owner, the owner of a deployment, still exists.
	InUse(owner string) bool
	// Seen tells what the boot services noticed of that MAC since a time, one
	// line each: evidence when a host does not boot.
	Seen(mac string, since time.Time) []string
}

// Config is what a Manager is made of.
type Config struct {
	Store  Store
	Site   Site
	Events *event.Bus
	Logger hclog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Manager drives all hosts of a facility. Its methods are safe for concurrent
// use; each host does one thing at a time.
type Manager struct {
	cfg   Config
	ctx   context.Context
	stop  context.CancelFunc
	work  sync.WaitGroup
	mu    sync.Mutex
	hosts map[string]*managed
}

// New makes a Manager with the hosts that are in the store. Work starts only
// when it is asked for.
func New(cfg Config) (*Manager, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = hclog.NewNullLogger()
	}
	if cfg.Events == nil {
		cfg.Events = &event.Bus{}
	}
	records, err := cfg.Store.Hosts()
	if err != nil {
		return nil, fmt.Errorf("loading hosts: %w", err)
	}
	m := &Manager{cfg: cfg, hosts: map[string]*managed{}}
	m.ctx, m.stop = context.WithCancel(context.Background())
	for _, r := range records {
		r.Status.Busy = false
		r.Status.Phase = ""
		m.hosts[r.Spec.Name] = newManaged(m, r)
	}
	return m, nil
}

// Close ends all work and waits for it; what was begun is continued by the next
// process.
func (m *Manager) Close() {
	m.stop()
	m.work.Wait()
}

// Apply makes spec the wanted state of its host and starts the work towards it.
// It returns at once. recall is what the caller remembers of the host; it is
// used when there is no record.
func (m *Manager) Apply(ctx context.Context, spec Spec, recall *Status) (Status, error) {
	h, err := m.enrol(spec, recall)
	if err != nil {
		return Status{}, err
	}
	h.start(GoalAvailable)
	return h.status(), nil
}

// Recall makes a record of the host when there is none, and touches nothing.
func (m *Manager) Recall(ctx context.Context, spec Spec, recall *Status) (Status, error) {
	h, err := m.enrol(spec, recall)
	if err != nil {
		return Status{}, err
	}
	return h.status(), nil
}

// enrol finds or makes the host of spec.
func (m *Manager) enrol(spec Spec, recall *Status) (*managed, error) {
	if err := spec.Validate(); err != nil {
		return nil, onHost(spec.Name, err)
	}
	spec.BootMAC = normalMAC(spec.BootMAC)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.conflict(spec); err != nil {
		return nil, onHost(spec.Name, err)
	}
	h := m.hosts[spec.Name]
	if h == nil {
		h = newManaged(m, newRecord(spec, recall))
	}
	address, err := m.cfg.Site.Claim(spec, h.record().Address)
	if err != nil {
		return nil, onHost(spec.Name, err)
	}
	if err := h.adopt(spec, address); err != nil {
		return nil, err
	}
	m.hosts[spec.Name] = h
	return h, nil
}

func newRecord(spec Spec, recall *Status) Record {
	r := Record{Spec: spec, Status: Status{Name: spec.Name, State: Enrolling}}
	if recall != nil {
		r.Status = *recall
		r.Status.Name, r.Status.Busy, r.Status.Failure, r.Status.Phase = spec.Name, false, nil, ""
		r.Address, _ = netip.ParsePrefix(recall.Address) // none: a new one is claimed
		r.Written = recall.State == Provisioned
		r.Booted = r.Written
		if recall.Hardware != nil {
			r.Identity = Identity{Serial: recall.Hardware.System.Serial, UUID: recall.Hardware.System.UUID}
		}
	}
	return r
}

// conflict refuses two hosts with one BMC or one boot MAC.
func (m *Manager) conflict(spec Spec) error {
	for name, other := range m.hosts {
		if name == spec.Name {
			continue
		}
		o := other.spec()
		if bmcKey(o.BMC) == bmcKey(spec.BMC) {
			return &fault.Error{Class: fault.NeedsPerson, Attribute: "bmc.url", Summary: "two hosts have one BMC",
				Seen: fmt.Sprintf("%q is the BMC of host %q", spec.BMC.URL, name), Expected: "a BMC of its own for each host",
				Advice: "correct bmc.url of one of the two; neither was touched"}
		}
		if o.BootMAC == spec.BootMAC {
			return &fault.Error{Class: fault.NeedsPerson, Attribute: "boot_mac", Summary: "two hosts have one boot MAC address",
				Seen: fmt.Sprintf("%s is the boot MAC of host %q", spec.BootMAC, name), Expected: "a port of its own for each host",
				Advice: "correct boot_mac of one of the two; neither was touched"}
		}
	}
	return nil
}

func (m *Manager) find(name string) (*managed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.hosts[name]
	if h == nil {
		return nil, fmt.Errorf("host %q: %w", name, ErrUnknown)
	}
	return h, nil
}

func (m *Manager) forget(name string) {
	m.mu.Lock()
	delete(m.hosts, name)
	m.mu.Unlock()
	m.cfg.Site.Unclaim(name)
}

// Status gives the host's status as recorded. ErrUnknown when there is none.
func (m *Manager) Status(name string) (Status, error) {
	h, err := m.find(name)
	if err != nil {
		return Status{}, err
	}
	return h.status(), nil
}

// List gives all hosts by name.
func (m *Manager) List() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]Status, 0, len(m.hosts))
	for _, h := range m.hosts {
		out = append(out, h.status())
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// Wait returns when the revision is above after, or ctx is done; in the latter
// case with the present status and no error.
func (m *Manager) Wait(ctx context.Context, name string, after uint64) (Status, error) {
	for {
		h, err := m.find(name)
		if err != nil {
			return Status{}, err
		}
		s, changed := h.watch()
		if h.released() {
			return Status{}, fmt.Errorf("host %q: %w", name, ErrUnknown)
		}
		if s.Revision != after { // also after a restart, which may begin lower
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, nil
		case <-m.ctx.Done():
			return s, nil
		}
	}
}

// Refresh asks the BMC, read-only, unless work is going on. A BMC that cannot
// be reached is part of the status, not an error.
func (m *Manager) Refresh(ctx context.Context, name string) (Status, error) {
	h, err := m.find(name)
	if err != nil {
		return Status{}, err
	}
	h.refresh(ctx)
	return h.status(), nil
}

// Release starts giving the host back: wiped as its policy says, the ledger
// played backwards. With abandon, what cannot be undone is dropped, and said in
// the events. When it is done the host is unknown.
func (m *Manager) Release(ctx context.Context, name string, abandon bool) (Status, error) {
	h, err := m.find(name)
	if err != nil {
		return Status{}, err
	}
	if owner := h.status().Owner; owner != "" && !abandon && m.cfg.Site.InUse(owner) {
		return Status{}, onHost(name, &fault.Error{Class: fault.NeedsPerson, Summary: "the host is in use", Seen: "it belongs to " + owner,
			Expected: "a host that nothing runs on", Advice: "destroy " + owner + " first"})
	}
	h.setAbandon(abandon)
	h.start(GoalReleased)
	return h.status(), nil
}

// Provision puts d on the host and boots it; it blocks until the installer has
// acknowledged the boot. A host that carries d.ID already is left alone.
func (m *Manager) Provision(ctx context.Context, name string, d Deployment) (Status, error) {
	h, err := m.find(name)
	if err != nil {
		return Status{}, err
	}
	err = h.runNow(ctx, GoalProvisioned, &d)
	return h.status(), err
}

// Deprovision wipes what owner deployed and switches the host off; it blocks. A
// host that owner has nothing on is left alone.
func (m *Manager) Deprovision(ctx context.Context, name, owner string) error {
	h, err := m.find(name)
	if errors.Is(err, ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	// A host without an owner may still be on its way to one: its installer runs,
	// or its work was cut off before the first write. It is switched off.
	rec := h.record()
	if rec.Status.Owner != owner && (rec.Status.Owner != "" || rec.Boot == nil) {
		return nil
	}
	return h.runNow(ctx, GoalDeprovisioned, nil)
}

// MarkPhase records how long a phase took that others observe (first boot,
// bootstrap, ready), and publishes it.
func (m *Manager) MarkPhase(name string, phase Phase, took time.Duration) {
	if h, err := m.find(name); err == nil {
		h.timing(Timing{Phase: phase, Seconds: took.Seconds()})
	}
}

// onHost makes err a fault about that host.
func onHost(name string, err error) error {
	if err == nil {
		return nil
	}
	e := *fault.From(err)
	if e.Subject == "" {
		e.Subject = fmt.Sprintf("host %q", name)
	}
	if e.Err == nil && e.Error() != err.Error() {
		e.Err = err
	}
	return &e
}
