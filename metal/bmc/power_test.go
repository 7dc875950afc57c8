package bmc

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

const resetPost = "POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset"

func TestSetPowerOfEachVendor(t *testing.T) {
	for _, vendor := range []string{"generic", "idrac", "ilo", "supermicro", "openbmc"} {
		t.Run(vendor, func(t *testing.T) {
			f := newFake(t, vendor)
			c := f.connect(f.config())
			for _, step := range []struct {
				action PowerAction
				want   PowerState
			}{{On, PowerOn}, {ForceRestart, PowerOn}, {GracefulShutdown, PowerOff}, {On, PowerOn}, {ForceOff, PowerOff}} {
				if err := c.SetPower(context.Background(), step.action); err != nil {
					t.Fatalf("%s: %v", step.action, err)
				}
				if p, err := c.Power(context.Background()); err != nil || p != step.want {
					t.Errorf("after %s: %q, %v", step.action, p, err)
				}
			}
		})
	}
}

func TestSetPowerSurvives(t *testing.T) {
	drop := func(w http.ResponseWriter, _ *http.Request, n int) bool {
		if n == 1 {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		return false
	}
	for name, tc := range map[string]struct {
		start   string
		want    PowerAction
		prepare func(*fake)
		posts   int
	}{
		"a stale reading (power-lag)": {"Off", On, func(f *fake) { f.lag = 12 }, 1},
		"409 already so": {"On", On, func(f *fake) {
			f.on(resetPost, answering(99, 409, "IDRAC.2.5.PSU501", "already on"))
		}, 1},
		"400 already so": {"Off", ForceOff, func(f *fake) {
			f.on(resetPost, answering(99, 400, "Base.1.8.ActionParameterValueConflict", "already off"))
		}, 1},
		"409 for a while after an off": {"Off", On, func(f *fake) {
			f.on(resetPost, answering(3, 409, "Base.1.8.ActionParameterValueConflict", "not now"))
		}, 4},
		"iLO's invalid state": {"Off", On, func(f *fake) {
			f.on(resetPost, answering(2, 400, "iLO.2.14.InvalidOperationForSystemState", "busy"))
		}, 3},
		"5xx once": {"Off", On, func(f *fake) { f.on(resetPost, answering(1, 503, "IDRAC.2.5.SYS518", "data sources")) }, 2},
		"5xx that worked all the same": {"Off", On, func(f *fake) {
			f.on(resetPost, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				f.set(func(s map[string]any) { s["PowerState"] = "On" })
				refuse(w, 500, "Base.1.8.InternalError", "oops")
				return true
			})
		}, 1},
		"a dropped connection": {"Off", ForceRestart, func(f *fake) { f.on(resetPost, drop) }, 2},
		"trouble while reading back": {"Off", On, func(f *fake) {
			f.on("GET /redfish/v1/Systems/1", func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n < 2 || n > 4 {
					return false
				}
				refuse(w, 503, "Base.1.8.ServiceTemporarilyUnavailable", "later")
				return true
			})
		}, 1},
		"a restart of what is off": {"Off", ForceRestart, func(f *fake) {
			f.on(resetPost, answering(1, 409, "Base.1.8.ActionParameterValueConflict", "is off"))
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			f.system()["PowerState"] = tc.start
			tc.prepare(f)
			c := f.connect(f.config())
			if err := c.SetPower(context.Background(), tc.want); err != nil {
				t.Fatal(err)
			}
			if n := f.count(resetPost); n != tc.posts {
				t.Errorf("%d posts, want %d", n, tc.posts)
			}
		})
	}
}

func TestSetPowerFails(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(*fake)
		class   fault.Class
		parts   []string
	}{
		"taken without effect (idrac-refuse-silent)": {func(f *fake) {
			f.on(resetPost, func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(204); return true })
		}, fault.Retryable, []string{"had no effect", `"off"`, "3m0s"}},
		"refused for good": {func(f *fake) {
			f.on(resetPost, answering(99, 400, "Base.1.8.ActionParameterValueNotInList", "On is not in the list"))
		}, fault.NeedsPerson, []string{"ActionParameterValueNotInList"}},
		"conflict for ever": {func(f *fake) {
			f.on(resetPost, answering(99, 409, "Base.1.8.ActionParameterValueConflict", "not now"))
		}, fault.Retryable, []string{"ActionParameterValueConflict"}},
		"forbidden": {func(f *fake) {
			f.on(resetPost, answering(99, 403, "Base.1.8.InsufficientPrivilege", "operator"))
		}, fault.NeedsPerson, []string{"InsufficientPrivilege", "privilege"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			tc.prepare(f)
			err := f.connect(f.config()).SetPower(context.Background(), On)
			var fe *fault.Error
			if !errors.As(err, &fe) {
				t.Fatalf("got %v", err)
			}
			wantFault(t, err, tc.class, fe.Attribute, tc.parts...)
			if n := f.count(resetPost); n > 8 {
				t.Errorf("posted %d times", n)
			}
		})
	}
}

func TestSetPowerHonoursContext(t *testing.T) {
	f := newFake(t, "generic")
	f.lag, f.stale = 1000, "Off"
	c := f.connect(f.config())
	ctx, cancel := context.WithCancel(context.Background())
	waits := 0
	c.pause = func(ctx context.Context, _ time.Duration) error {
		if waits++; waits == 3 {
			cancel()
		}
		return ctx.Err()
	}
	if err := c.SetPower(ctx, On); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if waits != 3 {
		t.Errorf("waited %d times", waits)
	}
}

func TestPowerActionNames(t *testing.T) {
	f := newFake(t, "generic")
	f.set(func(s map[string]any) {
		s["Actions"].(map[string]any)["#ComputerSystem.Reset"].(map[string]any)["ResetType@Redfish.AllowableValues"] = []any{"ForceOn", "ForceOff", "PowerCycle"}
	})
	f.on(resetPost, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		body := f.sent(resetPost)
		if kind := body[len(body)-1]["ResetType"]; kind == "GracefulShutdown" {
			refuse(w, 400, "Base.1.8.ActionParameterNotSupported", "no")
			return true
		}
		return false
	})
	c := f.connect(f.config())
	for _, a := range []PowerAction{On, ForceRestart} {
		if err := c.SetPower(context.Background(), a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if b := f.sent(resetPost); b[0]["ResetType"] != "ForceOn" || b[1]["ResetType"] != "PowerCycle" {
		t.Errorf("sent %v", b)
	}
	err := c.SetPower(context.Background(), GracefulShutdown)
	var u *UnsupportedError
	if !errors.As(err, &u) || !slices.Contains(u.Works, "ForceOff") {
		t.Errorf("got %v, want an UnsupportedError naming ForceOff", err)
	}
	wantFault(t, c.SetPower(context.Background(), "Nmi"), fault.Final, "")
}

func TestMissingPowerState(t *testing.T) {
	f := newFake(t, "generic")
	f.set(func(s map[string]any) { s["PowerState"] = nil })
	_, err := f.connect(f.config()).Power(context.Background())
	wantFault(t, err, fault.Retryable, "", "does not say")
}
