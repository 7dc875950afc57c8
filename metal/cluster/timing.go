package cluster

import (
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// times are the moments of a first boot, by the agent's clock; zero: not known.
type times struct {
	// Acknowledged is when the installer acknowledged the order to boot.
	Acknowledged time.Time
	// Booted is the arrival of the milestone "booted", Uptime what it said.
	Booted time.Time
	Uptime time.Duration
	// Bootstrapped is the arrival of that milestone.
	Bootstrapped time.Time
	// Ready is when the node was first seen Ready.
	Ready time.Time
}

// span is one line of the phase table.
type span struct {
	Phase   host.Phase
	Started time.Time
	Took    time.Duration
}

func bootTimes(s host.Status, acknowledged, ready time.Time) times {
	return times{
		Acknowledged: acknowledged,
		Booted:       s.MilestoneTimes[order.MilestoneBooted],
		Uptime:       time.Duration(s.Milestones[order.MilestoneBooted].UptimeSeconds * float64(time.Second)),
		Bootstrapped: s.MilestoneTimes[order.MilestoneBootstrapped],
		Ready:        ready,
	}
}

// phases computes a first boot's part of the phase table. Phases whose ends are
// not both known are left out. The kernel's start is where the arrival of
// "booted" minus its uptime says; a node may be Ready before kubeadm has ended,
// then its last phase took no time.
func phases(t times) []span {
	var out []span
	add := func(p host.Phase, from, to time.Time) {
		if !from.IsZero() && !to.IsZero() {
			out = append(out, span{p, from, max(0, to.Sub(from))})
		}
	}
	var kernel time.Time
	if !t.Booted.IsZero() {
		kernel = t.Booted.Add(-t.Uptime)
	}
	if !kernel.Before(t.Acknowledged) {
		add(host.PhaseKexec, t.Acknowledged, kernel)
	}
	add(host.PhaseFirstBoot, kernel, t.Booted)
	add(host.PhaseBootstrap, t.Booted, t.Bootstrapped)
	add(host.PhaseReady, t.Bootstrapped, t.Ready)
	return out
}
