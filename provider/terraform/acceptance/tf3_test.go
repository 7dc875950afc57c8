package acceptance

import (
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// noInstaller is a fault with all its parts.
var noInstaller = &fault.Error{Class: fault.NeedsPerson, Subject: `host "node1"`, Attribute: "boot_mac", Phase: "power-on",
	Summary: "the installer never reported", Seen: "no DHCP request from 52:54:00:00:00:32", Expected: "a report within 15m",
	Advice: "check the cable of the boot port", Evidence: []string{"PXE-E61: Media test failure"}}

// TestTF3FailedHostIsTaintedAndReplaced is the road of a genuine failure.
func TestTF3FailedHostIsTaintedAndReplaced(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL() + hostHCL("node1", ""))
	g.fail("node1", "power-on", noInstaller)
	g.bad(applyArgs...)
	node := g.state()["metal_host.node1"]
	if !node.Tainted || node.Values["ready"] != false || node.Values["phase"] != "power-on" {
		t.Fatalf("after the failure the host is %+v, want it tainted, with its phase", node)
	}
	g.mend("node1", "power-on")
	changes, _ := g.plan()
	g.wantActions(changes, "metal_host.node1", "delete", "create")
	g.ok(applyArgs...)
	if n := g.times("node1", "restore"); n != 1 {
		t.Errorf("the failed host was given back %d times, want once", n)
	}
	g.wantEmptyPlan()
}

// TestTF3UntaintedClusterResumes: a failed cluster is not built anew when the
// user says so.
func TestTF3UntaintedClusterResumes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	g.fail("management", "joining", &fault.Error{Class: fault.Retryable, Subject: `cluster "management"`, Summary: "node2 did not join"})
	wantText(t, g.bad(applyArgs...), "tofu untaint")
	if c := g.state()["metal_cluster.c"]; !c.Tainted {
		t.Fatalf("after the failure the cluster is %+v, want it tainted", c)
	}
	g.mend("management", "joining")
	g.ok("untaint", "metal_cluster.c")
	changes, _ := g.plan()
	g.wantActions(changes, "metal_cluster.c", "update")
	g.ok(applyArgs...)
	if c := g.state()["metal_cluster.c"]; c.Values["ready"] != true || c.Tainted {
		t.Errorf("after resuming the cluster is %+v", c)
	}
	if n := g.times("management", "deleting"); n != 0 {
		t.Errorf("the cluster was taken down %d times, want never", n)
	}
	g.wantEmptyPlan()
}

// TestTF3RefusedHostIsNotKept: what the agent refused outright was never begun,
// and must not be given back.
func TestTF3RefusedHostIsNotKept(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(`provider "metal" {}` + "\n" + g.facilityHCL() + hostHCL("node1", ""))
	out := g.bad(applyArgs...)
	wantText(t, out, "credentials are not known", `nobody gave "lab"`, "metal_host.node1", "bmc")
	if node, ok := g.state()["metal_host.node1"]; ok {
		t.Errorf("the refused host is in the state: %+v", node)
	}
}
