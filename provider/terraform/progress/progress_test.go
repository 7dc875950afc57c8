package progress

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

func TestOneLinePerStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.json")
	log, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	log.Now = func() time.Time { return time.Unix(1, 0) }
	ctx := Context(t.Context())
	show := log.Host(ctx)
	image := func(done int64) host.Status {
		return host.Status{Name: "n", Phase: host.PhaseImage, Progress: &order.Progress{Done: done, Total: 1000}}
	}
	for _, s := range []host.Status{{Name: "n", Phase: host.PhaseConnect}, {Name: "n", Phase: host.PhaseConnect, Revision: 2}, image(0), image(50), image(99),
		image(100), image(1000), {Name: "n", Phase: host.PhaseKexec, Failure: &fault.Error{Summary: "no"}}, {Name: "n", State: host.Available}} {
		show(s)
	}
	log.Cluster(ctx)(cluster.Status{Name: "c", Phase: cluster.PhaseJoining, Nodes: []cluster.Node{{Ready: true}, {}}})
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log.Emit(ctx, event.Event{Message: "after the end"}) // is dropped, not a panic
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		var e event.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || !e.Time.Equal(time.Unix(1, 0)) {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, e.Message)
	}
	want := []string{`host "n": connect`, `host "n": image, 0 %`, `host "n": image, 10 %`, `host "n": image, 100 %`, `host "n": kexec: no`,
		`host "n" is available`, `cluster "c": joining, 1 of 2 known nodes ready`}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "absent", "events.json")); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("Open gave %v", err)
	}
	log, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	log.Emit(Context(t.Context()), event.Event{Message: "to the log only"})
}
