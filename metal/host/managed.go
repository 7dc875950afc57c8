package host

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"sync"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// managed is one host in this process: its record, its installer's session and
// the work that is going on.
type managed struct {
	m *Manager

	mu      sync.Mutex
	rec     Record
	changed chan struct{}
	abandon bool
	// gone says that the host was released: nothing is saved any more.
	gone bool
	// cancel ends the present work.
	cancel context.CancelFunc
	// goal is what is being worked towards; "" when idle.
	goal Goal
	idle chan struct{} // closed when the present work ends
	// contact is when the installer was heard last.
	contact time.Time
	// inventory of the present session.
	inventory *order.Inventory
	// current is the order that the installer is given.
	current *order.Order
	// progress is about current.
	progress *order.Progress
	phaseAt  time.Time
}

func newManaged(m *Manager, r Record) *managed {
	if r.Boot != nil && r.Boot.KeyDigest == "" {
		// Its firmware may have asked while nobody served: the boot is begun again
		// at once rather than after its deadline.
		again := *r.Boot
		again.Started = time.Time{}
		r.Boot = &again
	}
	h := &managed{m: m, rec: r, changed: make(chan struct{})}
	if r.Boot != nil && r.Boot.KeyDigest != "" {
		// The installer of an earlier process may still be there: it is given
		// the time of a lost contact to be heard again.
		h.contact = m.cfg.Now().Add(-freshContact)
		h.inventory = r.Boot.Inventory
	}
	return h
}

// adopt takes over spec and address and saves.
func (h *managed) adopt(spec Spec, address netip.Prefix) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.rec.Spec; bmcKey(old.BMC) != bmcKey(spec.BMC) || old.BootMAC != spec.BootMAC {
		return onHost(spec.Name, &fault.Error{Class: fault.NeedsPerson, Attribute: "bmc.url", Summary: "the host's BMC or boot MAC cannot change in place",
			Seen: spec.BMC.URL + " " + spec.BootMAC, Expected: old.BMC.URL + " " + old.BootMAC, Advice: "replace the host: destroy it and create it again"})
	}
	h.rec.Spec = spec
	h.rec.Address = address
	h.rec.Status.Address = address.String()
	return h.save()
}

// save writes the record and wakes those who wait. The caller holds mu.
func (h *managed) save() error {
	h.rec.Status.Revision++
	close(h.changed)
	h.changed = make(chan struct{})
	return h.m.cfg.Store.SaveHost(h.rec)
}

// wake tells watchers of a change that is not worth a write to the store.
func (h *managed) wake() {
	h.rec.Status.Revision++
	close(h.changed)
	h.changed = make(chan struct{})
}

// update changes the record and saves it.
func (h *managed) update(change func(*Record)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(&h.rec)
	return h.save()
}

func (h *managed) spec() Spec {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rec.Spec
}

func (h *managed) record() Record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rec
}

func (h *managed) status() Status {
	s, _ := h.watch()
	return s
}

// watch gives a copy of the status and the channel that its next change closes.
func (h *managed) watch() (Status, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.rec.Status
	s.Progress = h.progress
	s.Ledger = append([]Entry(nil), s.Ledger...)
	s.Timings = append([]Timing(nil), s.Timings...)
	s.Log = append([]string(nil), s.Log...)
	milestones := map[string]order.Milestone{}
	times := map[string]time.Time{}
	for k, v := range s.Milestones {
		milestones[k] = v
	}
	for k, v := range s.MilestoneTimes {
		times[k] = v
	}
	s.Milestones, s.MilestoneTimes = milestones, times
	return s, h.changed
}

// released tells whether the host was given back and is not known any more.
func (h *managed) released() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone
}

func (h *managed) setAbandon(v bool) {
	h.mu.Lock()
	h.abandon = v
	h.mu.Unlock()
}

// phase says what is done now, starts its clock, and publishes it.
func (h *managed) phase(p Phase, message string) {
	h.mu.Lock()
	h.rec.Status.Phase = p
	h.phaseAt = h.m.cfg.Now()
	h.wake()
	name := h.rec.Spec.Name
	h.mu.Unlock()
	h.m.cfg.Logger.Info("phase", "host", name, "phase", p, "message", message)
	h.m.cfg.Events.Publish(event.Event{Kind: "host", Name: name, Phase: string(p), Message: message})
}

