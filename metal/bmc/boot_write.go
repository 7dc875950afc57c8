package bmc

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/redfish"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// written is what came of writing an override.
type written struct {
	// settings is the settings object that took it; "" is the system itself.
	settings string
	// sentMode says that the payload had the mode, cleared that it emptied the
	// HTTP boot URI.
	sentMode, cleared bool
}

// payload is one form of the write; vendors want it fuller or shorter.
type payload struct {
	boot map[string]any
	mode bool
}

// writeBoot writes want in the forms that vendors need until one is taken:
// first to the system, then to its settings object (iDRAC 10: sushy
// idrac10-settings-resource).
func (c *Client) writeBoot(ctx context.Context, want Boot, withMode bool) (written, error) {
	want = want.normal()
	if err := want.validate(); err != nil {
		return written{}, err
	}
	c.wire.veil.keepURL("boot", want.HTTPBootURI)
	s, err := c.recentSystem(ctx)
	if err != nil {
		return written{}, err
	}
	clear := want.HTTPBootURI == "" && want.Enabled == disabled && text(s.Boot.URI) != ""
	if clear {
		c.wire.veil.keepURL("boot", text(s.Boot.URI))
	}
	forms := bootForms(want, s, withMode, clear)
	w := written{cleared: clear}
	settings := s.Settings.Object.ID
	var refusal *answer
	if s.Boot.Target != nil || settings == "" {
		form, a, err := c.patchForms(ctx, target{path: s.path, etag: s.ETag}, forms)
		if err != nil {
			return w, err
		}
		if a.ok() {
			w.sentMode = form.mode
			return w, nil
		}
		refusal = a
		if !settingsMayTake(a) || settings == "" && !a.says(futureState) {
			return w, c.bootFault(want, s, a)
		}
	}
	where, err := c.settingsTarget(ctx, s)
	if err != nil {
		return w, err
	}
	if where.path == "" { // no override there either
		if refusal == nil {
			return w, c.noOverride(want)
		}
		return w, c.bootFault(want, s, refusal)
	}
	form, a, err := c.patchForms(ctx, where, forms)
	if err != nil {
		return w, err
	}
	if !a.ok() {
		return w, c.bootFault(want, s, a)
	}
	w.settings, w.sentMode = where.path, form.mode
	return w, nil
}

// recentSystem is the system as last read, or read now. It may be out of date:
// it serves for capabilities, and its ETag is checked by the BMC.
func (c *Client) recentSystem(ctx context.Context) (*computerSystem, error) {
	c.mu.Lock()
	s := c.seen
	c.mu.Unlock()
	if s != nil {
		return s, nil
	}
	return c.readSystem(ctx)
}

// bootForms gives the forms of the write, the likeliest first.
func bootForms(want Boot, s *computerSystem, withMode, clear bool) []payload {
	full := map[string]any{"BootSourceOverrideEnabled": want.Enabled, "BootSourceOverrideTarget": bootTarget(want, s)}
	if want.HTTPBootURI != "" {
		full["HttpBootUri"] = want.HTTPBootURI
	} else if clear {
		full["HttpBootUri"] = ""
	}
	mode := want.Mode
	if mode == "" {
		mode = text(s.Boot.Mode)
	}
	short := payload{boot: full}
	long := payload{boot: with(full, "BootSourceOverrideMode", mode), mode: true}
	forms := []payload{short}
	if mode != "" && s.Boot.Mode != nil {
		if withMode || wantsFullBoot(s) || want.Mode != "" && !strings.EqualFold(want.Mode, *s.Boot.Mode) {
			forms = []payload{long, short}
		} else {
			forms = []payload{short, long}
		}
	}
	if clear {
		for _, f := range slices.Clone(forms) {
			forms = append(forms, payload{boot: with(f.boot, "HttpBootUri", nil), mode: f.mode})
		}
	}
	if want.Enabled == disabled {
		forms = append(forms, payload{boot: map[string]any{"BootSourceOverrideEnabled": disabled}})
	}
	return forms
}

func with(m map[string]any, key string, v any) map[string]any {
	out := map[string]any{key: v}
	for k, old := range m {
		if k != key {
			out[k] = old
		}
	}
	return out
}

// bootTarget is want's target under the name that the BMC has for it.
func bootTarget(want Boot, s *computerSystem) string {
	t := want.Target
	if t == "" {
		return string(redfish.NoneBootSourceOverrideTarget)
	}
	if t == string(redfish.CdBootSourceOverrideTarget) && !slices.Contains(s.Boot.Targets, t) && slices.Contains(s.Boot.Targets, "UsbCd") {
		return "UsbCd" // Supermicro (sushy change-bootdev-smc)
	}
	return t
}

// wantsFullBoot says that target, period and mode must come together: AMI's
// firmware and its descendants, Supermicro which otherwise resets the mode
// (ironic management.py, redfish-full-boot-payload-asrockrack). Elsewhere the
// same mode sent again does harm (Dell: restrict-sync-mode-after-device-to-supermicro).
func wantsFullBoot(s *computerSystem) bool {
	return s.made("supermicro", "ami", "american megatrends", "asrock")
}

// patchForms tries the forms in turn while the BMC objects to the form (4xx),
// and gives the last answer.
func (c *Client) patchForms(ctx context.Context, t target, forms []payload) (payload, *answer, error) {
	var last *answer
	tried := map[string]bool{}
	for _, f := range forms {
		key, err := json.Marshal(f.boot)
		if err != nil {
			return f, nil, err
		}
		if tried[string(key)] {
			continue
		}
		tried[string(key)] = true
		a, err := c.patch(ctx, &t, map[string]any{"Boot": f.boot})
		if err != nil {
			return f, nil, err
		}
		// The first refusal is about what was asked, later ones about forms.
		if last == nil || a.ok() {
			last = a
		}
		if a.ok() || !formRefused(a) {
			return f, last, nil
		}
	}
	return payload{}, last, nil
}

func formRefused(a *answer) bool {
	return (a.status == http.StatusBadRequest || a.status == http.StatusUnprocessableEntity) &&
		!a.says(transient...) && !a.says(futureState)
}

// futureState is how AMI, TSM and ASRock say that the settings object (/SD) is
// to be written instead (omni-infra-provider-bare-metal redfish.go:113).
const futureState = "FutureStateURI"

func settingsMayTake(a *answer) bool {
	return a.says(futureState) || a.status == http.StatusMethodNotAllowed || formRefused(a)
}

// settingsTarget is the settings object with its ETag, if it has boot
// attributes: elsewhere it exists without (sushy
// check-for-boot-attrs-in-settingsuri).
func (c *Client) settingsTarget(ctx context.Context, s *computerSystem) (target, error) {
	where := s.Settings.Object.ID
	if where == "" {
		where = strings.TrimRight(s.path, "/") + "/SD"
	}
	var settings computerSystem
	a, err := c.get(ctx, where, &settings)
	if err != nil {
		return target{}, err
	}
	if !a.ok() || settings.Boot.Target == nil && settings.Boot.Enabled == nil {
		return target{}, nil
	}
	return target{path: where, etag: etagOf(a, settings.ETag)}, nil
}

func (c *Client) noOverride(want Boot) error {
	return c.wire.veilFault(&fault.Error{Class: fault.NeedsPerson, Subject: c.subject(), Summary: "the BMC has no boot override",
		Seen: "a system without Boot.BootSourceOverrideTarget", Expected: "one that can be set to " + want.Target, Evidence: c.evidence(),
		Err:    &UnsupportedError{What: "boot target", Wanted: want.Target},
		Advice: "update the BMC's firmware, or set the boot order so that the server boots from the network first"})
}
