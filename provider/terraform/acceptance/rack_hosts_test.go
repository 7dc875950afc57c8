package acceptance

import (
	"context"
	"fmt"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// enrolment are the phases of a host from nothing to available.
var enrolment = []host.Phase{host.PhaseConnect, host.PhaseLedger, host.PhasePowerOn, host.PhaseInspect, host.PhasePowerOff}

func (r *rack) ApplyHost(_ context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	defer r.enterGate()()
	if r.spec == nil {
		return host.Status{}, &fault.Error{Class: fault.NeedsPerson, Subject: "facility", Summary: "the facility is not open", Advice: "apply metal_facility"}
	}
	if _, ok := r.credentials[spec.BMC.Credentials]; !ok {
		return host.Status{}, &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("host %q", spec.Name), Attribute: "bmc.credentials",
			Summary: "the BMC's credentials are not known", Seen: fmt.Sprintf("nobody gave %q", spec.BMC.Credentials), Advice: "give them"}
	}
	h := r.record(spec, recall)
	h.spec = spec
	delete(r.released, "host/"+spec.Name)
	if h.status.Busy {
		return h.status, nil
	}
	h.status.Failure = nil
	switch {
	case h.status.State == host.Provisioned && h.status.Power == "off":
		r.begin(h, []host.Phase{host.PhasePowerOn}, func() { h.status.Power = "on" })
	case h.status.State != host.Available && h.status.State != host.Provisioned:
		r.begin(h, enrolment, func() { h.status.State, h.status.Power = host.Available, "off" })
	}
	return h.status, nil
}

// record finds or makes the record of a host; the lock is held.
func (r *rack) record(spec host.Spec, recall *host.Status) *server {
	h, ok := r.hosts[spec.Name]
	if !ok {
		h = &server{spec: spec, status: host.Status{Name: spec.Name, State: host.Enrolling}}
		if recall != nil {
			h.status = *recall
		}
		r.hosts[spec.Name] = h
	}
	return h
}

// begin does the phases that are not done yet, then finish; the lock is held.
func (r *rack) begin(h *server, phases []host.Phase, finish func()) {
	r.change(h, func(s *host.Status) { s.Busy, s.Phase = true, phases[0] })
	name := h.spec.Name
	go func() {
		for _, phase := range phases {
			r.mu.Lock()
			r.change(h, func(s *host.Status) { s.Phase = phase })
			r.mu.Unlock()
			failure := r.step(name, string(phase))
			r.mu.Lock()
			if failure != nil {
				r.change(h, func(s *host.Status) { s.Busy, s.Failure = false, failure })
				r.mu.Unlock()
				return
			}
			r.change(h, func(s *host.Status) { pass(s, phase) })
			r.mu.Unlock()
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		finish()
		r.change(h, func(s *host.Status) { s.Busy, s.Phase = false, "" })
	}()
}

// pass is what a phase leaves behind.
func pass(s *host.Status, phase host.Phase) {
	s.Timings = append(s.Timings, host.Timing{Phase: phase, Seconds: 1.5})
	switch phase {
	case host.PhaseLedger:
		if len(s.Ledger) == 0 {
			s.Ledger = []host.Entry{{What: "power", Was: `"off"`}, {What: "boot-override", Was: `"None"`}}
		}
	case host.PhasePowerOn:
		s.Power = "on"
	case host.PhaseInspect:
		s.Hardware = inventory()
		s.Address = "172.30.0.20/24"
	case host.PhasePowerOff:
		s.Power = "off"
	case host.PhaseRestore:
		for i := range s.Ledger {
			s.Ledger[i].Undone = true
		}
	}
}

func inventory() *order.Inventory {
	return &order.Inventory{
		System: order.System{Manufacturer: "ACME", Product: "Rocket", Serial: "S1"}, MemoryMB: 4096,
		CPU:      order.CPU{Model: "Model", Sockets: 1, Cores: 2, Threads: 4, Arch: "amd64"},
		Disks:    []order.Disk{{Name: "/dev/vda", Serial: "D1", SizeBytes: 20 << 30, Content: []string{"nothing"}}},
		NICs:     []order.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01", Link: true}},
		Firmware: order.Firmware{Vendor: "EDK II", Mode: "uefi"},
	}
}

// change raises the revision and wakes those who wait; the lock is held.
func (r *rack) change(h *server, do func(*host.Status)) {
	do(&h.status)
	h.status.Revision++
	r.wake()
}

func (r *rack) RecallHost(_ context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	defer r.enter()()
	if r.released["host/"+spec.Name] {
		return host.Status{}, facility.ErrNotFound
	}
	if _, ok := r.hosts[spec.Name]; !ok {
		r.count[spec.Name+"/recall"]++
	}
	return r.record(spec, recall).status, nil
}

func (r *rack) Host(_ context.Context, name string, refresh bool) (host.Status, error) {
	defer r.enter()()
	h, ok := r.hosts[name]
	if !ok {
		return host.Status{}, facility.ErrNotFound
	}
	s := h.status
	if refresh && h.unreachable != "" {
		s.Power, s.Unreachable = "", h.unreachable
	}
	return s, nil
}

func (r *rack) WaitHost(ctx context.Context, name string, after uint64) (host.Status, error) {
	return wait(ctx, r, func() (host.Status, uint64, bool) {
		h, ok := r.hosts[name]
		if !ok {
			return host.Status{}, 0, false
		}
		return h.status, h.status.Revision, true
	}, after)
}

// wait is the engines' contract for a long-poll.
func wait[S any](ctx context.Context, r *rack, look func() (S, uint64, bool), after uint64) (S, error) {
	for {
		r.mu.Lock()
		s, revision, ok := look()
		changed := r.changed
		r.mu.Unlock()
		if !ok {
			return s, facility.ErrNotFound
		}
		if revision > after {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, nil
		}
	}
}

func (r *rack) ReleaseHost(_ context.Context, name string, abandon bool) (host.Status, error) {
	defer r.enter()()
	h, ok := r.hosts[name]
	if !ok {
		return host.Status{}, facility.ErrNotFound
	}
	if abandon {
		r.drop(name)
		return h.status, nil
	}
	if h.status.Busy {
		return h.status, nil
	}
	h.status.State, h.status.Failure = host.Releasing, nil
	r.begin(h, []host.Phase{host.PhasePowerOff, host.PhaseRestore}, func() { r.drop(name) })
	return h.status, nil
}

// drop forgets a host for good; the lock is held.
func (r *rack) drop(name string) {
	delete(r.hosts, name)
	r.released["host/"+name] = true
	r.wake()
}

func (r *rack) Hosts(context.Context) ([]host.Status, error) {
	defer r.enter()()
	var out []host.Status
	for _, h := range r.hosts {
		out = append(out, h.status)
	}
	return out, nil
}
