package host

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/operation"
)

// private is the part of the private state that is used here.
type private interface {
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// work is one run of ApplyHost, of Create or of Update.
type work struct {
	pool    *connection.Pool
	model   *Model
	state   *tfsdk.State
	private private
	timeout time.Duration
	// which timeout it is: "create", "update".
	which string
	// power is what was planned: "on" for a host that was found off, else "".
	power string

	// status is the last that was seen.
	status host.Status
	// accepted: the agent has taken the host, so something may have been changed.
	accepted bool
}

// run applies the host and waits for the end. The state is saved after each
// change of phase, so that nothing but the last step is ever unknown.
func (w *work) run(ctx context.Context, recall *host.Status) error {
	bounded, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	err := w.apply(bounded, recall)
	switch {
	case err != nil:
		return operation.Explain(err, w.model.subject(), w.which, w.timeout, string(w.status.Phase))
	case w.done(w.status):
		return nil
	case w.status.Failure != nil:
		return w.status.Failure
	case settled(w.status):
		return stillOff(*w.model, w.status)
	}
	return fmt.Errorf("%s ended as %q without being ready", w.model.subject(), w.status.State)
}

// done says that the host is as it was planned.
func (w *work) done(s host.Status) bool {
	return settled(s) && (w.power == "" || s.Power == w.power)
}

// over says that waiting longer brings nothing. While a host is only to be
// switched on, idle is the end, whatever came of it.
func (w *work) over(s host.Status) bool {
	return w.done(s) || failed(s) || w.power != "" && !s.Busy
}

func (w *work) apply(ctx context.Context, recall *host.Status) error {
	spec, err := w.model.spec(ctx)
	if err != nil {
		return err
	}
	client, err := w.pool.AgentFor(ctx, w.model.Facility.ValueString(), spec.BMC.Credentials)
	if err != nil {
		return err
	}
	show := w.pool.Progress.Host(ctx)
	job := operation.Job[host.Status]{
		Apply: func(ctx context.Context) (host.Status, error) { return client.ApplyHost(ctx, spec, recall) },
		Await: func(ctx context.Context, after uint64, over func(host.Status) bool) (host.Status, error) {
			return client.AwaitHost(ctx, spec.Name, after, over)
		},
		Look:     func(ctx context.Context) (host.Status, error) { return client.Host(ctx, spec.Name, false) },
		Revision: func(s host.Status) uint64 { return s.Revision },
		See: func(ctx context.Context, s host.Status) {
			show(s)
			w.see(ctx, s)
		},
		Over: w.over,
	}
	w.accepted, err = job.Run(ctx)
	return err
}

// see saves what is known. It only fails on a schema that disagrees with the
// model, which the caller's own save then reports.
func (w *work) see(ctx context.Context, s host.Status) {
	changed := s.Phase != w.status.Phase || s.Busy != w.status.Busy || s.State != w.status.State
	w.status = s
	if changed {
		var ignored diag.Diagnostics
		w.save(ctx, &ignored)
	}
}

// save writes the model with the last status to state and private state.
func (w *work) save(ctx context.Context, diags *diag.Diagnostics) {
	if err := w.model.observe(ctx, w.status); err != nil {
		diags.AddError("The host's status could not be translated", err.Error())
		return
	}
	diags.Append(w.state.Set(ctx, w.model)...)
	diags.Append(remember(ctx, w.private, w.status)...)
}

func remember(ctx context.Context, p private, s host.Status) (diags diag.Diagnostics) {
	text, err := recallable(s)
	if err != nil {
		diags.AddError("What is known of the host could not be remembered", err.Error())
		return diags
	}
	return p.SetKey(ctx, recallKey, text)
}
