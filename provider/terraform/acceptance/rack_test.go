package acceptance

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// version is what the rack's agent says of itself.
const version = "9.8.7-acceptance"

// rack is an engine whose servers are records: it takes the same calls as a
// real facility, goes through the same phases, and a test can hold it at any of
// them, make it fail there, or take its memory.
type rack struct {
	mu      sync.Mutex
	changed chan struct{}
	bus     event.Bus

	spec        *facility.Spec
	credentials map[string]facility.Credentials
	hosts       map[string]*server
	clusters    map[string]*kubernetes
	released    map[string]bool // given back by this rack: authoritatively absent
	// claims that nobody owns any more but that are still there.
	leaks map[string]string

	holds map[string]chan struct{} // "<name>/<phase>": work waits here
	fails map[string]*fault.Error  // "<name>/<phase>": work ends here
	// count of "<name>/<phase>": how often work went through it.
	count map[string]int

	gate    chan struct{} // not nil: every ApplyHost waits for it
	running int
	most    int
}

// server is one host of the rack.
type server struct {
	spec        host.Spec
	status      host.Status
	unreachable string
}

// kubernetes is one cluster of the rack.
type kubernetes struct {
	spec   cluster.Spec
	status cluster.Status
}

var (
	_ agent.Site     = (*rack)(nil)
	_ agent.Hosts    = (*rack)(nil)
	_ agent.Clusters = (*rack)(nil)
	_ agent.Specs    = (*rack)(nil)
)

func newRack() *rack {
	return &rack{changed: make(chan struct{}), credentials: map[string]facility.Credentials{}, hosts: map[string]*server{},
		clusters: map[string]*kubernetes{}, released: map[string]bool{}, leaks: map[string]string{},
		holds: map[string]chan struct{}{}, fails: map[string]*fault.Error{}, count: map[string]int{}}
}

// enter counts a request under way, and locks.
func (r *rack) enter() (leave func()) {
	r.mu.Lock()
	r.running++
	r.most = max(r.most, r.running)
	r.wake()
	return func() {
		r.running--
		r.mu.Unlock()
	}
}

// enterGate is enter, through the gate if there is one.
func (r *rack) enterGate() (leave func()) {
	leave = r.enter()
	gate := r.gate
	if gate == nil {
		return leave
	}
	r.mu.Unlock()
	<-gate
	r.mu.Lock()
	return leave
}

// wake tells all that wait for a change; the lock is held.
func (r *rack) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// until waits for a condition over the rack, checked after each change.
func (r *rack) until(ctx context.Context, what string, holds func() bool) error {
	for {
		r.mu.Lock()
		ok, changed := holds(), r.changed
		r.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}

// hold makes work on name wait at a phase until the returned function is called.
func (r *rack) hold(name, phase string) (letGo func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	held := make(chan struct{})
	r.holds[name+"/"+phase] = held
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.holds, name+"/"+phase)
		close(held)
	})
}

// fail makes work on name end at a phase, until mend.
func (r *rack) fail(name, phase string, f *fault.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fails[name+"/"+phase] = f
}

func (r *rack) mend(name, phase string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.fails, name+"/"+phase)
}

// times is how often work went through a phase.
func (r *rack) times(name, phase string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[name+"/"+phase]
}

// forget loses the store, as when somebody deletes it.
func (r *rack) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spec, r.hosts, r.clusters, r.released = nil, map[string]*server{}, map[string]*kubernetes{}, map[string]bool{}
}

// with changes something of a host by hand.
func (r *rack) with(name string, change func(*server)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(r.hosts[name])
	r.hosts[name].status.Revision++
	r.wake()
}

// step goes through one phase: counted, held, failed.
func (r *rack) step(name, phase string) *fault.Error {
	r.mu.Lock()
	r.count[name+"/"+phase]++
	held, failure := r.holds[name+"/"+phase], r.fails[name+"/"+phase]
	r.wake()
	r.mu.Unlock()
	if held != nil {
		<-held
	}
	return failure
}

func (r *rack) ApplyFacility(_ context.Context, spec facility.Spec) (facility.Status, error) {
	if f := r.step(spec.Name, "open"); f != nil {
		return facility.Status{}, f
	}
	defer r.enter()()
	r.spec = &spec
	return r.site(), nil
}

func (r *rack) RecallFacility(_ context.Context, spec facility.Spec) (facility.Status, error) {
	defer r.enter()()
	if r.spec == nil {
		r.spec = &spec
		r.count[spec.Name+"/recall"]++
	}
	return r.site(), nil
}

func (r *rack) Facility(context.Context) (facility.Status, error) {
	defer r.enter()()
	if r.spec == nil {
		return facility.Status{}, facility.ErrNotFound
	}
	return r.site(), nil
}

func (r *rack) site() facility.Status {
	s := facility.Status{Name: r.spec.Name, Revision: 1, Serving: true, Version: version, Claims: maps.Clone(r.leaks)}
	for name, h := range r.hosts {
		s.Hosts = append(s.Hosts, name)
		if h.status.Address != "" {
			s.Claims[h.status.Address] = "host/" + name
		}
	}
	s.Clusters = slices.Sorted(maps.Keys(r.clusters))
	return s
}

func (r *rack) ReleaseFacility(context.Context) error {
	defer r.enter()()
	if len(r.hosts)+len(r.clusters) > 0 {
		return &fault.Error{Class: fault.NeedsPerson, Summary: "the facility is in use", Advice: "destroy its hosts first"}
	}
	r.spec = nil
	return nil
}

func (r *rack) OfferCredentials(offered map[string]facility.Credentials) {
	defer r.enter()()
	maps.Copy(r.credentials, offered)
}

func (r *rack) Events() *event.Bus { return &r.bus }

func (r *rack) FacilitySpec(context.Context) (facility.Spec, error) {
	defer r.enter()()
	if r.spec == nil {
		return facility.Spec{}, facility.ErrNotFound
	}
	return *r.spec, nil
}

func (r *rack) HostSpec(_ context.Context, name string) (host.Spec, error) {
	defer r.enter()()
	h, ok := r.hosts[name]
	if !ok {
		return host.Spec{}, facility.ErrNotFound
	}
	return h.spec, nil
}

func (r *rack) ClusterSpec(_ context.Context, name string) (cluster.Spec, error) {
	defer r.enter()()
	k, ok := r.clusters[name]
	if !ok {
		return cluster.Spec{}, facility.ErrNotFound
	}
	return k.spec, nil
}
