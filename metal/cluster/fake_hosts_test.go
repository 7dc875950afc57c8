package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// world is a facility with its hosts, the machines that they are, and the API
// server that one of them comes to run. It outlives managers.
type world struct {
	t  *testing.T
	mu sync.Mutex
	// changed is closed and replaced with every change.
	changed chan struct{}
	hosts   map[string]*fakeHost
	records map[string][]byte
	api     *fakeAPI
	// prepared counts Images.Prepare.
	prepared int
	metadata image.Metadata
	phases   map[string][]host.Phase
	// step is called with each effect before and after it takes place.
	step func(what string)
	// boot is what a freshly imaged machine does; nil is that all goes well.
	boot map[string]func(name string, d host.Deployment)
	// broken makes every call fail.
	broken error
	log    []string
}

type fakeHost struct {
	status host.Status
	writes []string
}

var (
	_ Hosts   = (*world)(nil)
	_ Records = (*world)(nil)
	_ Images  = (*world)(nil)
)

func newWorld(t *testing.T, names ...string) *world {
	w := &world{
		t: t, changed: make(chan struct{}), hosts: map[string]*fakeHost{}, records: map[string][]byte{},
		metadata: image.Metadata{Kubernetes: "v1.36.4"}, phases: map[string][]host.Phase{}, boot: map[string]func(string, host.Deployment){},
	}
	for _, name := range names {
		w.hosts[name] = &fakeHost{status: host.Status{Name: name, State: host.Available, Power: "off", Revision: 1}}
	}
	w.api = newFakeAPI(t, w)
	return w
}

func (w *world) did(what string) {
	w.mu.Lock()
	w.log = append(w.log, what)
	step := w.step
	w.mu.Unlock()
	if step != nil {
		step(what)
	}
}

func (w *world) onStep(step func(string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.step = step
}

func (w *world) effects() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.log)
}

// set changes a host's status and wakes those who wait.
func (w *world) set(name string, change func(*host.Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := w.hosts[name]
	change(&h.status)
	h.status.Revision++
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *world) milestone(name, milestone, message string) {
	w.set(name, func(s *host.Status) {
		milestones, times := map[string]order.Milestone{}, map[string]time.Time{}
		for k, v := range s.Milestones {
			milestones[k], times[k] = v, s.MilestoneTimes[k]
		}
		milestones[milestone] = order.Milestone{Name: milestone, UptimeSeconds: 3, Message: message}
		times[milestone] = time.Now()
		s.Milestones, s.MilestoneTimes = milestones, times
	})
}

func (w *world) Provision(ctx context.Context, name string, d host.Deployment) (host.Status, error) {
	if w.broken != nil {
		return host.Status{}, w.broken
	}
	w.did("begin provision " + name)
	if err := ctx.Err(); err != nil {
		return host.Status{}, err
	}
	s, err := w.Host(ctx, name)
	if err != nil {
		return s, err
	}
	if s.Deployment == d.ID {
		return s, nil
	}
	if s.Deployment != "" {
		return s, fmt.Errorf("host %q carries %q", name, s.Deployment)
	}
	w.mu.Lock()
	w.hosts[name].writes = append(w.hosts[name].writes, d.ID)
	boot := w.boot[name]
	w.mu.Unlock()
	w.set(name, func(s *host.Status) {
		s.State, s.Deployment, s.Owner, s.Power = host.Provisioned, d.ID, d.Owner, "on"
	})
	if boot == nil {
		boot = w.bootWell
	}
	boot(name, d)
	w.did("end provision " + name)
	s, _ = w.Host(ctx, name)
	return s, ctx.Err()
}

// bootWell is what a machine does with what was written to it.
func (w *world) bootWell(name string, d host.Deployment) {
	w.milestone(name, order.MilestoneBooted, "")
	if err := w.api.kubeadm(name, d); err != nil {
		w.milestone(name, order.MilestoneFailed, err.Error())
		return
	}
	w.milestone(name, order.MilestoneBootstrapped, "")
}

func (w *world) Deprovision(ctx context.Context, name, owner string) error {
	if w.broken != nil {
		return w.broken
	}
	w.did("begin deprovision " + name)
	if err := ctx.Err(); err != nil {
		return err
	}
	s, err := w.Host(ctx, name)
	if err != nil {
		return err
	}
	if s.Owner == owner {
		w.set(name, func(s *host.Status) {
			*s = host.Status{Name: name, State: host.Available, Power: "off", Revision: s.Revision}
		})
	}
	w.did("end deprovision " + name)
	return ctx.Err()
}

func (w *world) Host(_ context.Context, name string) (host.Status, error) {
	if w.broken != nil {
		return host.Status{}, w.broken
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	h, ok := w.hosts[name]
	if !ok {
		return host.Status{}, fmt.Errorf("host %q is not enrolled", name)
	}
	return h.status, nil
}

func (w *world) Wait(ctx context.Context, name string, after uint64) (host.Status, error) {
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		s, err := w.Host(ctx, name)
		if err != nil || s.Revision > after {
			return s, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, ctx.Err()
		}
	}
}

func (w *world) Facts(ctx context.Context, name string) (Facts, error) {
	if _, err := w.Host(ctx, name); err != nil {
		return Facts{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	names := make([]string, 0, len(w.hosts))
	for n := range w.hosts {
		names = append(names, n)
	}
	slices.Sort(names)
	last := byte(11 + slices.Index(names, name))
	return Facts{
		MAC: fmt.Sprintf("52:54:00:00:00:%02x", last), Address: netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 30, 0, last}), 24),
		ConsoleTail: func(context.Context) []string { return []string{"login:"} },
	}, nil
}

func (w *world) MarkPhase(_ context.Context, name string, p host.Phase, _ time.Time, _ time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phases[name] = append(w.phases[name], p)
}

func (w *world) Prepare(context.Context, image.Source) (host.DeploymentImage, image.Metadata, error) {
	if w.broken != nil {
		return host.DeploymentImage{}, image.Metadata{}, w.broken
	}
	w.did("prepare image")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.prepared++
	return host.DeploymentImage{URL: "http://172.30.0.2/image"}, w.metadata, nil
}

func (w *world) Load(name string) (Record, bool, error) {
	if w.broken != nil {
		return Record{}, false, w.broken
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	raw, ok := w.records[name]
	if !ok {
		return Record{}, false, nil
	}
	var r Record
	err := json.Unmarshal(raw, &r)
	return r, true, err
}

func (w *world) Save(name string, r Record) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.records[name] = raw
	w.mu.Unlock()
	w.did("save record")
	return nil
}

func (w *world) Remove(name string) error {
	w.mu.Lock()
	delete(w.records, name)
	w.mu.Unlock()
	w.did("remove record")
	return nil
}

func (w *world) List() ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for name := range w.records {
		out = append(out, name)
	}
	return out, nil
}

func (w *world) writes(name string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.hosts[name].writes)
}

func (w *world) manager() *Manager {
	return New(Config{Hosts: w, Records: w, Images: w, Dial: w.api.dial, Poll: 2 * time.Millisecond, DrainTimeout: 300 * time.Millisecond})
}
