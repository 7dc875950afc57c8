package bmc

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestReset(t *testing.T) {
	for _, test := range []struct {
		kind     string
		on       bool
		status   int
		onAfter  bool
		boots    int
		pressed  int
		message  string
		followUp string
	}{
		{kind: "On", status: 204, onAfter: true, boots: 1},
		{kind: "On", on: true, status: 204, onAfter: true},
		{kind: "ForceOn", status: 204, onAfter: true, boots: 1},
		{kind: "ForceOff", on: true, status: 204},
		{kind: "ForceOff", status: 204},
		{kind: "GracefulShutdown", on: true, status: 204, onAfter: true, pressed: 1},
		{kind: "GracefulShutdown", status: 204},
		{kind: "PushPowerButton", status: 204, onAfter: true, boots: 1},
		{kind: "PushPowerButton", on: true, status: 204, onAfter: true, pressed: 1},
		{kind: "ForceRestart", on: true, status: 204, onAfter: true, boots: 1},
		{kind: "ForceRestart", status: 409, message: "ResourceInStandby"},
		{kind: "PowerCycle", on: true, status: 204, onAfter: true, boots: 1},
		{kind: "PowerCycle", status: 409, message: "ResourceInStandby"},
		{kind: "GracefulRestart", status: 409, message: "ResourceInStandby"},
		{kind: "Nmi", status: 400, message: "ActionParameterValueNotInList"},
	} {
		name := test.kind + map[bool]string{true: " when on", false: " when off"}[test.on]
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.machine.set(test.on)
			r := b.reset(test.kind).want(test.status)
			if test.message != "" {
				r.wantMessage(test.message)
			}
			if b.machine.On() != test.onAfter || len(b.machine.boots) != test.boots || b.machine.pressed != test.pressed {
				t.Errorf("on %v, %d boots, %d presses", b.machine.On(), len(b.machine.boots), b.machine.pressed)
			}
		})
	}
}

func TestResetRefusals(t *testing.T) {
	b := newBench(t)
	b.do("POST", resetPath, "").want(400).wantMessage("ActionParameterMissing")
	b.do("POST", resetPath, `{"ResetType":1}`).want(400).wantMessage("ActionParameterValueTypeError")
	b.do("POST", resetPath, `{"ResetType":"On","Nonsense":1}`).want(400).wantMessage("ActionParameterUnknown")
	if b.machine.On() {
		t.Error("a refused action switched the machine on")
	}
}

// TestGracefulRestart: the system shuts itself down, and the BMC switches it on
// again; a later action changes its mind.
func TestGracefulRestart(t *testing.T) {
	b := newBench(t)
	b.machine.set(true)
	b.reset("GracefulRestart").want(204)
	b.machine.set(false)
	b.machine.board.PowerChanged(false)
	b.bmc.working.Wait()
	if !b.machine.On() {
		t.Fatal("the machine did not come back")
	}
	b.reset("GracefulRestart").want(204)
	b.reset("ForceOff").want(204)
	b.bmc.working.Wait()
	if b.machine.On() {
		t.Error("ForceOff after GracefulRestart did not stay off")
	}
}

func TestPowerRestorePolicy(t *testing.T) {
	for _, test := range []struct {
		policy  string
		wasOn   bool
		comesOn bool
	}{
		{"LastState", true, true}, {"LastState", false, false}, {"AlwaysOn", false, true}, {"AlwaysOff", true, false},
	} {
		b := newBench(t)
		b.do("PATCH", system, `{"PowerRestorePolicy":"`+test.policy+`"}`).want(200)
		if test.wasOn {
			b.reset("On").want(204)
		}
		if err := b.bmc.Close(); err != nil {
			t.Fatal(err)
		}
		b.machine.set(false)
		b.machine.board.PowerChanged(false) // the facility loses power: not a last state
		b.open(testHardware())
		if err := b.bmc.Restore(context.Background()); err != nil {
			t.Fatal(err)
		}
		if b.machine.On() != test.comesOn {
			t.Errorf("%s, was on %v: on %v", test.policy, test.wasOn, b.machine.On())
		}
	}
}

func TestEventLog(t *testing.T) {
	b := newBench(t)
	b.reset("On").want(204)
	b.reset("ForceOff").want(204)
	b.do("GET", system, "", "Authorization", "Basic YWRtaW46d3Jvbmc=").want(401)
	var said []string
	for _, entry := range b.get(eventLog + "/Entries")["Members"].([]any) {
		e := entry.(map[string]any)
		said = append(said, e["Message"].(string))
		b.do("GET", e["@odata.id"].(string), "").want(200)
		if _, err := time.Parse(time.RFC3339, e["Created"].(string)); err != nil {
			t.Error(err)
		}
	}
	all := strings.Join(said, "\n")
	for _, want := range []string{"firmware started", "powered on", "powered off", "login failed"} {
		if !strings.Contains(all, want) {
			t.Errorf("the log does not say %q:\n%s", want, all)
		}
	}
	b.do("POST", eventLog+"/Actions/LogService.ClearLog", "{}").want(204)
	if got := b.get(eventLog + "/Entries")["Members@odata.count"]; got != float64(0) {
		t.Errorf("%v entries after clearing", got)
	}
	b.bmc.change(func(*state) {
		for range keptEvents + 10 {
			b.bmc.log(OK, "x")
		}
	})
	if got := b.get(eventLog + "/Entries")["Members@odata.count"]; got != float64(keptEvents) {
		t.Errorf("%v entries, want %d", got, keptEvents)
	}
}

func TestHostLogger(t *testing.T) {
	b := newBench(t)
	entries := hostLogger + "/Entries"
	if got := b.get(entries)["Members@odata.count"]; got != float64(0) {
		t.Errorf("%v entries of an empty console", got)
	}
	var lines []string
	for range 2500 {
		lines = append(lines, "line\r")
	}
	lines[2499] = "the \xff last"
	b.machine.console = strings.Join(lines, "\n") + "\n"
	first := b.get(entries)
	if first["Members@odata.count"] != float64(2500) || len(first["Members"].([]any)) != pageSize || first["Members@odata.nextLink"] != entries+"?$skip=1000" {
		t.Errorf("first page: count %v, %d members, next %v", first["Members@odata.count"], len(first["Members"].([]any)), first["Members@odata.nextLink"])
	}
	tail := b.get(entries + "?$skip=2498&$top=5")["Members"].([]any)
	if len(tail) != 2 || tail[0].(map[string]any)["Message"] != "line" || tail[1].(map[string]any)["Message"] != "the ? last" {
		t.Errorf("tail %v", tail)
	}
	b.do("GET", entries+"/2499", "").want(200)
	b.do("GET", entries+"/2500", "").want(404)
	if got := b.get(entries + "?$top=0"); len(got["Members"].([]any)) != 0 {
		t.Error("$top=0 gave members")
	}
}
