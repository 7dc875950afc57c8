package host

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

func TestSettledAndOver(t *testing.T) {
	broken := &fault.Error{Summary: "x"}
	for name, c := range map[string]struct {
		status        host.Status
		power         string
		settled, over bool
	}{
		"enrolling":                  {host.Status{State: host.Enrolling, Busy: true}, "", false, false},
		"enrolled":                   {host.Status{State: host.Available}, "", true, true},
		"failed":                     {host.Status{State: host.Enrolling, Failure: broken}, "", false, true},
		"failed, tried again":        {host.Status{State: host.Enrolling, Failure: broken, Busy: true}, "", false, false},
		"idle: agent restarted":      {host.Status{State: host.Enrolling}, "", false, false},
		"its cluster works on it":    {host.Status{State: host.Provisioning, Busy: true, Owner: "cluster/c"}, "", true, true},
		"its cluster failed on it":   {host.Status{State: host.Provisioning, Failure: broken, Owner: "cluster/c"}, "", true, true},
		"being given back":           {host.Status{State: host.Releasing, Busy: true, Owner: "cluster/c"}, "", false, false},
		"to be switched on":          {host.Status{State: host.Provisioned, Power: "off", Busy: true, Owner: "cluster/c"}, "on", true, false},
		"switched on":                {host.Status{State: host.Provisioned, Power: "on", Owner: "cluster/c"}, "on", true, true},
		"could not be switched on":   {host.Status{State: host.Provisioned, Power: "off", Owner: "cluster/c"}, "on", true, true},
		"power-on failed":            {host.Status{State: host.Provisioned, Power: "off", Failure: broken, Owner: "cluster/c"}, "on", true, true},
		"provisioned without owner":  {host.Status{State: host.Provisioned, Power: "on"}, "", true, true},
		"deprovisioning, no owner":   {host.Status{State: host.Deprovisioning, Busy: true}, "", false, false},
		"available but failed later": {host.Status{State: host.Available, Failure: broken}, "", false, true},
	} {
		w := work{power: c.power}
		if got := settled(c.status); got != c.settled {
			t.Errorf("%s: settled is %t, want %t", name, got, c.settled)
		}
		if got := w.over(c.status); got != c.over {
			t.Errorf("%s: over is %t, want %t", name, got, c.over)
		}
	}
}

// TestRecallKeepsTheLedgerAndNothingOfTheMoment: private state is not encrypted
// by itself, and console lines are nobody's business there.
func TestRecallKeepsTheLedgerAndNothingOfTheMoment(t *testing.T) {
	ledger := []host.Entry{{What: "power", Was: `"off"`, Time: time.Unix(1, 0).UTC()}}
	text, err := recallable(host.Status{Name: "n", State: host.Provisioned, Ledger: ledger, Hardware: &order.Inventory{MemoryMB: 7},
		Deployment: "d", Owner: "cluster/c", Busy: true, Unreachable: "canary", Log: []string{"canary"}, Progress: &order.Progress{Error: "canary"},
		Failure: &fault.Error{Summary: "canary"}, Milestones: map[string]order.Milestone{"failed": {Message: "canary"}}})
	if err != nil || strings.Contains(string(text), "canary") || !json.Valid(text) {
		t.Fatalf("remembered %s, %v", text, err)
	}
	got, err := recalled(text)
	if err != nil || got.Busy || got.Ledger[0] != ledger[0] || got.Hardware.MemoryMB != 7 || got.Deployment != "d" || got.Owner != "cluster/c" {
		t.Errorf("recalled %+v, %v", got, err)
	}
	if got, err := recalled(nil); got != nil || err != nil {
		t.Errorf("recalled %v, %v from nothing", got, err)
	}
	if _, err := recalled([]byte("{")); err == nil {
		t.Error("half a record was recalled")
	}
}
