package host

import (
	"fmt"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// settled says that nothing is left to do for the host resource itself. A host
// that belongs to a cluster is the cluster's business: waiting for it here
// would wait for the very resource that waits for this one.
func settled(s host.Status) bool {
	if s.Owner != "" {
		return s.State != host.Releasing
	}
	return !s.Busy && s.Failure == nil && (s.State == host.Available || s.State == host.Provisioned)
}

// failed says that the work has ended without reaching its goal. A host that is
// merely idle has not: its agent may have been restarted, which waiting notices.
func failed(s host.Status) bool { return !s.Busy && s.Failure != nil }

// foundOff says that a host that should be running was found switched off.
func foundOff(s host.Status) bool { return s.State == host.Provisioned && s.Power == "off" }

// phaseTable is the time spent in each phase, for people.
func phaseTable(timings []host.Timing) string {
	if len(timings) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("Phases so far:\n")
	for _, t := range timings {
		fmt.Fprintf(&b, "  %-12s %8.1f s\n", t.Phase, t.Seconds)
	}
	return strings.TrimRight(b.String(), "\n")
}

// leftBehind lists what of the ledger could not be put back.
func leftBehind(entries []host.Entry) []string {
	var out []string
	for _, e := range entries {
		if e.Undone {
			continue
		}
		line := fmt.Sprintf("%s was %s", e.What, e.Was)
		if e.Problem != "" {
			line += ": " + e.Problem
		}
		out = append(out, line)
	}
	return out
}
