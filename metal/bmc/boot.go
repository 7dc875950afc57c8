package bmc

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/redfish"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Boot is a server's boot source override, in Redfish's words.
type Boot struct {
	// Enabled is "Disabled", "Once" or "Continuous", or "" where the BMC doesn't
	// say; "" in SetBoot is "Disabled".
	Enabled string `json:"enabled"`
	// Target is "None", "Pxe", "Hdd", "Cd", "UefiHttp", ...
	Target string `json:"target"`
	// Mode is "UEFI", "Legacy", or "" where the BMC doesn't say; "" in SetBoot
	// leaves it as it is.
	Mode string `json:"mode,omitempty"`
	// HTTPBootURI is what UefiHttp boots. It may hold a one-time token and is
	// never shown in errors or logs. "" in SetBoot leaves it as it is, except
	// that with Disabled it is emptied.
	HTTPBootURI string `json:"http_boot_uri,omitempty"`
	// Supports are the targets that the BMC says it takes; not for SetBoot. Some
	// take more than they list (GH200 takes UefiHttp: libredfish).
	Supports []string `json:"supports,omitempty"`
}

const (
	disabled = string(redfish.DisabledBootSourceOverrideEnabled)
	once     = string(redfish.OnceBootSourceOverrideEnabled)
	forever  = string(redfish.ContinuousBootSourceOverrideEnabled)
)

