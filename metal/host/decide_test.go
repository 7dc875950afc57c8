package host

import (
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

func TestDecide(t *testing.T) {
	ledger := []Entry{{What: entryPower, Was: `"off"`}, {What: entryBoot, Was: `{}`}}
	undone := []Entry{{What: entryPower, Undone: true}, {What: entryBoot, Undone: true}}
	inventory, disk := &order.Inventory{}, &order.DiskRef{Name: "/dev/vda"}
	inspected := Status{Ledger: ledger, Hardware: inventory, RootDisk: disk}
	deployed := inspected
	deployed.Deployment = "d1"
	spec := Spec{Name: "node-1"}
	ours := &order.Disk{Mark: &order.Mark{Host: "node-1", Deployment: "d1", Complete: true}}
	half := &order.Disk{Mark: &order.Mark{Host: "node-1", Deployment: "d1"}}
	other := &order.Disk{Mark: &order.Mark{Host: "node-2", Deployment: "d1", Complete: true}}

	tests := []struct {
		name string
		goal Goal
		rec  Record
		seen Observation
		want Action
	}{
		{"nothing is changed before the ledger is written", GoalAvailable, Record{}, Observation{Power: "on"}, ActLedger},
		{"a host that was found on is switched off first", GoalAvailable, Record{Status: Status{Ledger: ledger}}, Observation{Power: "on"}, ActPowerOff},
		{"an off host boots the installer", GoalAvailable, Record{Status: Status{Ledger: ledger}}, Observation{Power: "off"}, ActBootInstaller},
		{"an installer on its way is waited for", GoalAvailable, Record{Status: Status{Ledger: ledger}}, Observation{Power: "on", Booting: true}, ActAwait},
		{"an installer that never came is switched off", GoalAvailable, Record{Status: Status{Ledger: ledger}}, Observation{Power: "on"}, ActPowerOff},
		{"an inventory is checked", GoalAvailable, Record{Status: Status{Ledger: ledger}}, Observation{Power: "on", Booting: true, Session: true}, ActAccept},
		{"an inspected host is switched off", GoalAvailable, Record{Status: inspected}, Observation{Power: "on", Session: true}, ActPowerOff},
		{"an inspected host that is off is available", GoalAvailable, Record{Status: inspected}, Observation{Power: "off"}, ActNone},
		{"a provisioned host is left running", GoalAvailable, Record{Status: deployed, Booted: true}, Observation{Power: "on"}, ActNone},
		{"a provisioned host that was switched off is switched on", GoalAvailable, Record{Status: deployed, Booted: true}, Observation{Power: "off"}, ActPowerOn},

		{"provisioning starts with the installer", GoalProvisioned, Record{Status: inspected}, Observation{Power: "off"}, ActBootInstaller},
		{"the image is written", GoalProvisioned, Record{Status: inspected}, Observation{Power: "on", Session: true, Disk: &order.Disk{}}, ActWrite},
		{"an interrupted write is begun again", GoalProvisioned, Record{Spec: spec, Status: deployed}, Observation{Power: "on", Session: true, Disk: half}, ActWrite},
		{"a complete image of an unrecorded write is adopted", GoalProvisioned, Record{Spec: spec, Status: deployed}, Observation{Power: "on", Session: true, Disk: ours}, ActAdoptWritten},
		{"another host's disk is not adopted", GoalProvisioned, Record{Spec: spec, Status: deployed}, Observation{Power: "on", Session: true, Disk: other}, ActWrite},
		{"what is written is started", GoalProvisioned, Record{Status: deployed, Written: true}, Observation{Power: "on", Session: true}, ActStart},
		{"what is written is not written again after a power cut", GoalProvisioned, Record{Status: deployed, Written: true}, Observation{Power: "off"}, ActBootInstaller},
		{"what runs is left alone", GoalProvisioned, Record{Status: deployed, Written: true, Booted: true}, Observation{Power: "on"}, ActNone},
		{"what should run is switched on", GoalProvisioned, Record{Status: deployed, Written: true, Booted: true}, Observation{Power: "off"}, ActPowerOn},

		{"nothing to deprovision", GoalDeprovisioned, Record{Status: inspected}, Observation{Power: "off"}, ActNone},
		{"a running system is switched off to be wiped", GoalDeprovisioned, Record{Status: deployed, Booted: true}, Observation{Power: "on"}, ActPowerOff},
		{"the disk is wiped through the installer", GoalDeprovisioned, Record{Status: deployed}, Observation{Power: "on", Session: true}, ActWipe},
		{"wipe never only switches off", GoalDeprovisioned, Record{Spec: Spec{Wipe: WipeNever}, Status: deployed, Booted: true}, Observation{Power: "on"}, ActPowerOff},
		{"wipe never forgets the image", GoalDeprovisioned, Record{Spec: Spec{Wipe: WipeNever}, Status: deployed}, Observation{Power: "off"}, ActForgetImage},

		{"a release wipes first", GoalReleased, Record{Status: deployed}, Observation{Power: "off"}, ActBootInstaller},
		{"a release plays the ledger", GoalReleased, Record{Status: inspected}, Observation{Power: "off"}, ActRestore},
		{"a played ledger is the end", GoalReleased, Record{Status: Status{Ledger: undone}}, Observation{Power: "on"}, ActNone},
		{"a host without a ledger was never changed", GoalReleased, Record{}, Observation{Power: "on"}, ActNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Decide(tt.goal, "d1", tt.rec, tt.seen); got != tt.want {
				t.Errorf("Decide = %q, want %q", got, tt.want)
			}
		})
	}
}

// TestDecideNeverWritesUnasked walks every combination of what can be observed:
// no goal but provisioning may lead to a write, none but giving back to a wipe.
func TestDecideNeverWritesUnasked(t *testing.T) {
	bools := []bool{false, true}
	for _, goal := range []Goal{GoalAvailable, GoalProvisioned, GoalDeprovisioned, GoalReleased} {
		for _, power := range []string{"on", "off"} {
			for i := range 1 << 6 {
				bit := func(n int) bool { return bools[i>>n&1] }
				rec := Record{Written: bit(0), Booted: bit(1)}
				if bit(2) {
					rec.Status.Deployment = "d1"
				}
				if bit(3) {
					rec.Status.Ledger = []Entry{{What: entryPower}}
				}
				got := Decide(goal, "d1", rec, Observation{Power: power, Booting: bit(4), Session: bit(5)})
				if got == ActWrite && goal != GoalProvisioned {
					t.Errorf("goal %s writes an image: %+v", goal, rec)
				}
				if got == ActWipe && (goal == GoalAvailable || goal == GoalProvisioned || rec.Status.Deployment == "") {
					t.Errorf("goal %s wipes: %+v", goal, rec)
				}
				if got == ActWrite && rec.Written && rec.Status.Deployment == "d1" {
					t.Errorf("an image that is there is written again: %+v", rec)
				}
			}
		}
	}
}
