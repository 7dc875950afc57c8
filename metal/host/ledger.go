package host

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nanometal/terraform-provider-metal/metal/bmc"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// What the ledger can hold.
const (
	entryPower = "power"
	entryBoot  = "boot-override"
)

// openLedger writes down everything that a host's life changes on its BMC,
// before the first change.
func (r *run) openLedger(ctx context.Context) error {
	r.phase(PhaseLedger, "writing down what is found")
	system, err := r.bmc.System(ctx)
	if err != nil {
		return err
	}
	entries, err := firstPage(system)
	if err != nil {
		return err
	}
	now := r.m.cfg.Now()
	for i := range entries {
		entries[i].Time = now
	}
	r.endPhase(PhaseLedger)
	return r.update(func(rec *Record) { rec.Status.Ledger = entries })
}

func firstPage(s bmc.System) ([]Entry, error) {
	boot, err := json.Marshal(s.Boot)
	if err != nil {
		return nil, fmt.Errorf("writing down the boot override: %w", err)
	}
	power, err := json.Marshal(s.Power)
	if err != nil {
		return nil, fmt.Errorf("writing down the power state: %w", err)
	}
	return []Entry{{What: entryPower, Was: string(power)}, {What: entryBoot, Was: string(boot)}}, nil
}

// restore plays the ledger backwards; each entry is read back before it counts.
// One that cannot be undone does not keep the others from being.
func (r *run) restore(ctx context.Context) error {
	r.phase(PhaseRestore, "putting the BMC's settings back")
	if err := r.update(func(rec *Record) { rec.Status.State = Releasing }); err != nil {
		return err
	}
	ledger := r.status().Ledger
	var left []string
	for i := len(ledger) - 1; i >= 0; i-- {
		if ledger[i].Undone {
			continue
		}
		err := r.undo(ctx, ledger[i])
		ledger[i].Undone, ledger[i].Problem = err == nil, ""
		if err != nil {
			ledger[i].Problem = err.Error()
			left = append(left, fmt.Sprintf("%s was %s: %v", ledger[i].What, ledger[i].Was, err))
		}
		if err := r.update(func(rec *Record) { rec.Status.Ledger = ledger }); err != nil {
			return err
		}
	}
	if len(left) == 0 {
		r.endPhase(PhaseRestore)
		return nil
	}
	if r.abandoning() {
		for i := range ledger {
			ledger[i].Undone = true
		}
		for _, l := range left {
			r.m.cfg.Events.Publish(event.Event{Kind: "host", Name: r.spec().Name, Phase: string(PhaseRestore), Message: "abandoned: " + l})
		}
		return r.update(func(rec *Record) { rec.Status.Ledger = ledger })
	}
	return &fault.Error{Class: fault.Retryable, Phase: string(PhaseRestore), Summary: "not everything on the BMC could be put back",
		Seen: fmt.Sprintf("%d of %d entries are left", len(left), len(ledger)), Expected: "the BMC as it was found",
		Advice:   "run destroy again; to give the host up as it is, set abandon_on_destroy = true, apply and destroy",
		Evidence: left}
}

func (r *run) undo(ctx context.Context, e Entry) error {
	switch e.What {
	case entryBoot:
		var was bmc.Boot
		if err := json.Unmarshal([]byte(e.Was), &was); err != nil {
			return fmt.Errorf("reading the ledger's %s: %w", e.What, err)
		}
		return r.bmc.SetBoot(ctx, was)
	case entryPower:
		var was bmc.PowerState
		if err := json.Unmarshal([]byte(e.Was), &was); err != nil {
			return fmt.Errorf("reading the ledger's %s: %w", e.What, err)
		}
		if was == bmc.PowerOff {
			return r.powerOff(ctx)
		}
		return r.powerOn(ctx)
	}
	return fmt.Errorf("the ledger's %q is not known", e.What)
}
