package acceptance

import (
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// TestTF5ReadKeepsWhatCannotBeReached: no answer is never "gone".
func TestTF5ReadKeepsWhatCannotBeReached(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lose func(*rig)
		want string
	}{
		"bmc": {func(g *rig) { g.with("node1", func(h *server) { h.unreachable = "no route to host" }) }, "no route to host"},
		"api-server": {func(g *rig) {
			g.mu.Lock()
			defer g.mu.Unlock()
			k := g.clusters["management"]
			k.status.Ready, k.status.Nodes, k.status.Unreachable = false, nil, "connection refused"
		}, "connection refused"},
		"agent": {func(g *rig) { g.down() }, "No agent answers"},
		// The agent has lost everything: refresh gives it back what it had to know.
		"store": {func(g *rig) {
			k := g.clusters["management"]
			g.forget()
			g.clusters["management"] = k
		}, "No changes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.write(g.rackHCL())
			g.ok(applyArgs...)
			g.ok("refresh", "-no-color")
			before := g.state()
			c.lose(g)
			changes, out := g.plan()
			for address := range before {
				g.wantActions(changes, address, "no-op")
			}
			wantText(t, out, c.want)
		})
	}
}

// TestTF5LostStoreIsSeededWithTheLedger: what was to be put back is remembered
// in private state.
func TestTF5LostStoreIsSeededWithTheLedger(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL() + hostHCL("node1", ""))
	g.ok(applyArgs...)
	ledger := g.hosts["node1"].status.Ledger
	g.forget()
	g.ok("refresh", "-no-color")
	if g.spec == nil || g.times("rack", "recall") != 1 || g.times("node1", "recall") != 1 {
		t.Fatalf("facility %v, recalls %v", g.spec, g.count)
	}
	got := g.hosts["node1"].status
	if len(got.Ledger) != len(ledger) || got.Ledger[1] != ledger[1] || got.Hardware == nil || got.Address == "" {
		t.Errorf("the agent was given %+v, want the ledger %+v", got, ledger)
	}
	g.wantEmptyPlan()
}

// TestTF5ForgottenClusterIsToldAgainInPlace: never recreated over a running one.
func TestTF5ForgottenClusterIsToldAgainInPlace(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	g.ok(applyArgs...)
	g.forget()
	changes, out := g.plan()
	g.wantActions(changes, "metal_cluster.c", "update")
	wantText(t, out, "does not know cluster")
	g.ok(applyArgs...)
	g.wantEmptyPlan()
}

// TestTF5AuthoritativeAbsenceRemoves: the agent itself gave the host back.
func TestTF5AuthoritativeAbsenceRemoves(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL() + hostHCL("node1", ""))
	g.ok(applyArgs...)
	g.mu.Lock()
	g.drop("node1")
	g.mu.Unlock()
	changes, _ := g.plan()
	g.wantActions(changes, "metal_host.node1", "create")
}

// TestTF5PowerDriftIsShownAndHealed: a host that should run was switched off.
func TestTF5PowerDriftIsShownAndHealed(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	g.ok(applyArgs...)
	g.with("node1", func(h *server) { h.status.Power = "off" })
	changes, out := g.plan()
	g.wantActions(changes, "metal_host.node1", "update")
	g.wantActions(changes, "metal_host.node2", "no-op")
	if power := changes["metal_host.node1"].After["power"]; power != "on" {
		t.Errorf("planned power %v, want on", power)
	}
	wantText(t, out, `Host "node1" was found powered off`, "The next apply powers it on", `"off" -> "on"`)
	g.ok(applyArgs...)
	if s := g.hosts["node1"].status; s.Power != "on" || s.State != host.Provisioned {
		t.Errorf("after apply the host is %s and %s", s.Power, s.State)
	}
	g.wantEmptyPlan()
}

// TestTF5HostThatStaysOffIsAnError: a power-on that did not help is not success.
func TestTF5HostThatStaysOffIsAnError(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	g.ok(applyArgs...)
	g.with("node1", func(h *server) { h.status.Power = "off" })
	g.fail("node1", "power-on", noInstaller)
	wantText(t, g.bad(applyArgs...), "check the cable")
	g.mend("node1", "power-on")
	g.ok(applyArgs...)
	g.wantEmptyPlan()
}
