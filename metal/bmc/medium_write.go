package bmc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// InsertMedia puts the image at that URL into a slot, by ID, or for "" the
// first that is a CD or DVD, and reads back until it is in, at most
// Config.MediaTimeout. Errors are *fault.Error.
func (c *Client) InsertMedia(ctx context.Context, id, image string) error {
	shown := c.wire.veil.keepURL("media", image)
	m, err := c.slot(ctx, id)
	if err != nil {
		return err
	}
	write := func() (*answer, error) {
		if m.insert == "" {
			// Lenovo XCC has no action (bmclib lenovo/virtual_media.go).
			return c.patchMedium(ctx, m, map[string]any{"Image": image, "Inserted": true}, map[string]any{"Image": image})
		}
		return c.tryBodies(ctx, m.insert, insertForms(image))
	}
	return c.changeMedium(ctx, m, write, "inserting the virtual media", shown, func(now Medium) bool { return now.Inserted && now.Image != "" })
}

// EjectMedia empties a slot, by ID, or for "" the first that is a CD or DVD, and
// reads back until it is empty. An empty slot is success. Errors are *fault.Error.
func (c *Client) EjectMedia(ctx context.Context, id string) error {
	m, err := c.slot(ctx, id)
	if err != nil {
		return err
	}
	c.wire.veil.keepURL("media", m.Image)
	empty := func(now Medium) bool { return !now.Inserted }
	if empty(m) {
		return nil // ejecting from an empty slot is an error on many (bmclib issue 410)
	}
	write := func() (*answer, error) {
		if m.eject == "" {
			return c.patchMedium(ctx, m, map[string]any{"Image": nil, "Inserted": false}, map[string]any{"Image": nil})
		}
		// HPE wants a body even if there is nothing to say (sushy fix-eject-media-empty-dict).
		return c.tryBodies(ctx, m.eject, []map[string]any{{}})
	}
	return c.changeMedium(ctx, m, write, "ejecting the virtual media", "an empty slot", empty)
}

// insertForms are the bodies of InsertMedia, the likeliest first: Supermicro
// X11 and X12 refuse more than the image (sushy fix-insert-media-payload),
// others want the transfer's protocol and method (sushy
// retry-if-transferprototype-missing) or a login, if empty (NVIDIA DGX: sushy
// insertmedia-credentials-detection).
func insertForms(image string) []map[string]any {
	protocol := "HTTP"
	if u, err := url.Parse(image); err == nil && u.Scheme != "" {
		protocol = strings.ToUpper(u.Scheme)
	}
	full := map[string]any{"Image": image, "Inserted": true, "WriteProtected": true}
	transfer := with(with(full, "TransferProtocolType", protocol), "TransferMethod", "Stream")
	return []map[string]any{full, {"Image": image}, transfer,
		{"Image": image, "TransferProtocolType": protocol},
		with(with(transfer, "UserName", ""), "Password", "")}
}

// tryBodies posts the bodies in turn while the BMC objects to the form.
func (c *Client) tryBodies(ctx context.Context, where string, bodies []map[string]any) (*answer, error) {
	var first *answer
	for _, b := range bodies {
		a, err := c.send(ctx, request{method: http.MethodPost, path: where, body: b})
		if err != nil || a.ok() {
			return a, err
		}
		if first == nil {
			first = a
		}
		if !formRefused(a) {
			return a, nil
		}
	}
	return first, nil
}

func (c *Client) patchMedium(ctx context.Context, m Medium, bodies ...map[string]any) (*answer, error) {
	t := target{path: m.path, etag: m.etag}
	var last *answer
	for _, b := range bodies {
		a, err := c.patch(ctx, &t, b)
		if err != nil || a.ok() || !formRefused(a) {
			return a, err
		}
		last = a
	}
	return last, nil
}

// changeMedium writes and reads back until done. A BMC answers 5xx while
// another eject goes on (ironic fix-redfish-vmedia-insert-retry) and shows the
// old state for seconds (ironic fix-redfish-vmedia-stale-insert-skip).
func (c *Client) changeMedium(ctx context.Context, m Medium, write func() (*answer, error), doing, wanted string, done func(Medium) bool) error {
	deadline := c.now().Add(c.cfg.MediaTimeout)
	wait := newBackoff(500*time.Millisecond, 5*time.Second)
	taken := false
	for try := 1; ; try++ {
		var refusal *fault.Error
		if !taken && try <= 5 {
			a, err := write()
			if err != nil {
				return err
			}
			if taken = a.ok(); !taken {
				refusal = c.refused(doing, a)
			}
		}
		now, err := c.readMedium(ctx, m.path)
		switch {
		case err == nil && done(now):
			return nil
		case refusal != nil && (refusal.Class != fault.Retryable || try == 5):
			return refusal
		case err != nil && (fault.ClassOf(err) != fault.Retryable || ctx.Err() != nil):
			return err
		case !c.now().Before(deadline):
			return c.wire.veilFault(&fault.Error{Class: fault.Retryable, Subject: c.subject(), Summary: doing + " had no effect",
				Seen: fmt.Sprintf("inserted %t, image %q", now.Inserted, now.Image), Expected: wanted, Evidence: c.evidence(),
				Advice: "check that the BMC can reach the image's server; restart the BMC if it can"})
		}
		if err := c.pause(ctx, wait.next()); err != nil {
			return transportFault(c.wire.base, err)
		}
	}
}

func (c *Client) readMedium(ctx context.Context, where string) (Medium, error) {
	var w wireMedium
	a, err := c.get(ctx, where, &w)
	if err != nil {
		return Medium{}, err
	}
	if !a.ok() {
		return Medium{}, c.refused("reading back the virtual media", a)
	}
	m := w.medium()
	c.wire.veil.keepURL("media", m.Image)
	return m, nil
}