// tell publishes progress within the present phase.
func (h *managed) tell(message string, done, total int64) {
	h.mu.Lock()
	e := event.Event{Kind: "host", Name: h.rec.Spec.Name, Phase: string(h.rec.Status.Phase), Message: message,
		Done: done, Total: total, Elapsed: h.m.cfg.Now().Sub(h.phaseAt)}
	h.mu.Unlock()
	h.m.cfg.Events.Publish(e)
}

// timing puts one line into the phase table, replacing an older one.
func (h *managed) timing(t Timing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.putTiming(t)
}

// putTiming is timing for callers that hold mu.
func (h *managed) putTiming(t Timing) {
	for i, old := range h.rec.Status.Timings {
		if old.Phase == t.Phase {
			h.rec.Status.Timings[i] = t
			h.wake()
			return
		}
	}
	h.rec.Status.Timings = append(h.rec.Status.Timings, t)
	h.wake()
}

// endPhase records the time since phase began.
func (h *managed) endPhase(p Phase) {
	h.mu.Lock()
	took := h.m.cfg.Now().Sub(h.phaseAt)
	h.mu.Unlock()
	h.timing(Timing{Phase: p, Seconds: took.Seconds()})
}

// start begins work towards goal in the background. Work towards the same goal
// goes on; a release takes over from anything else.
func (h *managed) start(goal Goal) {
	h.mu.Lock()
	if h.goal != "" && (h.goal == goal || goal == GoalAvailable) {
		h.mu.Unlock()
		return
	}
	if goal == GoalReleased && h.goal != "" {
		h.cancelLocked()
	}
	h.mu.Unlock()
	h.m.work.Add(1)
	ready := make(chan struct{})
	go func() {
		defer h.m.work.Done()
		_ = h.exclusive(h.m.ctx, goal, nil, func() { close(ready) }) // the failure is in the status
	}()
	select {
	case <-ready:
	case <-h.m.ctx.Done():
	}
}

// runNow works towards goal and waits for the end.
func (h *managed) runNow(ctx context.Context, goal Goal, d *Deployment) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.m.ctx, cancel)()
	return h.exclusive(ctx, goal, d, func() {})
}

// exclusive runs one piece of work at a time. queued is called when the work
// counts as begun: either it runs, or it waits for another to end.
func (h *managed) exclusive(ctx context.Context, goal Goal, d *Deployment, queued func()) error {
	for first := true; ; first = false {
		h.mu.Lock()
		if h.goal == "" {
			h.goal = goal
			h.idle = make(chan struct{})
			h.rec.Status.Busy = true
			h.rec.Status.Failure = nil
			err := h.save()
			ctx, cancel := context.WithCancel(ctx)
			h.cancel = cancel
			h.mu.Unlock()
			queued()
			if err == nil {
				err = h.work(ctx, goal, d)
			}
			cancel()
			h.finish(err)
			return err
		}
		idle := h.idle
		if first {
			h.rec.Status.Busy = true
			h.wake()
		}
		h.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			queued()
			return ctx.Err()
		}
	}
}

func (h *managed) cancelLocked() {
	if h.cancel != nil {
		h.cancel()
	}
}

func (h *managed) finish(err error) {
	h.mu.Lock()
	h.goal, h.cancel = "", nil
	h.current, h.progress = nil, nil
	h.rec.Status.Busy = false
	h.rec.Status.Phase = ""
	if err != nil {
		h.rec.Status.Failure = fault.From(err)
	}
	name := h.rec.Spec.Name
	if !h.gone {
		if saveErr := h.save(); saveErr != nil {
			h.m.cfg.Logger.Error("saving host", "host", name, "error", saveErr)
		}
	}
	close(h.idle)
	h.mu.Unlock()
	if err != nil {
		h.m.cfg.Events.Publish(event.Event{Kind: "host", Name: name, Phase: "failed", Message: err.Error()})
	}
}

// secret makes a random, URL-safe string of 192 bits.
func secret() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
