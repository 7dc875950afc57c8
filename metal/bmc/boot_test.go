package bmc

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

const systemPatch = "PATCH /redfish/v1/Systems/1"

var pxeOnce = Boot{Enabled: "Once", Target: "Pxe", Mode: "UEFI"}

// bootBody is the Boot object of the nth PATCH.
func bootBody(f *fake, request string, n int) map[string]any {
	all := f.sent(request)
	if n >= len(all) {
		f.t.Fatalf("only %d × %s", len(all), request)
	}
	return all[n]["Boot"].(map[string]any)
}

func TestSetBootAndBackOfEachVendor(t *testing.T) {
	for _, vendor := range []string{"generic", "idrac", "ilo", "supermicro", "openbmc"} {
		t.Run(vendor, func(t *testing.T) {
			f := newFake(t, vendor)
			c := f.connect(f.config())
			was, err := c.Boot(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []Boot{pxeOnce, {Enabled: "Continuous", Target: "Hdd"}, {Enabled: "Once", Target: "Cd"}, was} {
				if err := c.SetBoot(context.Background(), b); err != nil {
					t.Fatalf("%+v: %v", b, err)
				}
			}
			now, err := c.Boot(context.Background())
			if err != nil || now.Enabled != was.Enabled || now.Target != was.Target || now.Mode != was.Mode || now.HTTPBootURI != was.HTTPBootURI {
				t.Errorf("was %+v, is %+v, %v", was, now, err)
			}
		})
	}
}

func TestBootPayloads(t *testing.T) {
	t.Run("the mode is left out where it is right", func(t *testing.T) {
		f := newFake(t, "idrac")
		if err := f.connect(f.config()).SetBoot(context.Background(), pxeOnce); err != nil {
			t.Fatal(err)
		}
		if b := bootBody(f, "PATCH /redfish/v1/Systems/System.Embedded.1", 0); b["BootSourceOverrideMode"] != nil || b["BootSourceOverrideEnabled"] != "Once" {
			t.Errorf("sent %v", b)
		}
	})
	t.Run("Supermicro gets all three, and UsbCd for Cd", func(t *testing.T) {
		f := newFake(t, "supermicro")
		if err := f.connect(f.config()).SetBoot(context.Background(), Boot{Enabled: "Once", Target: "Cd"}); err != nil {
			t.Fatal(err)
		}
		if b := bootBody(f, systemPatch, 0); b["BootSourceOverrideMode"] != "UEFI" || b["BootSourceOverrideTarget"] != "UsbCd" {
			t.Errorf("sent %v", b)
		}
	})
	t.Run("an HTTP boot URL, emptied again when disabled", func(t *testing.T) {
		f := newFake(t, "generic")
		c := f.connect(f.config())
		if err := c.SetBoot(context.Background(), Boot{Enabled: "Once", Target: "UefiHttp", HTTPBootURI: "http://10.0.0.1/boot/t"}); err != nil {
			t.Fatal(err)
		}
		if u := f.boot("HttpBootUri"); u != "http://10.0.0.1/boot/t" {
			t.Errorf("URL %v", u)
		}
		if err := c.SetBoot(context.Background(), Boot{Enabled: "Disabled", Target: "None"}); err != nil {
			t.Fatal(err)
		}
		if u := f.boot("HttpBootUri"); u != "" {
			t.Errorf("URL %v left", u)
		}
	})
}

// TestSetBootRestoresWhatItRead puts back what odd BMCs show when nothing is set.
func TestSetBootRestoresWhatItRead(t *testing.T) {
	for name, boot := range map[string]map[string]any{
		"no period":                   {"BootSourceOverrideTarget": "None"},
		"a period without a target":   {"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "None"},
		"a target that is remembered": {"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "Pxe"},
		"a null":                      {"BootSourceOverrideEnabled": nil, "BootSourceOverrideTarget": "None"},
		"the user's own override":     {"BootSourceOverrideEnabled": "Continuous", "BootSourceOverrideTarget": "Hdd", "BootSourceOverrideMode": "Legacy"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			f.system()["Boot"] = boot
			c := f.connect(f.config())
			was, err := c.Boot(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range []Boot{{Enabled: "Once", Target: "Pxe"}, was} {
				if err := c.SetBoot(context.Background(), b); err != nil {
					t.Fatalf("%+v: %v", b, err)
				}
			}
			now, err := c.Boot(context.Background())
			if err != nil || overrides(now.Enabled, now.Target) != overrides(was.Enabled, was.Target) || now.Mode != was.Mode {
				t.Errorf("was %+v, is %+v, %v", was, now, err)
			}
		})
	}
}

func TestSetBootSurvives(t *testing.T) {
	has := func(f *fake, property string) bool {
		all := f.sent(systemPatch)
		_, ok := all[len(all)-1]["Boot"].(map[string]any)[property]
		return ok
	}
	for name, tc := range map[string]struct {
		prepare func(*fake)
		want    Boot
		patches int
	}{
		"a mode that is reset (smc-mode-revert)": {func(f *fake) {
			f.on(systemPatch, func(http.ResponseWriter, *http.Request, int) bool {
				if !has(f, "BootSourceOverrideMode") {
					f.set(func(s map[string]any) { s["Boot"].(map[string]any)["BootSourceOverrideMode"] = "Legacy" })
				}
				return false
			})
		}, pxeOnce, 2},
		"no mode at all (smc-mode-missing)": {func(f *fake) {
			delete(f.system()["Boot"].(map[string]any), "BootSourceOverrideMode")
		}, pxeOnce, 1},
		"the mode being required": {func(f *fake) {
			f.on(systemPatch, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				if has(f, "BootSourceOverrideMode") {
					return false
				}
				refuse(w, 400, "Base.1.8.PropertyMissing", "BootSourceOverrideMode")
				return true
			})
		}, pxeOnce, 2},
		"the mode being refused (minimal-boot-payload)": {func(f *fake) {
			f.system()["Manufacturer"] = "ASRockRack"
			f.on(systemPatch, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				if !has(f, "BootSourceOverrideMode") {
					return false
				}
				refuse(w, 400, "Base.1.8.PropertyNotWritable", "BootSourceOverrideMode")
				return true
			})
		}, pxeOnce, 2},
		"a target being refused when disabled": {func(f *fake) {
			f.on(systemPatch, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				if !has(f, "BootSourceOverrideTarget") {
					return false
				}
				refuse(w, 400, "Base.1.8.PropertyValueConflict", "BootSourceOverrideTarget")
				return true
			})
		}, Boot{Enabled: "Disabled", Target: "None"}, 3},
		"a stale reading": {func(f *fake) {
			f.on("GET /redfish/v1/Systems/1", func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n < 2 || n > 6 {
					return false
				}
				writeJSON(w, 200, map[string]any{"Id": "1", "PowerState": "Off", "Boot": map[string]any{"BootSourceOverrideEnabled": "Disabled", "BootSourceOverrideTarget": "None", "BootSourceOverrideMode": "UEFI"}})
				return true
			})
		}, pxeOnce, 1},
		"a settings object in place of the system (futurestate-etag)": {func(f *fake) {
			f.tree["/redfish/v1/Systems/1/SD"] = map[string]any{"Boot": map[string]any{"BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Disabled"}}
			f.on(systemPatch, answering(9, 400, "Ami.1.0.OperationSupportedInFutureStateURI", "use /SD"))
			f.on(systemPatch+"/SD", func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.Header.Get("If-Match") == "" {
					refuse(w, 428, "Ami.1.0.PreconditionRequired", "If-Match")
					return true
				}
				return false
			})
		}, pxeOnce, 1},
		"boot attributes in the settings object only (settings-resource-boot)": {func(f *fake) {
			s := f.system()
			f.tree["/redfish/v1/Systems/1/Settings"] = map[string]any{"Boot": s["Boot"]}
			s["@Redfish.Settings"] = map[string]any{"SettingsObject": map[string]any{"@odata.id": "/redfish/v1/Systems/1/Settings"}}
			delete(s, "Boot")
		}, pxeOnce, 0},
		"202 and no body": {func(f *fake) {
			f.on(systemPatch, func(w http.ResponseWriter, r *http.Request, n int) bool {
				f.set(func(s map[string]any) { merge(s, f.bodies[systemPatch][0]) })
				w.WriteHeader(202)
				return true
			})
		}, pxeOnce, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			tc.prepare(f)
			c := f.connect(f.config())
			if _, err := c.Power(context.Background()); err != nil {
				t.Fatal(err)
			}
			if err := c.SetBoot(context.Background(), tc.want); err != nil {
				t.Fatal(err)
			}
			if n := len(f.sent(systemPatch)); n != tc.patches {
				t.Errorf("%d writes, want %d: %v", n, tc.patches, f.sent(systemPatch))
			}
		})
	}
}

