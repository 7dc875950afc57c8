package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/bmc"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Bounds of what is tried again within one piece of work.
const (
	// maxBoots is how often the installer is booted before the host is given up:
	// one cold retry covers firmware that misses a one-time boot.
	maxBoots = 2
	// maxOrders is how often a retryable order is given.
	maxOrders = 3
	// lostContact is how long an installer that was in contact may be silent. It
	// reports every second and retries within two.
	lostContact = 60 * time.Second
	// freshContact is how recent a report makes the session count as alive.
	freshContact = 10 * time.Second
	// powerCheck is how often the BMC is asked for the power state while waiting.
	powerCheck = 15 * time.Second
)

// Defaults of Timeouts.
const (
	defaultBoot  = 15 * time.Minute
	defaultPower = 3 * time.Minute
	defaultStall = 5 * time.Minute
)

func seconds(v int64, def time.Duration) time.Duration {
	if v > 0 {
		return time.Duration(v) * time.Second
	}
	return def
}

// run is one piece of work on one host: the loop of observe, decide, act.
type run struct {
	*managed
	goal       Goal
	deployment *Deployment
	bmc        BMC
	boots      int
	orders     map[order.Kind]int
}

// work drives the host to goal. Its errors are *fault.Error with evidence.
func (h *managed) work(ctx context.Context, goal Goal, d *Deployment) error {
	r := &run{managed: h, goal: goal, deployment: d, orders: map[order.Kind]int{}}
	defer r.close()
	err := r.loop(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return onHost(h.spec().Name, &fault.Error{Class: fault.Retryable, Phase: string(h.status().Phase), Summary: "interrupted",
			Seen: "the work was stopped before its end", Advice: "run the same command again; it continues where it was", Err: err})
	}
	return r.explain(ctx, err)
}

func (r *run) close() {
	if r.bmc == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.bmc.Close(ctx); err != nil {
		r.m.cfg.Logger.Warn("closing the BMC session", "host", r.spec().Name, "error", err)
	}
}

func (r *run) loop(ctx context.Context) error {
	if r.goal == GoalReleased && r.untouched() {
		return r.reached()
	}
	if err := r.connect(ctx); err != nil {
		if r.goal == GoalReleased && r.abandoning() {
			return r.drop(err)
		}
		return err
	}
	for {
		o, err := r.observe(ctx)
		if err != nil {
			return err
		}
		action := Decide(r.goal, r.deploymentID(), r.record(), o)
		r.m.cfg.Logger.Debug("decided", "host", r.spec().Name, "goal", r.goal, "action", action, "power", o.Power, "booting", o.Booting, "session", o.Session)
		if action == ActNone {
			return r.reached()
		}
		if err := r.act(ctx, action); err != nil {
			return err
		}
	}
}

// untouched says that nothing was ever changed on the host, so that giving it
// back needs no BMC.
func (r *run) untouched() bool {
	rec := r.record()
	return rec.Status.Deployment == "" && len(rec.Status.Ledger) == 0
}

func (r *run) deploymentID() string {
	if r.deployment == nil {
		return ""
	}
	return r.deployment.ID
}

func (r *run) abandoning() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.abandon
}

// connect reaches the BMC and makes sure that the server behind it is the one
// that is meant.
func (r *run) connect(ctx context.Context) error {
	r.phase(PhaseConnect, "reaching the BMC")
	spec := r.spec()
	client, err := r.m.cfg.Site.Connect(ctx, spec.BMC)
	if err != nil {
		return err
	}
	r.bmc = client
	system, err := client.System(ctx)
	if err != nil {
		return err
	}
	if err := checkSystem(r.record(), system); err != nil {
		return err
	}
	r.endPhase(PhaseConnect)
	return r.update(func(rec *Record) {
		rec.Identity = Identity{Serial: system.Serial, UUID: strings.ToLower(system.UUID)}
		rec.Status.Power = string(system.Power)
		rec.Status.Unreachable = ""
	})
}

// checkSystem compares what the BMC says of its server with what is expected.
// BMCs that list no usable MAC address are believed until the installer reports.
func checkSystem(rec Record, s bmc.System) error {
	if len(s.MACs) > 0 && !contains(s.MACs, rec.Spec.BootMAC) {
		return &fault.Error{Class: fault.NeedsPerson, Attribute: "boot_mac", Summary: "no port of the host has the boot MAC address",
			Seen: "the BMC lists " + strings.Join(s.MACs, ", "), Expected: rec.Spec.BootMAC,
			Advice: "correct boot_mac, or bmc.url if this is another server; nothing was changed"}
	}
	old := rec.Identity
	if old.UUID != "" && s.UUID != "" && !strings.EqualFold(old.UUID, s.UUID) {
		return &fault.Error{Class: fault.NeedsPerson, Attribute: "bmc.url", Summary: "another server is behind this BMC",
			Seen: fmt.Sprintf("serial %q, UUID %s", s.Serial, s.UUID), Expected: fmt.Sprintf("serial %q, UUID %s", old.Serial, old.UUID),
			Advice: "correct bmc.url; if the server was replaced on purpose, destroy the host with abandon and create it again; nothing was changed"}
	}
	return nil
}

