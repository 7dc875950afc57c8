package acceptance

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestTF10RequestsPerFacilityAreBounded applies thirty hosts with as much
// parallelism as OpenTofu gives, and counts at the agent.
func TestTF10RequestsPerFacilityAreBounded(t *testing.T) {
	t.Parallel()
	const hosts, bound = 30, 3
	g := newRig(t)
	var config strings.Builder
	config.WriteString(providerHCL(fmt.Sprintf("parallel_requests = %d", bound)) + g.facilityHCL())
	for i := range hosts {
		config.WriteString(strings.Replace(hostHCL(fmt.Sprintf("node%02d", i), ""), "10.0.0.", "10.0.1.", 1))
	}
	g.write(config.String())
	g.ok(append(applyArgs, "-target=metal_facility.rack")...)

	g.mu.Lock()
	g.most, g.gate = 0, make(chan struct{})
	g.mu.Unlock()
	apply := g.start(append(applyArgs, fmt.Sprintf("-parallelism=%d", hosts))...)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	must(t, g.until(ctx, "as many hosts are being applied as may be", func() bool { return g.running == bound }))
	g.mu.Lock()
	close(g.gate)
	g.gate = nil
	g.mu.Unlock()
	if out, ok := apply.wait(); !ok {
		t.Fatalf("apply failed:\n%s", out)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.most != bound {
		t.Errorf("%d requests were under way at once, want %d", g.most, bound)
	}
	if len(g.hosts) != hosts {
		t.Errorf("%d hosts were applied, want %d", len(g.hosts), hosts)
	}
}