// wireBoot is DMTF's Boot object; nil is a property that the BMC doesn't have.
type wireBoot struct {
	Enabled *string      `json:"BootSourceOverrideEnabled"`
	Target  *string      `json:"BootSourceOverrideTarget"`
	Mode    *string      `json:"BootSourceOverrideMode"`
	URI     *string      `json:"HttpBootUri"`
	Targets list[string] `json:"BootSourceOverrideTarget@Redfish.AllowableValues"`
	Periods list[string] `json:"BootSourceOverrideEnabled@Redfish.AllowableValues"`
	Order   list[string] `json:"BootOrder"`
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func (w wireBoot) boot() Boot {
	b := Boot{Enabled: clean(text(w.Enabled), maxText), Target: clean(text(w.Target), maxText),
		Mode: clean(text(w.Mode), maxText), HTTPBootURI: clean(text(w.URI), 2048)}
	for _, t := range w.Targets {
		b.Supports = append(b.Supports, clean(t, maxText))
	}
	return b
}

// Boot reads the boot source override. Errors are *fault.Error.
func (c *Client) Boot(ctx context.Context) (Boot, error) {
	s, err := c.readSystem(ctx)
	if err != nil {
		return Boot{}, err
	}
	return s.Boot.boot(), nil
}

// RequestBoot writes the boot source override without reading it back: a
// caller that uses it looks again by itself. Errors are *fault.Error.
func (c *Client) RequestBoot(ctx context.Context, want Boot) error {
	_, err := c.writeBoot(ctx, want, false)
	return err
}

// SetBoot writes the boot source override and reads back until it is as asked,
// at most Config.BootTimeout. Errors are *fault.Error: with *UnsupportedError
// inside when the BMC can't, with *MismatchError when it took the values but
// shows others.
func (c *Client) SetBoot(ctx context.Context, want Boot) error {
	want = want.normal()
	deadline := c.now().Add(c.cfg.BootTimeout)
	withMode := false
	for {
		w, err := c.writeBoot(ctx, want, withMode)
		if err != nil {
			return err
		}
		diff, err := c.awaitBoot(ctx, want, w, deadline)
		if err != nil || len(diff) == 0 {
			return err
		}
		// Supermicro resets the mode whenever the target is written without it
		// (ironic sync-boot-mode-after-changing-redfish-device).
		if !w.sentMode && !withMode && onlyMode(diff) {
			withMode = true
			continue
		}
		return c.mismatch("the BMC took the boot override but does not keep it", diff)
	}
}

func onlyMode(diff []Difference) bool {
	return len(diff) == 1 && diff[0].Property == "BootSourceOverrideMode"
}

func (c *Client) mismatch(summary string, diff []Difference) *fault.Error {
	e := &MismatchError{Differences: diff}
	return c.wire.veilFault(&fault.Error{Class: fault.Retryable, Subject: c.subject(), Summary: summary, Seen: e.Error(),
		Expected: "what was asked for", Err: e, Evidence: c.evidence(),
		Advice: "set it once in the BMC's own web page to see whether the firmware can; update the firmware if it can't"})
}

// awaitBoot reads until nothing differs or the deadline has passed, and gives
// the last differences. When only the mode differs it doesn't wait: see SetBoot.
func (c *Client) awaitBoot(ctx context.Context, want Boot, w written, deadline time.Time) ([]Difference, error) {
	wait := newBackoff(200*time.Millisecond, 3*time.Second)
	for {
		got, err := c.readBoot(ctx, w)
		var diff []Difference
		if err == nil {
			diff = c.differences(want, got, w.cleared)
		}
		switch {
		case err != nil && (fault.ClassOf(err) != fault.Retryable || ctx.Err() != nil):
			return nil, err
		case err == nil && (len(diff) == 0 || onlyMode(diff) && !w.sentMode):
			return diff, nil
		case !c.now().Before(deadline):
			return diff, err
		}
		if err := c.pause(ctx, wait.next()); err != nil {
			return nil, transportFault(c.wire.base, err)
		}
	}
}

// readBoot reads where the override was written: the system, or its settings
// object when the system itself would only show it after the next reset.
func (c *Client) readBoot(ctx context.Context, w written) (wireBoot, error) {
	if w.settings == "" {
		s, err := c.readSystem(ctx)
		if err != nil {
			return wireBoot{}, err
		}
		return s.Boot, nil
	}
	var s computerSystem
	a, err := c.get(ctx, w.settings, &s)
	if err != nil {
		return wireBoot{}, err
	}
	if !a.ok() {
		return wireBoot{}, c.refused("reading back the boot settings", a)
	}
	return s.Boot, nil
}

// overrides says whether an override has an effect. "Disabled", no target, and a
// target of None under any period all mean the normal boot order.
func overrides(enabled, target string) bool {
	return enabled != "" && enabled != disabled && target != "" && target != string(redfish.NoneBootSourceOverrideTarget)
}

// differences compares what counts: of an override without effect, not how it
// is worded (many reset the target to None when it is disabled); a mode that the BMC doesn't have (Supermicro X10,
// metal-operator issue 982) or that wasn't asked for isn't compared.
func (c *Client) differences(want Boot, got wireBoot, cleared bool) []Difference {
	var diff []Difference
	add := func(property, w, g string) {
		diff = append(diff, Difference{Property: property, Want: w, Got: clean(g, maxText)})
	}
	enabled, target := text(got.Enabled), text(got.Target)
	if overrides(want.Enabled, want.Target) || overrides(enabled, target) {
		if enabled != want.Enabled {
			add("BootSourceOverrideEnabled", want.Enabled, enabled)
		}
		if want.Enabled != disabled && !sameTarget(want.Target, target) {
			add("BootSourceOverrideTarget", want.Target, target)
		}
	}
	if want.Mode != "" && text(got.Mode) != "" && !strings.EqualFold(want.Mode, *got.Mode) {
		add("BootSourceOverrideMode", want.Mode, *got.Mode)
	}
	if (want.HTTPBootURI != "" || cleared) && want.HTTPBootURI != text(got.URI) {
		add("HttpBootUri", c.wire.veil.keepURL("boot", want.HTTPBootURI), c.wire.veil.keepURL("boot", text(got.URI)))
	}
	return diff
}

// sameTarget takes Supermicro's name for virtual media for the standard's.
func sameTarget(a, b string) bool {
	std := func(s string) string {
		if s == "UsbCd" {
			return string(redfish.CdBootSourceOverrideTarget)
		}
		return s
	}
	return std(a) == std(b)
}

func (b Boot) normal() Boot {
	if b.Enabled == "" {
		b.Enabled = disabled
	}
	return b
}

func (b Boot) validate() error {
	if !slices.Contains([]string{disabled, once, forever}, b.Enabled) {
		return &fault.Error{Class: fault.Final, Summary: "invalid boot override", Seen: "enabled " + quoted(b.Enabled),
			Expected: "Disabled, Once or Continuous"}
	}
	if b.Enabled != disabled && b.Target == "" {
		return &fault.Error{Class: fault.Final, Summary: "invalid boot override", Seen: b.Enabled + " without a target",
			Expected: "a target such as Pxe"}
	}
	return nil
}

// bootFault is the BMC's refusal of an override.
func (c *Client) bootFault(want Boot, s *computerSystem, a *answer) *fault.Error {
	f := c.refused("setting the boot override", a)
	// Which value was refused: the message names it, if it names anything.
	about := func(property string) bool {
		return slices.ContainsFunc(a.messages(), func(m message) bool { return strings.Contains(m.Text, property) })
	}
	listed := func(v string, all []string) bool { return len(all) == 0 || slices.Contains(all, v) }
	u := &UnsupportedError{What: "boot target", Wanted: want.Target, Works: s.Boot.boot().Supports}
	switch {
	case a.status != http.StatusBadRequest && a.status != http.StatusNotImplemented && a.status != http.StatusUnprocessableEntity,
		f.Class == fault.Retryable:
		return f
	case want.Enabled == forever && (about("BootSourceOverrideEnabled") || about(forever) || !listed(forever, s.Boot.Periods)):
		// Lenovo XCC and others know only one-time overrides (bmclib lenovo/boot.go).
		u = &UnsupportedError{What: "boot override period", Wanted: forever, Works: []string{once}}
	case want.HTTPBootURI != "" && about("HttpBootUri"):
		u = &UnsupportedError{What: "property", Wanted: "HttpBootUri", Works: targetsBut(u.Works, want.Target)}
	case want.Mode != "" && about("BootSourceOverrideMode"):
		u = &UnsupportedError{What: "boot mode", Wanted: want.Mode, Works: []string{text(s.Boot.Mode)}}
	case about("BootSourceOverrideTarget"), !listed(want.Target, s.Boot.Targets), a.says("NotInList"):
		u.Works = targetsBut(u.Works, want.Target)
	default:
		return f
	}
	f.Err, f.Advice = u, fmt.Sprintf("use what the BMC supports: %s", strings.Join(u.Works, ", "))
	return f
}

func targetsBut(all []string, one string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == one })
}
