package bmc

import (
	"strings"
	"testing"
)

// quirky is a BMC with one quirk, or a profile.
func quirky(t *testing.T, name string) *bench {
	t.Helper()
	b := newBench(t)
	b.openWith(testHardware(), name)
	return b
}

const pxeOnce = `{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once"}}`

// quirkTests show what each quirk does, one test per name of Quirks.
var quirkTests = map[string]func(t *testing.T, b *bench){
	"smc-override-enabled-reset": func(t *testing.T, b *bench) {
		b.do("PATCH", system, `{"Boot":{"BootSourceOverrideTarget":"Pxe"}}`).want(200)
		if got := b.boot()["BootSourceOverrideEnabled"]; got != "Once" {
			t.Errorf("enabled is %v", got)
		}
	},
	"smc-mode-missing": func(t *testing.T, b *bench) {
		if _, there := b.boot()["BootSourceOverrideMode"]; there {
			t.Error("the mode is shown")
		}
		b.do("PATCH", system, `{"Boot":{"BootSourceOverrideMode":"UEFI"}}`).want(400)
	},
	"patch-200-not-stored": func(t *testing.T, b *bench) {
		b.do("PATCH", system, pxeOnce).want(200)
		if got := b.boot()["BootSourceOverrideTarget"]; got != "None" {
			t.Errorf("target is %v", got)
		}
	},
	"persistent-unsupported": wantsNoContinuous,
	"xcc-once-only":          wantsNoContinuous,
	"full-boot-payload": func(t *testing.T, b *bench) {
		b.do("PATCH", system, pxeOnce).want(400).wantMessage("PropertyMissing")
		b.do("PATCH", system, `{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once","BootSourceOverrideMode":"UEFI"}}`).want(200)
		b.do("PATCH", system, `{"AssetTag":"x"}`).want(200)
	},
	"minimal-boot-payload": func(t *testing.T, b *bench) {
		b.do("PATCH", system, `{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideMode":"UEFI"}}`).want(400)
		b.do("PATCH", system, pxeOnce).want(200)
	},
	"ilo-post-lock": func(t *testing.T, b *bench) {
		b.do("PATCH", system, pxeOnce).want(200)
		b.reset("On").want(204)
		b.do("PATCH", system, pxeOnce).want(400).wantMessage("UnableToModifyDuringSystemPOST")
		b.clock.advance(postLock)
		b.do("PATCH", system, pxeOnce).want(200)
	},
	"ignore-one-time-boot": func(t *testing.T, b *bench) {
		b.do("PATCH", system, pxeOnce).want(200)
		b.reset("On").want(204)
		if got := b.machine.lastBoot(t).Target; got != TargetNone {
			t.Errorf("the firmware was told %s", got)
		}
	},
	"power-lag": func(t *testing.T, b *bench) {
		b.reset("On").want(204)
		if got := b.get(system)["PowerState"]; got != "Off" {
			t.Errorf("power is %v at once", got)
		}
		b.clock.advance(powerLag)
		if got := b.get(system)["PowerState"]; got != "On" {
			t.Errorf("power is %v later", got)
		}
	},
	"power-409-after-off": func(t *testing.T, b *bench) {
		b.reset("On").want(204)
		b.reset("ForceOff").want(204)
		b.reset("On").want(409)
		b.clock.advance(offConflict)
		b.reset("On").want(204)
	},
	"power-409-already": func(t *testing.T, b *bench) {
		b.reset("ForceOff").want(409)
		b.reset("On").want(204)
		b.reset("On").want(409)
	},
	"soft-off-ignored": func(t *testing.T, b *bench) {
		b.reset("On").want(204)
		b.reset("GracefulShutdown").want(204)
		if b.machine.pressed != 0 || !b.machine.On() {
			t.Error("the button was pressed")
		}
	},
	"always-on": func(t *testing.T, b *bench) {
		if got := b.get(system)["PowerState"]; got != "On" {
			t.Errorf("power is %v", got)
		}
	},
	"smc-reject-inserted": func(t *testing.T, b *bench) {
		b.do("POST", insertPath, `{"Image":"http://a/b.iso","Inserted":true}`).want(400).wantMessage("ActionParameterUnknown")
	},
	"transfer-protocol-required": func(t *testing.T, b *bench) {
		b.do("POST", insertPath, `{"Image":"http://a/b.iso"}`).want(400).wantMessage("ActionParameterMissing")
	},
	"url-special-chars": func(t *testing.T, b *bench) {
		b.do("POST", insertPath, `{"Image":"http://a/b.iso?x"}`).want(400).wantMessage("ActionParameterValueNotInList")
	},
	"iso-suffix": func(t *testing.T, b *bench) {
		b.do("POST", insertPath, `{"Image":"http://a/b"}`).want(400).wantMessage("ActionParameterValueNotInList")
	},
	"eject-needs-empty-body": func(t *testing.T, b *bench) {
		b.do("POST", ejectPath, "").want(415)
		b.do("POST", ejectPath, "{}").want(204)
	},
	"eject-when-empty-fails": func(t *testing.T, b *bench) { b.do("POST", ejectPath, "{}").want(400) },
	"etag-weak": func(t *testing.T, b *bench) {
		tag := b.do("GET", system, "").header.Get("ETag")
		if !strings.HasPrefix(tag, `W/"`) || b.get(system)["@odata.etag"] != tag {
			t.Errorf("tag %s", tag)
		}
		b.do("PATCH", system, pxeOnce, "If-Match", strings.TrimPrefix(tag, "W/")).want(412)
		b.do("PATCH", system, pxeOnce, "If-Match", tag).want(200)
	},
	"etag-required": func(t *testing.T, b *bench) {
		b.do("PATCH", system, pxeOnce).want(428)
		b.do("PATCH", system, pxeOnce, "If-Match", b.do("GET", system, "").header.Get("ETag")).want(200)
	},
	"no-identity-encoding": func(t *testing.T, b *bench) {
		b.do("GET", system, "", "Accept-Encoding", "identity").want(406)
		b.do("GET", system, "", "Accept-Encoding", "gzip").want(200)
	},
	"session-cap": func(t *testing.T, b *bench) {
		login := `{"UserName":"admin","Password":"` + testPassword + `"}`
		for range cappedSessions {
			b.do("POST", sessionsPath, login).want(201)
		}
		b.do("POST", sessionsPath, login).want(503)
	},
	"session-stale": func(t *testing.T, b *bench) {
		token := b.do("POST", sessionsPath, `{"UserName":"admin","Password":"`+testPassword+`"}`).want(201).header.Get("X-Auth-Token")
		for i := range staleAfter {
			status := b.do("GET", system, "", "Authorization", "", "X-Auth-Token", token).status
			if want := map[bool]int{true: 401, false: 200}[i == staleAfter-1]; status != want {
				t.Errorf("request %d: status %d, want %d", i+1, status, want)
			}
		}
	},
	"no-session-service": func(t *testing.T, b *bench) {
		b.do("POST", sessionsPath, `{"UserName":"admin","Password":"`+testPassword+`"}`).want(404)
		if _, there := b.get(root)["SessionService"]; there {
			t.Error("the root shows a session service")
		}
	},
	"conn-drop": func(t *testing.T, b *bench) {
		cut := 0
		for range 2 * dropEvery {
			func() {
				defer func() {
					if recover() != nil {
						cut++
					}
				}()
				b.do("GET", system, "").want(200)
			}()
		}
		if cut != 2 {
			t.Errorf("%d connections were cut, want 2", cut)
		}
	},
	"sys518": func(t *testing.T, b *bench) {
		refused := 0
		for range 2 * unavailableEvery {
			if b.do("GET", system, "").status == 503 {
				refused++
			}
		}
		if refused != 2 {
			t.Errorf("%d of %d requests were refused, want 2", refused, 2*unavailableEvery)
		}
	},
	"empty-mac": func(t *testing.T, b *bench) {
		if got := b.get(systemInterfaces + "/nic-2")["MACAddress"]; got != "" {
			t.Errorf("MAC address %v", got)
		}
	},
	"missing-ethernetinterfaces": func(t *testing.T, b *bench) { absent(t, b.get(system), "EthernetInterfaces") },
	"managedby-missing": func(t *testing.T, b *bench) {
		absent(t, b.get(system)["Links"].(map[string]any), "ManagedBy")
	},
	"allowable-values-missing": func(t *testing.T, b *bench) {
		if raw := string(b.do("GET", system, "").raw); strings.Contains(raw, "AllowableValues") {
			t.Errorf("%s", raw)
		}
	},
	"sku-is-service-tag": func(t *testing.T, b *bench) {
		if got := b.get(system); got["SKU"] != "LAB1" || got["SerialNumber"] == "LAB1" {
			t.Errorf("SKU %v, serial %v", got["SKU"], got["SerialNumber"])
		}
	},
	"null-capacity": func(t *testing.T, b *bench) {
		if got := b.get(storage + "/Drives/disk-1")["CapacityBytes"]; got != nil {
			t.Errorf("capacity %v", got)
		}
	},
}

func wantsNoContinuous(t *testing.T, b *bench) {
	b.do("PATCH", system, strings.Replace(pxeOnce, "Once", "Continuous", 1)).want(400).wantMessage("PropertyValueNotInList")
	b.do("PATCH", system, pxeOnce).want(200)
}

func absent(t *testing.T, o map[string]any, name string) {
	t.Helper()
	if _, there := o[name]; there {
		t.Errorf("%s is shown", name)
	}
}

func TestQuirks(t *testing.T) {
	for name, seen := range Quirks() {
		t.Run(name, func(t *testing.T) {
			test := quirkTests[name]
			if test == nil || seen == "" {
				t.Fatal("the quirk has no test, or does not say where it was seen")
			}
			test(t, quirky(t, name))
		})
	}
	if len(quirkTests) != len(Quirks()) {
		t.Errorf("%d tests for %d quirks", len(quirkTests), len(Quirks()))
	}
}

func TestProfiles(t *testing.T) {
	for name := range Profiles() {
		if err := CheckQuirks([]string{name}); err != nil {
			t.Error(err)
		}
	}
	if err := CheckQuirks([]string{"no-such-quirk"}); err == nil || !strings.Contains(err.Error(), "supermicro") {
		t.Errorf("error %v", err)
	}
}