func TestSetBootFails(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare     func(*fake)
		want        Boot
		class       fault.Class
		unsupported []string
		parts       []string
	}{
		"taken but not kept (patch-200-not-stored)": {func(f *fake) {
			f.on(systemPatch, func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(200); return true })
		}, pxeOnce, fault.Retryable, nil, []string{`BootSourceOverrideTarget is "None", asked for "Pxe"`}},
		"only once (xcc-once-only)": {func(f *fake) {
			f.on(systemPatch, answering(9, 400, "Base.1.8.PropertyValueNotInList", "The value Continuous for the property BootSourceOverrideEnabled is not in the list"))
		}, Boot{Enabled: "Continuous", Target: "Pxe"}, fault.NeedsPerson, []string{"Once"}, nil},
		"no such target": {func(f *fake) {
			f.on(systemPatch, answering(9, 400, "Base.1.8.PropertyValueNotInList", "BootSourceOverrideTarget"))
		}, Boot{Enabled: "Once", Target: "UefiHttp", HTTPBootURI: "http://a/b"}, fault.NeedsPerson, []string{"None", "Pxe", "Cd", "Hdd"}, nil},
		"no override": {func(f *fake) {
			s := f.system()
			delete(s, "Boot")
			s["@Redfish.Settings"] = map[string]any{"SettingsObject": map[string]any{"@odata.id": "/redfish/v1/Systems/1/SD"}}
		}, pxeOnce, fault.NeedsPerson, []string{}, []string{"no boot override"}},
		"during POST (ilo-post-lock)": {func(f *fake) {
			f.on(systemPatch, answering(9, 400, "iLO.2.14.UnableToModifyDuringSystemPOST", "wait"))
		}, pxeOnce, fault.Retryable, nil, []string{"DuringSystemPOST"}},
		"no such period": {func(*fake) {}, Boot{Enabled: "Twice", Target: "Pxe"}, fault.Final, nil, []string{"Once or Continuous"}},
		"no target":      {func(*fake) {}, Boot{Enabled: "Once"}, fault.Final, nil, []string{"without a target"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			tc.prepare(f)
			err := f.connect(f.config()).SetBoot(context.Background(), tc.want)
			wantFault(t, err, tc.class, "", tc.parts...)
			var u *UnsupportedError
			if errors.As(err, &u) != (tc.unsupported != nil) || u != nil && !slices.Equal(u.Works, tc.unsupported) && len(u.Works)+len(tc.unsupported) > 0 {
				t.Errorf("unsupported %+v, want one naming %v", u, tc.unsupported)
			}
		})
	}
}

