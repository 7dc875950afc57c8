package acceptance

import (
	"strings"
	"testing"
)

// TestTF11ValidationIsOfflineAndEarly: `tofu validate` finds it, with no agent
// anywhere, and names the attribute.
func TestTF11ValidationIsOfflineAndEarly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from, to string
		want     []string
	}{
		"mac":              {`boot_mac = "52:54:00:00:00`, `boot_mac = "52-54:zz`, []string{"boot MAC address", `boot_mac = "52-54:zz`}},
		"bmc url":          {"https://10.0.0.", "http://10.0.0.", []string{"BMC's address", "bmc"}},
		"bmc url secret":   {"https://10.0.0.", "https://root:hunter2@10.0.0.", []string{"without user or password", "redacted@10.0.0."}},
		"two trusts":       {`credentials = "lab"`, `credentials = "lab", insecure = true`, []string{"at most one"}},
		"fingerprint":      {strings.Repeat("ab", 32), "abcd", []string{"fingerprint", "64 hexadecimal digits"}},
		"wipe":             {"/* node */", `wipe = "everything"`, []string{"wipe policy", `wipe = "everything"`}},
		"boot method":      {"/* node */", `boot_method = "floppy"`, []string{"boot method", `boot_method = "floppy"`}},
		"root device size": {"/* node */", `root_device = { min_size_gb = 10, max_size_gb = 5 }`, []string{"contradict"}},
		"host name":        {`name     = "node1"`, `name     = "Node_1"`, []string{"RFC 1123", `name     = "Node_1"`}},
		"timeouts":         {"/* node */", `timeouts = { create = "soon" }`, []string{"soon"}},
		"parallel":         {`provider "metal" {`, "provider \"metal\" {\n  parallel_requests = 0", []string{"parallel_requests"}},
		"pool outside":     {`"172.30.0.16/28"`, `"192.168.0.16/28"`, []string{"172.30.0.0/24", "networks"}},
		"cluster version":  {"v1.36.4", "1.36", []string{"kubernetes_version = \"1.36\""}},
		"cluster image":    {strings.Repeat("cd", 32), "cd", []string{"Not a SHA-256"}},
		"cluster pods":     {"/* c */", `pod_cidr = "10.96.1.0/24"`, []string{"pod_cidr"}},
		"two at once":      {"/* c */", "kubeadm_config = \"{\"\n bootstrap_timeout_seconds = -1", []string{"kubeadm_config", "bootstrap_timeout_seconds = -1"}},
		"two attributes":   {"/* node */", "bmc_url = \"x\"", []string{"Unsupported argument"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.down()
			config := strings.Replace(providerHCL("")+g.facilityHCL()+hostHCL("node1", "/* node */")+clusterHCL("node1", nil, "/* c */"), c.from, c.to, 1)
			if !strings.Contains(config, c.to) {
				t.Fatalf("the configuration lacks %q", c.from)
			}
			g.write(config)
			out := g.bad("validate", "-no-color")
			for i, want := range c.want {
				c.want[i] = flat(want)
			}
			wantText(t, out, c.want...)
		})
	}
}

// TestTF11PlanOfNothingTouchesNothing: what is not there yet is planned without
// any agent, and what is there is only read.
func TestTF11PlanTouchesNothing(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(g.rackHCL())
	g.down()
	changes, _ := g.plan()
	for _, address := range []string{"metal_facility.rack", "metal_host.node1", "metal_host.node2", "metal_cluster.c"} {
		g.wantActions(changes, address, "create")
	}
	g.serve()
	g.ok(applyArgs...)
	before := portable(g.state())
	g.mu.Lock()
	steps := len(g.count)
	g.mu.Unlock()
	g.plan()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.count) != steps {
		t.Errorf("a plan made the rack work: %v", g.count)
	}
	if len(before) != 4 {
		t.Errorf("the state holds %d resources, want 4", len(before))
	}
}
