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

// alteration is one change of the configuration, and what it must plan.
type alteration struct {
	from, to string
	address  string
	action   plancheck.ResourceActionType
}

// TestTF9NoDriftAndUpdateVersusReplace changes one attribute after the other.
func TestTF9NoDriftAndUpdateVersusReplace(t *testing.T) {
	t.Parallel()
	const update, replace = plancheck.ResourceActionUpdate, plancheck.ResourceActionDestroyBeforeCreate
	const aHost, aCluster = "metal_host.node3", "metal_cluster.c"
	for name, alterations := range map[string][]alteration{
		"facility and host": {
			{`"172.30.0.40-172.30.0.49"`, `"172.30.0.40-172.30.0.59"`, "metal_facility.rack", update},
			{"/* node3 */", "/* node3 */\nwipe = \"never\"", aHost, update},
			{"/* node3 */", "/* node3 */\nlabels = { rack = \"7\" }", aHost, update},
			{"/* node3 */", "/* node3 */\nroot_device = { serial = \"D1\", rotational = false, min_size_gb = 10 }", aHost, update},
			{"/* node3 */", "/* node3 */\nphase_timeouts = { boot_seconds = 1200 }", aHost, update},
			{"/* node3 */", "/* node3 */\ntimeouts = { create = \"2h\" }", aHost, update},
			{"/* node3 */", "/* node3 */\nnetwork = \"boot\"", aHost, replace},
		},
		"cluster": {
			{"/* c */", "/* c */\nssh_authorized_keys = [\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\"]", aCluster, update},
			{"[metal_host.node2.name]", "[metal_host.node2.name, metal_host.node3.name]", aCluster, update},
			{"[metal_host.node2.name, metal_host.node3.name]", "[metal_host.node3.name]", aCluster, update},
			{"v1.36.4", "v1.36.3", aCluster, replace},
			{strings.Repeat("cd", 32), strings.Repeat("ce", 32), aCluster, replace},
			{"/* c */", "/* c */\npod_cidr = \"10.245.0.0/16\"", aCluster, replace},
			{"control_plane      = metal_host.node1", "control_plane      = metal_host.node2", aCluster, replace},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			config := marked(g.rackHCL() + hostHCL("node3", ""))
			clean := resource.ConfigPlanChecks{PostApplyPreRefresh: empty, PostApplyPostRefresh: empty}
			steps := []resource.TestStep{{Config: config, ConfigPlanChecks: clean}}
			for _, a := range alterations {
				if !strings.Contains(config, a.from) {
					t.Fatalf("the configuration lacks %q", a.from)
				}
				config = strings.Replace(config, a.from, a.to, 1)
				checks := clean
				checks.PreApply = []plancheck.PlanCheck{plancheck.ExpectResourceAction(a.address, a.action)}
				steps = append(steps, resource.TestStep{Config: config, ConfigPlanChecks: checks})
			}
			resource.UnitTest(t, resource.TestCase{ProtoV6ProviderFactories: inProcess(), Steps: steps})
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
