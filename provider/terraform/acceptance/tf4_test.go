package acceptance

import (
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// TestTF4DestroyGivesEverythingBackInOrder takes a whole rack down.
func TestTF4DestroyGivesEverythingBackInOrder(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	g.ok(applyArgs...)
	g.ok(destroyArgs...)
	for _, step := range []struct{ name, phase string }{{"management", "deleting"}, {"node1", "restore"}, {"node2", "restore"}} {
		if n := g.times(step.name, step.phase); n != 1 {
			t.Errorf("%s went through %s %d times, want once", step.name, step.phase, n)
		}
	}
	if len(g.hosts)+len(g.clusters) != 0 || g.spec != nil {
		t.Errorf("left behind: %d hosts, %d clusters, facility %v", len(g.hosts), len(g.clusters), g.spec)
	}
	if state := g.state(); len(state) != 0 {
		t.Errorf("left in the state: %v", state)
	}
}

// TestTF4DeleteContinuesWhereItStopped: a failure, an interruption and a kill
// keep the state; the next destroy goes on.
func TestTF4DeleteContinuesWhereItStopped(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL() + hostHCL("node1", ""))
	g.ok(applyArgs...)

	g.fail("node1", "restore", &fault.Error{Class: fault.NeedsPerson, Subject: `host "node1"`, Summary: "the boot override does not go back",
		Seen: `"Pxe"`, Expected: `"None"`, Advice: "set it by hand"})
	out := g.bad(destroyArgs...)
	wantText(t, out, "boot override does not go back", `boot-override was "None"`, "the next destroy", "abandon_on_destroy")
	if _, ok := g.state()["metal_host.node1"]; !ok {
		t.Fatal("the host that could not be given back is not in the state")
	}
	g.mend("node1", "restore")

	letGo := g.hold("node1", "restore")
	destroy := g.start(destroyArgs...)
	ctx := t.Context()
	must(t, g.until(ctx, "node1 is being given back again", func() bool { return g.count["node1/restore"] == 2 }))
	destroy.interrupt()
	if out, ok := destroy.wait(); ok || !strings.Contains(out, "the next destroy continues") {
		t.Errorf("an interrupted destroy gave %v:\n%s", ok, out)
	}
	destroy = g.start(destroyArgs...)
	must(t, g.until(ctx, "the provider waits again", func() bool { return g.running == 0 }))
	letGo()
	if out, ok := destroy.wait(); !ok {
		t.Fatalf("the last destroy failed:\n%s", out)
	}
	if state := g.state(); len(state) != 0 {
		t.Errorf("left in the state: %v", state)
	}
}

// TestTF4DeleteOfWhatIsGoneSucceeds: the agent gave the host back already, and
// OpenTofu was not told.
func TestTF4DeleteOfWhatIsGoneSucceeds(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	g.ok(applyArgs...)
	g.mu.Lock()
	delete(g.clusters, "management")
	g.drop("node1")
	g.drop("node2")
	g.mu.Unlock()
	g.ok(append(destroyArgs, "-refresh=false")...)
	if n := g.times("node1", "restore"); n != 0 {
		t.Errorf("a host that was given back was given back again, %d times", n)
	}
}

// TestTF4LostStoreIsNotTakenForGivenBack: without a refresh, and with an agent
// that remembers nothing, the host is still switched off and restored.
func TestTF4LostStoreIsNotTakenForGivenBack(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL() + hostHCL("node1", ""))
	g.ok(applyArgs...)
	g.forget()
	g.ok(destroyArgs...)
	if n := g.times("node1", "restore"); n != 1 {
		t.Errorf("the host was given back %d times, want once", n)
	}
}

// TestTF4LeftoversAreFound: an address that is still claimed fails the destroy.
func TestTF4LeftoversAreFound(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL() + hostHCL("node1", ""))
	g.ok(applyArgs...)
	g.mu.Lock()
	g.leaks["172.30.0.20"] = "host/node1"
	g.mu.Unlock()
	wantText(t, g.bad(destroyArgs...), "172.30.0.20")
	g.mu.Lock()
	clear(g.leaks)
	g.mu.Unlock()
	g.ok(destroyArgs...)
}

// TestTF4AbandonListsWhatIsLeft: the written record of what is left to do by hand.
func TestTF4AbandonListsWhatIsLeft(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL() + hostHCL("node1", "abandon_on_destroy = true"))
	g.ok(applyArgs...)
	g.with("node1", func(h *server) { h.unreachable = "no route to host" })
	out := g.ok(destroyArgs...)
	wantText(t, out, "was abandoned", `boot-override was "None"`)
}
