package acceptance

import (
	"strings"
	"testing"
)

// TestTF2InterruptKeepsTheResourceUntaintedAndResumesInPlace presses Ctrl-C in
// the middle of each resource's Create.
func TestTF2InterruptKeepsTheResourceUntaintedAndResumesInPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, phase, address string }{
		{"node1", "inspect", "metal_host.node1"},
		{"management", "initializing", "metal_cluster.c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.write(g.rackHCL())
			letGo := g.hold(c.name, c.phase)
			apply := g.start(applyArgs...)
			g.reached(c.name, c.phase)
			apply.interrupt()
			out, _ := apply.wait()
			wantText(t, out, "is not finished", "The run was interrupted", c.phase, "continues where this one stopped")
			if strings.Contains(out, "Error: Creating") {
				t.Errorf("the interruption is an error:\n%s", out)
			}
			o, ok := g.state()[c.address]
			if !ok || o.Tainted || o.Values["ready"] != false || o.Values["phase"] != c.phase {
				t.Fatalf("after the interruption %s is %+v, want it untainted, not ready, at phase %q", c.address, o, c.phase)
			}
			letGo()
			// Planned before the next look is over or after: it continues in place
			// or has nothing left to do, and is never replaced.
			changes, _ := g.plan()
			if actions := strings.Join(changes[c.address].Actions, ","); actions != "update" && actions != "no-op" {
				t.Errorf("%s: planned actions %s, want update in place", c.address, actions)
			}
			g.ok(applyArgs...)
			if o := g.state()[c.address]; o.Values["ready"] != true || o.Values["phase"] != nil {
				t.Errorf("after resuming %s is %v", c.address, o.Values)
			}
			g.wantEmptyPlan()
			if n := g.times(c.name, c.phase); n != 1 {
				t.Errorf("%s went through %s %d times, want once", c.name, c.phase, n)
			}
		})
	}
}

// TestTF2ResumeIsAnUpdateInPlace plans while the work still goes on.
func TestTF2ResumeIsAnUpdateInPlace(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	letGo := g.hold("node1", "inspect")
	apply := g.start(applyArgs...)
	g.reached("node1", "inspect")
	apply.interrupt()
	apply.wait()
	changes, _ := g.plan()
	g.wantActions(changes, "metal_host.node1", "update")
	unknown := changes["metal_host.node1"].AfterUnknown
	for _, attribute := range []string{"ready", "phase", "state", "power", "hardware", "addresses"} {
		if unknown[attribute] != true {
			t.Errorf("%s is planned as %v, want it known after apply", attribute, unknown[attribute])
		}
	}
	letGo()
}

// TestTF2InterruptBeforeTheAgentAnswered stops while the agent has
// not answered yet.
func TestTF2InterruptBeforeTheAgentAnswered(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL())
	letGo := g.hold("rack", "open")
	apply := g.start(applyArgs...)
	g.reached("rack", "open")
	apply.interrupt()
	apply.wait()
	if o, ok := g.state()["metal_facility.rack"]; ok && o.Tainted {
		t.Errorf("the facility is tainted: %+v", o)
	}
	letGo()
	g.ok(applyArgs...)
	g.wantEmptyPlan()
}