// etagServer requires If-Match as accept says.
func etagServer(f *fake, header string, status int, accept func(ifMatch string) bool) *[]string {
	var seen []string
	f.on("GET /redfish/v1/Systems/1", func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if header != "" {
			w.Header().Set("ETag", header)
		}
		writeJSON(w, 200, f.system())
		return true
	})
	f.on(systemPatch, func(w http.ResponseWriter, r *http.Request, _ int) bool {
		m := r.Header.Get("If-Match")
		seen = append(seen, m)
		if accept(m) {
			return false
		}
		refuse(w, status, "Base.1.8.PreconditionFailed", "ETag")
		return true
	})
	return &seen
}

func TestETags(t *testing.T) {
	is := func(want string) func(string) bool { return func(got string) bool { return got == want } }
	for name, tc := range map[string]struct {
		header string
		status int
		accept func(string) bool
		sent   string
		fails  bool
	}{
		"strong":                    {`"abc"`, 412, is(`"abc"`), `"abc"`, false},
		"weak":                      {`W/"abc"`, 412, is(`W/"abc"`), `W/"abc"`, false},
		"unquoted":                  {`abc`, 412, is(`abc`), `abc`, false},
		"weak, compared strongly":   {`W/"abc"`, 412, is(`"abc"`), `W/"abc" "abc"`, false},
		"never matching":            {`"abc"`, 412, is(``), `"abc" `, false},
		"weak and never matching":   {`W/"abc"`, 412, is(``), `W/"abc" "abc" `, false},
		"empty":                     {`""`, 412, is(``), ``, false},
		"none":                      {``, 412, is(``), ``, false},
		"required but not offered":  {``, 428, is(`*`), ` *`, false},
		"refused whatever is given": {`"abc"`, 412, func(string) bool { return false }, `"abc"  `, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			seen := etagServer(f, tc.header, tc.status, tc.accept)
			err := f.connect(f.config()).SetBoot(context.Background(), pxeOnce)
			if (err != nil) != tc.fails {
				t.Errorf("got %v", err)
			}
			if got := strings.Join(*seen, " "); got != tc.sent {
				t.Errorf("If-Match sent %q, want %q", got, tc.sent)
			}
		})
	}
	t.Run("changed since it was read", func(t *testing.T) {
		f := newFake(t, "generic")
		c := f.connect(f.config())
		f.on(systemPatch, func(w http.ResponseWriter, r *http.Request, _ int) bool {
			if r.Header.Get("If-Match") == `"7"` {
				return false
			}
			refuse(w, 412, "Base.1.8.PreconditionFailed", "ETag")
			return true
		})
		if _, err := c.Power(context.Background()); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		f.etag = 7
		f.mu.Unlock()
		if err := c.SetBoot(context.Background(), pxeOnce); err != nil {
			t.Error(err)
		}
	})
}