func contains(list []string, mac string) bool {
	for _, m := range list {
		if normalMAC(m) == mac {
			return true
		}
	}
	return false
}

// observe looks at the power and at the installer's session.
func (r *run) observe(ctx context.Context) (Observation, error) {
	power, err := r.bmc.Power(ctx)
	if err != nil {
		return Observation{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.rec.Status.Power != string(power) {
		r.rec.Status.Power = string(power)
		r.wake()
	}
	o := Observation{Power: string(power)}
	if o.Power != "off" {
		o.Power = "on" // powering on or off, paused: something runs
	}
	boot := r.rec.Boot
	if boot == nil || o.Power == "off" {
		return o, nil
	}
	now := r.m.cfg.Now()
	if boot.KeyDigest == "" {
		o.Booting = now.Before(boot.Started.Add(seconds(r.rec.Spec.Timeouts.BootSeconds, defaultBoot)))
		return o, nil
	}
	o.Booting = now.Sub(r.contact) < lostContact
	o.Session = r.inventory != nil && now.Sub(r.contact) < freshContact
	if o.Session && r.rec.Status.RootDisk != nil {
		o.Disk = sameDisk(*r.rec.Status.RootDisk, r.inventory.Disks)
	}
	return o, nil
}

// sameDisk finds the disk again that an earlier boot may have named otherwise.
func sameDisk(ref order.DiskRef, disks []order.Disk) *order.Disk {
	for i, d := range disks {
		if d.SizeBytes != ref.SizeBytes || d.Serial != ref.Serial || d.WWN != ref.WWN {
			continue
		}
		if ref.Serial == "" && ref.WWN == "" && d.Name != ref.Name {
			continue
		}
		return &disks[i]
	}
	return nil
}

// explain adds to err what a person needs: the host, the phase, the last BMC
// answer, what the network saw of the host, the tail of its console.
func (r *run) explain(ctx context.Context, err error) error {
	e := onHost(r.spec().Name, err).(*fault.Error) //nolint:forcetypeassert // onHost gives nothing else
	status := r.status()
	if e.Phase == "" {
		e.Phase = string(status.Phase)
	}
	if e.Advice == "" {
		e.Advice = "see the evidence, mend the cause, and run the same command again; it continues where it was"
	}
	if r.bmc == nil {
		return e
	}
	if answer := r.bmc.LastAnswer(); answer != "" {
		e.Evidence = append(e.Evidence, "last BMC answer: "+answer)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if lines, tailErr := r.bmc.ConsoleTail(ctx, 15); tailErr == nil && len(lines) > 0 {
		e.Evidence = append(e.Evidence, "console, last lines:")
		for _, l := range lines {
			e.Evidence = append(e.Evidence, "  "+l)
		}
	}
	if n := len(status.Log); n > 0 {
		e.Evidence = append(e.Evidence, "installer's log, last lines:")
		for _, l := range status.Log[max(0, n-10):] {
			e.Evidence = append(e.Evidence, "  "+l)
		}
	}
	return e
}

// reached writes down that the goal holds.
func (r *run) reached() error {
	switch r.goal {
	case GoalAvailable:
		return r.update(func(rec *Record) {
			if rec.Status.Deployment == "" {
				rec.Status.State = Available
			}
		})
	case GoalProvisioned:
		return r.update(func(rec *Record) { rec.Status.State = Provisioned })
	case GoalDeprovisioned:
		return r.update(func(rec *Record) { rec.Status.State = Available })
	case GoalReleased:
		return r.letGo()
	}
	return nil
}

// letGo removes every trace of the host from our own store.
func (r *run) letGo() error {
	r.mu.Lock()
	name := r.rec.Spec.Name
	err := r.m.cfg.Store.RemoveHost(name)
	r.gone = err == nil
	r.mu.Unlock()
	if err != nil {
		return fmt.Errorf("forgetting host %q: %w", name, err)
	}
	r.m.forget(name)
	r.mu.Lock()
	r.wake() // who waits has to find that it is gone
	r.mu.Unlock()
	r.m.cfg.Events.Publish(event.Event{Kind: "host", Name: name, Phase: "released", Message: "given back as it was found"})
	return nil
}

// drop ends a release with abandon: what could not be undone is said.
func (r *run) drop(cause error) error {
	rec := r.record()
	for _, e := range rec.Status.Ledger {
		if !e.Undone {
			r.tell(fmt.Sprintf("abandoned: %s was not put back to %s (%v)", e.What, e.Was, cause), 0, 0)
		}
	}
	if rec.Status.Deployment != "" {
		r.tell(fmt.Sprintf("abandoned: the disk still holds %s", rec.Status.Deployment), 0, 0)
	}
	return r.letGo()
}
