package acceptance

import (
	"reflect"
	"testing"
)

// TestTF1CreateSavesStateBeforeTheFirstLongStep interrupts each resource in its
// very first step: identity and known values are in the state all the same.
func TestTF1CreateSavesStateBeforeTheFirstLongStep(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	letGo := g.hold("node1", "connect")
	apply := g.start(applyArgs...)
	g.reached("node1", "connect")
	apply.interrupt()
	apply.wait()
	node := g.state()["metal_host.node1"]
	want := map[string]any{"id": g.url() + "#node1", "name": "node1", "facility": g.url(), "state": "enrolling", "phase": "connect", "ready": false}
	for attribute, value := range want {
		if node.Values[attribute] != value {
			t.Errorf("node1's %s is %v, want %v", attribute, node.Values[attribute], value)
		}
	}
	letGo()
	g.settled()

	letGo = g.hold("management", "preflight")
	apply = g.start(applyArgs...)
	g.reached("management", "preflight")
	apply.interrupt()
	apply.wait()
	c := g.state()["metal_cluster.c"]
	want = map[string]any{"id": g.url() + "#management", "phase": "preflight", "ready": false, "kubernetes_version": "v1.36.4"}
	for attribute, value := range want {
		if c.Values[attribute] != value {
			t.Errorf("the cluster's %s is %v, want %v", attribute, c.Values[attribute], value)
		}
	}
	letGo()
}

// TestTF1KilledProviderAppliesAgainToTheSameEnd kills the provider process in
// each phase of each resource. State is a hint: OpenTofu may even have lost it.
func TestTF1KilledProviderAppliesAgainToTheSameEnd(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	g.ok(applyArgs...)
	g.ok("refresh", "-no-color") // the cluster changed its hosts
	end := portable(g.state())

	phases := map[string][]string{"rack": {"open"}, "node2": {"connect", "ledger", "power-on", "inspect", "power-off"},
		"management": {"preflight", "provisioning", "initializing", "joining"}}
	for name, steps := range phases {
		for _, phase := range steps {
			t.Run(name+"-"+phase, func(t *testing.T) {
				t.Parallel()
				g := newRig(t)
				g.write(g.rackHCL())
				letGo := g.hold(name, phase)
				apply := g.start(applyArgs...)
				g.reached(name, phase)
				g.killPlugin()
				if out, ok := apply.wait(); ok {
					t.Fatalf("apply succeeded without its provider:\n%s", out)
				}
				letGo()
				g.settled()
				g.ok(applyArgs...)
				g.ok("refresh", "-no-color")
				if got := portable(g.state()); !reflect.DeepEqual(got, end) {
					t.Errorf("after a kill at %s of %s the state is\n%v\nwant\n%v", phase, name, got, end)
				}
				g.wantEmptyPlan()
				if n := g.times("node2", "power-on"); n != 1 {
					t.Errorf("node2 was switched on %d times, want once", n)
				}
			})
		}
	}
}

// portable is a state without what differs from rig to rig: the socket.
func portable(state map[string]object) map[string]map[string]any {
	out := map[string]map[string]any{}
	for address, o := range state {
		values := map[string]any{}
		for name, value := range o.Values {
			if name != "id" && name != "facility" && name != "agent" {
				values[name] = value
			}
		}
		values["tainted"] = o.Tainted
		out[address] = values
	}
	return out
}
