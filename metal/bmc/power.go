package bmc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/stmcginnis/gofish/redfish"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// PowerState is whether a server is on.
type PowerState string

// The power states.
const (
	PowerOn     PowerState = "on"
	PowerOff    PowerState = "off"
	PoweringOn  PowerState = "powering-on"
	PoweringOff PowerState = "powering-off"
	Paused      PowerState = "paused"
)

func powerState(p redfish.PowerState) PowerState {
	switch p {
	case redfish.OnPowerState:
		return PowerOn
	case redfish.OffPowerState:
		return PowerOff
	case redfish.PoweringOnPowerState:
		return PoweringOn
	case redfish.PoweringOffPowerState:
		return PoweringOff
	case redfish.PausedPowerState:
		return Paused
	}
	return ""
}

// PowerAction is a change of power, in Redfish's words.
type PowerAction string

// The power actions.
const (
	On               = PowerAction(redfish.OnResetType)
	ForceOff         = PowerAction(redfish.ForceOffResetType)
	GracefulShutdown = PowerAction(redfish.GracefulShutdownResetType)
	ForceRestart     = PowerAction(redfish.ForceRestartResetType)
)

// goal is the state in which an action has been done.
func (p PowerAction) goal() (PowerState, error) {
	switch p {
	case On, ForceRestart:
		return PowerOn, nil
	case ForceOff, GracefulShutdown:
		return PowerOff, nil
	}
	return "", &fault.Error{Class: fault.Final, Summary: "unknown power action", Seen: quoted(string(p)),
		Expected: "On, ForceOff, GracefulShutdown or ForceRestart"}
}

// stand-ins do the same under another name where the first is not offered.
var standIns = map[PowerAction]redfish.ResetType{On: redfish.ForceOnResetType, ForceRestart: redfish.PowerCycleResetType}

// RequestPower asks for a change of power without reading back whether it
// happens: a caller that uses it looks again by itself. Errors are *fault.Error.
func (c *Client) RequestPower(ctx context.Context, want PowerAction) error {
	if _, err := want.goal(); err != nil {
		return err
	}
	a, err := c.reset(ctx, want)
	if err != nil {
		return err
	}
	if !a.ok() {
		return c.resetFault(want, a)
	}
	return nil
}

// reset posts the action. The target is remembered or read from the system.
func (c *Client) reset(ctx context.Context, want PowerAction) (*answer, error) {
	p := c.known()
	if p.Reset == "" {
		if _, err := c.readSystem(ctx); err != nil {
			return nil, err
		}
		p = c.known()
	}
	kind := redfish.ResetType(want)
	if other, ok := standIns[want]; ok && len(p.Resets) > 0 &&
		!slices.Contains(p.Resets, string(want)) && slices.Contains(p.Resets, string(other)) {
		kind = other
	}
	a, err := c.send(ctx, request{method: http.MethodPost, path: p.Reset, body: map[string]string{"ResetType": string(kind)},
		repeatable: want != ForceRestart}) // the others lead to a state; twice is as good as once
	if err == nil && a.status == http.StatusNotFound {
		c.learn(func(p *place) { p.Reset = "" }) // looked up anew next time
	}
	return a, err
}

func (c *Client) resetFault(want PowerAction, a *answer) *fault.Error {
	f := c.refused(fmt.Sprintf("the power action %s", want), a)
	allowed := c.known().Resets
	if a.says("NotInList", "NotSupported", "ValueFormatError", "ParameterUnknown") || len(allowed) > 0 && !slices.Contains(allowed, string(want)) {
		f.Class = fault.NeedsPerson
		f.Err = &UnsupportedError{What: "power action", Wanted: string(want), Works: allowed}
	}
	return f
}

