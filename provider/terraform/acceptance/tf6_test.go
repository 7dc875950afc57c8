package acceptance

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/event"
)

// TestTF6DiagnosticsSayWhatWhereAndWhatToDo reads an error as the person would
// who has to act on it.
func TestTF6DiagnosticsSayWhatWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.write(providerHCL("") + g.facilityHCL() + hostHCL("node1", ""))
	g.fail("node1", "power-on", noInstaller)
	out := g.bad(applyArgs...)
	wantText(t, out, `Error: Creating host "node1"`, "The installer never reported.", "Phase: power-on",
		"Seen: no DHCP request from 52:54:00:00:00:32", "Expected: a report within 15m", "Do next: check the cable of the boot port",
		"PXE-E61: Media test failure", "This needs a person", "Phases so far:", "ledger 1.5 s", "tofu untaint",
		// The line of the one attribute at fault, not that of the resource.
		`boot_mac = "52:54:00:00:00:`)
}

// TestTF6ProgressGoesToEventLogAndLog: OpenTofu shows none itself.
func TestTF6ProgressGoesToEventLogAndLog(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	path := filepath.Join(g.dir, "events.json")
	g.write(strings.Replace(g.rackHCL(), providerHCL(""), providerHCL(`event_log = "events.json"`), 1))
	g.env = append(g.env, "TF_LOG=INFO", "TF_LOG_PATH=tofu.log")
	g.ok(applyArgs...)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the event log has mode %v, want 0600", info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	must(t, err)
	var seen []string
	for line := range strings.Lines(string(text)) {
		var e event.Event
		must(t, json.Unmarshal([]byte(line), &e))
		if e.Time.IsZero() || e.Message == "" {
			t.Errorf("event without time or message: %s", line)
		}
		seen = append(seen, e.Kind+" "+e.Name+" "+e.Phase)
	}
	for _, want := range []string{"host node1 ", "host node2 ", "cluster management ready"} {
		if !slices.Contains(seen, want) {
			t.Errorf("the event log lacks %q: %q", want, seen)
		}
	}
	log, err := os.ReadFile(filepath.Join(g.dir, "tofu.log"))
	must(t, err)
	if !strings.Contains(string(log), `host "node1"`) {
		t.Error("the log does not tell of node1's progress")
	}
}
