package acceptance

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
)

// empty wants nothing left to do, before and after a look at the world.
var empty = []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}

// TestTF9NoDriftAndUpdateVersusReplace changes one attribute after the other.
func TestTF9NoDriftAndUpdateVersusReplace(t *testing.T) {
	t.Parallel()
	base := func(g *rig) string { return g.rackHCL() + hostHCL("node3", "") }
	for name, c := range map[string]struct {
		from, to string
		address  string
		action   plancheck.ResourceActionType
	}{
		"facility pool":        {`"172.30.0.40-172.30.0.49"`, `"172.30.0.40-172.30.0.59"`, "metal_facility.rack", plancheck.ResourceActionUpdate},
		"host wipe":            {"/* node3 */", `wipe = "never"`, "metal_host.node3", plancheck.ResourceActionUpdate},
		"host labels":          {"/* node3 */", `labels = { rack = "7" }`, "metal_host.node3", plancheck.ResourceActionUpdate},
		"host root device":     {"/* node3 */", `root_device = { serial = "D1", rotational = false, min_size_gb = 10 }`, "metal_host.node3", plancheck.ResourceActionUpdate},
		"host phase timeouts":  {"/* node3 */", `phase_timeouts = { boot_seconds = 1200 }`, "metal_host.node3", plancheck.ResourceActionUpdate},
		"host timeouts":        {"/* node3 */", `timeouts = { create = "2h" }`, "metal_host.node3", plancheck.ResourceActionUpdate},
		"host network":         {"/* node3 */", `network = "boot"`, "metal_host.node3", plancheck.ResourceActionDestroyBeforeCreate},
		"cluster workers":      {"[metal_host.node2.name]", "[metal_host.node2.name, metal_host.node3.name]", "metal_cluster.c", plancheck.ResourceActionUpdate},
		"cluster ssh keys":     {"/* c */", `ssh_authorized_keys = ["ssh-ed25519 AAAA"]`, "metal_cluster.c", plancheck.ResourceActionUpdate},
		"cluster version":      {"v1.36.4", "v1.36.3", "metal_cluster.c", plancheck.ResourceActionDestroyBeforeCreate},
		"cluster image":        {strings.Repeat("cd", 32), strings.Repeat("ce", 32), "metal_cluster.c", plancheck.ResourceActionDestroyBeforeCreate},
		"cluster pods":         {"/* c */", `pod_cidr = "10.245.0.0/16"`, "metal_cluster.c", plancheck.ResourceActionDestroyBeforeCreate},
		"cluster controlplane": {"control_plane      = metal_host.node1", "control_plane      = metal_host.node3", "metal_cluster.c", plancheck.ResourceActionDestroyBeforeCreate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			before := marked(base(g))
			if !strings.Contains(before, c.from) {
				t.Fatalf("the configuration lacks %q", c.from)
			}
			resource.UnitTest(t, resource.TestCase{ProtoV6ProviderFactories: inProcess(), Steps: []resource.TestStep{
				{Config: before, ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: empty, PostApplyPostRefresh: empty}},
				{Config: strings.Replace(before, c.from, c.to, 1), ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply:            []plancheck.PlanCheck{plancheck.ExpectResourceAction(c.address, c.action)},
					PostApplyPreRefresh: empty, PostApplyPostRefresh: empty}},
			}})
		})
	}
}

// marked adds places to put attributes in.
func marked(config string) string {
	config = strings.Replace(config, `resource "metal_host" "node3" {`, "resource \"metal_host\" \"node3\" {\n  /* node3 */", 1)
	return strings.Replace(config, `resource "metal_cluster" "c" {`, "resource \"metal_cluster\" \"c\" {\n  /* c */", 1)
}

// TestTF9ObservedAttributes is what users see of a rack.
func TestTF9ObservedAttributes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	hardware := tfjsonpath.New("hardware")
	resource.UnitTest(t, resource.TestCase{ProtoV6ProviderFactories: inProcess(), Steps: []resource.TestStep{{
		Config: g.rackHCL(),
		ConfigStateChecks: []statecheck.StateCheck{
			statecheck.ExpectKnownValue("metal_facility.rack", tfjsonpath.New("version"), knownvalue.StringExact(version)),
			statecheck.ExpectKnownValue("metal_host.node1", tfjsonpath.New("state"), knownvalue.StringExact("available")),
			statecheck.ExpectKnownValue("metal_host.node1", tfjsonpath.New("power"), knownvalue.StringExact("off")),
			statecheck.ExpectKnownValue("metal_host.node1", tfjsonpath.New("ready"), knownvalue.Bool(true)),
			statecheck.ExpectKnownValue("metal_host.node1", tfjsonpath.New("phase"), knownvalue.Null()),
			statecheck.ExpectKnownValue("metal_host.node1", tfjsonpath.New("addresses"), knownvalue.ListExact([]knownvalue.Check{knownvalue.StringExact("172.30.0.20/24")})),
			statecheck.ExpectKnownValue("metal_host.node1", hardware.AtMapKey("memory_mb"), knownvalue.Int64Exact(4096)),
			statecheck.ExpectKnownValue("metal_host.node1", hardware.AtMapKey("disks").AtSliceIndex(0).AtMapKey("size_bytes"), knownvalue.Int64Exact(20<<30)),
			statecheck.ExpectKnownValue("metal_host.node1", hardware.AtMapKey("nics").AtSliceIndex(0).AtMapKey("link"), knownvalue.Bool(true)),
			statecheck.ExpectKnownValue("metal_cluster.c", tfjsonpath.New("endpoint"), knownvalue.StringExact("https://172.30.0.20:6443")),
			statecheck.ExpectKnownValue("metal_cluster.c", tfjsonpath.New("nodes"), knownvalue.ListSizeExact(2)),
			statecheck.ExpectKnownValue("metal_cluster.c", tfjsonpath.New("kubeconfig"), knownvalue.Null()),
		},
	}}})
}