// SetPower changes the power and reads back until it holds, at most
// Config.PowerTimeout. That the server is already in the wanted state is
// success, however the BMC words it. A ForceRestart holds when the BMC took it
// and the server reads on. Errors are *fault.Error; with a GracefulShutdown that
// the operating system ignores, the caller may go on with ForceOff.
func (c *Client) SetPower(ctx context.Context, want PowerAction) error {
	goal, err := want.goal()
	if err != nil {
		return err
	}
	deadline := c.now().Add(c.cfg.PowerTimeout)
	if err := c.postReset(ctx, want, goal, deadline); err != nil {
		return err
	}
	state, err := c.awaitPower(ctx, goal, deadline)
	if err != nil {
		return err
	}
	if state == goal {
		return nil
	}
	f := &fault.Error{Class: fault.Retryable, Subject: c.subject(), Summary: "the BMC took a power action that had no effect",
		Seen:     fmt.Sprintf("power still %s after %s", quoted(string(state)), c.cfg.PowerTimeout),
		Expected: fmt.Sprintf("power %q after %s", goal, want), Evidence: c.evidence(),
		Advice: "look at the server's state in the BMC's own web page; some need their BMC restarted"}
	if want == GracefulShutdown {
		f.Advice = "the operating system did not shut down; ForceOff does not ask it"
	}
	return f
}

// postReset posts until the BMC takes it or the goal is there anyway. 400 and
// 409 mean "already so" (ironic catch-redfish-409) or "not yet" (iDRAC for some
// seconds after an off: redfish-power-on-conflict-retry; iLO: sushy
// retry-ilo-not-ready), 5xx and time-outs may have worked all the same (ironic
// redfish-read-timeout); looking tells these apart.
func (c *Client) postReset(ctx context.Context, want PowerAction, goal PowerState, deadline time.Time) error {
	wait := newBackoff(time.Second, 15*time.Second)
	for try := 1; ; try++ {
		a, err := c.reset(ctx, want)
		if err == nil && a.ok() {
			return nil
		}
		if err != nil && (fault.ClassOf(err) != fault.Retryable || ctx.Err() != nil) {
			return err
		}
		var refusal *fault.Error
		if err != nil {
			refusal = fault.From(err)
		} else {
			refusal = c.resetFault(want, a)
		}
		state, err := c.Power(ctx)
		switch {
		case err != nil:
			return refusal // the first trouble says more than the second
		case state == goal && want != ForceRestart:
			return nil
		case state == PowerOff && want == ForceRestart:
			want = On // nothing runs that could be restarted
		case !worthRepeating(refusal, a) || try >= 8 || c.now().After(deadline):
			return refusal
		}
		if err := c.pause(ctx, wait.next()); err != nil {
			return transportFault(c.wire.base, err)
		}
	}
}

func worthRepeating(f *fault.Error, a *answer) bool {
	var unsupported *UnsupportedError
	if errors.As(f, &unsupported) {
		return false
	}
	return f.Class == fault.Retryable || a != nil && a.status == http.StatusBadRequest
}

// awaitPower reads the power until it is the goal or the deadline has passed,
// and gives the last state. One BMC may lag by more than 30 s (ironic-image
// issue 143). Failures to read are borne until the deadline.
func (c *Client) awaitPower(ctx context.Context, goal PowerState, deadline time.Time) (PowerState, error) {
	wait := newBackoff(200*time.Millisecond, 5*time.Second)
	for {
		state, err := c.Power(ctx)
		switch {
		case err == nil && state == goal:
			return state, nil
		case err != nil && (fault.ClassOf(err) != fault.Retryable || ctx.Err() != nil):
			return "", err
		case !c.now().Before(deadline):
			return state, err
		}
		if err := c.pause(ctx, wait.next()); err != nil {
			return "", transportFault(c.wire.base, err)
		}
	}
}

// backoff grows by half each time up to a limit.
type backoff struct{ d, most time.Duration }

func newBackoff(first, most time.Duration) *backoff { return &backoff{d: first, most: most} }

func (b *backoff) next() time.Duration {
	d := b.d
	b.d = min(b.d+b.d/2, b.most)
	return d
}
