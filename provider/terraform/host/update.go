package host

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/operation"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

// Update brings the host to what the configuration says, which includes
// continuing an interrupted Create and switching on a host that was found off.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	ctx = progress.Context(ctx)
	var plan, m Model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	text, diags := req.Private.GetKey(ctx, recallKey)
	resp.Diagnostics.Append(diags...)
	timeout, diags := plan.Timeouts.Update(ctx, workTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	recall, err := recalled(text)
	if err != nil {
		resp.Diagnostics.AddError("Updating "+m.subject(), err.Error())
		return
	}
	before := m
	m = plan
	m.Power, m.Hardware = before.Power, before.Hardware
	w := work{pool: r.pool, model: &m, state: &resp.State, private: resp.Private, timeout: timeout, which: "update",
		power: plan.Power.ValueString()}
	// Until the agent has said more, what was known before holds: an error
	// must not return unknown values, nor pretend that the change was made.
	resp.Diagnostics.Append(resp.State.Set(ctx, before)...)
	err = w.run(ctx, recall)
	if w.accepted {
		w.save(context.WithoutCancel(ctx), &resp.Diagnostics)
	}
	switch doing := fmt.Sprintf("Updating %s", m.subject()); operation.EndOf(ctx, err) {
	case operation.Done:
		m.keepPlanned(plan)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	case operation.Interrupted:
		// An error of an update does not taint: the object is kept as it is saved.
		resp.Diagnostics.AddError(doing, fmt.Sprintf("The run was interrupted at phase %q. The next apply continues in place.\n\n%s",
			w.status.Phase, phaseTable(w.status.Timings)))
	case operation.Failed:
		reporter(ctx).Error(ctx, &resp.Diagnostics, doing, err, phaseTable(w.status.Timings), member.Continues)
	}
}

func stillOff(m Model, s host.Status) error {
	return &fault.Error{Class: fault.NeedsPerson, Subject: m.subject(), Summary: "the host could not be switched on",
		Seen: fmt.Sprintf("power %q", s.Power), Expected: `power "on"`,
		Advice: "look at the BMC's event log; switch the host on by hand and apply again"}
}
