package bmc

import (
	"net/http"
	"time"
)

const (
	// powerLag is how long a cached power state stays; real ones reach 30 s.
	powerLag = time.Second
	// offConflict is how long a machine that went off can't be switched on.
	offConflict = time.Second
)

func powerQuirks() map[string]quirk {
	return map[string]quirk{
		"power-lag": {
			seen: "metal3-io/ironic-image#143",
			show: func(b *BMC, _ string, shown object) {
				if shown["@odata.id"] != system {
					return
				}
				if b.within(powerLag, true) {
					shown["PowerState"] = "Off"
				} else if b.within(powerLag, false) {
					shown["PowerState"] = "On"
				}
			},
		},
		"power-409-after-off": {
			seen: "Dell iDRAC10; ironic release note redfish-power-on-conflict-retry",
			before: func(b *BMC, r *http.Request, body object) *failure {
				if resetOf(r, body) != resetOn || !b.within(offConflict, false) {
					return nil
				}
				return fail(http.StatusConflict, message{"ActionParameterValueConflict", "The parameter ResetType conflicts with the current state.",
					[]string{"ResetType", resetOn}, Warning, "Try again.", ""})
			},
		},
		"power-409-already": {
			seen: "ironic release note catch-redfish-409",
			before: func(b *BMC, r *http.Request, body object) *failure {
				kind, on := resetOf(r, body), b.config.Machine.On()
				if kind == resetOn && on || kind == resetForceOff && !on || kind == resetGracefulShutdown && !on {
					return fail(http.StatusConflict, message{"NoOperation", "The system is in the requested state already.",
						nil, Warning, "None.", ""})
				}
				return nil
			},
		},
		"soft-off-ignored": {
			seen: "ironic release note idrac-wsman-set-power-state-wait",
			before: func(_ *BMC, r *http.Request, body object) *failure {
				if resetOf(r, body) == resetGracefulShutdown {
					body["ResetType"] = resetForceOn // which does nothing to a system that is on
				}
				return nil
			},
		},
		"always-on": {
			seen: "terraform-provider-capi's simulator",
			show: func(_ *BMC, path string, shown object) {
				if _, power := shown["PowerState"]; power && path == system {
					shown["PowerState"] = "On"
				}
			},
		},
	}
}

// resetOf is the ResetType of a reset action, "" for anything else.
func resetOf(r *http.Request, body object) string {
	if !on(r, http.MethodPost, resetPath) {
		return ""
	}
	kind, _ := body["ResetType"].(string)
	return kind
}
