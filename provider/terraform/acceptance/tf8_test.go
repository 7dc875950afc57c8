package acceptance

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
)

// TestTF8ImportByStringAndIdentity imports each resource in each way; nothing is
// ignored in the comparison.
func TestTF8ImportByStringAndIdentity(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	steps := []resource.TestStep{{Config: g.rackHCL()}, {Config: g.rackHCL()}}
	for address, id := range map[string]string{
		"metal_facility.rack": g.url(), "metal_host.node1": g.url() + "#node1", "metal_cluster.c": g.url() + "#management",
	} {
		steps = append(steps,
			resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true},
			resource.TestStep{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithID, ImportStateId: id},
			resource.TestStep{ResourceName: address, ImportState: true, ImportStateKind: resource.ImportBlockWithResourceIdentity},
		)
	}
	resource.UnitTest(t, resource.TestCase{ProtoV6ProviderFactories: inProcess(), Steps: steps})
}

// TestTF8ImportSaysWhatIsWrong: a wrong id, and a host that is not there.
func TestTF8ImportSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL() + hostHCL("node1", ""))
	wantText(t, g.bad("import", "-no-color", "metal_host.node1", "node1"), "<facility id>#<name>")
	wantText(t, g.bad("import", "-no-color", "metal_host.node1", g.url()+"#node1"), "an object that was applied and not released")
}
