package host

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/diagnosis"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/operation"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

// tainted is what becomes of a host whose first apply failed.
const tainted = "The host is kept in the state as tainted: the next apply gives it back and enrols it anew. " +
	"To continue where this one stopped instead, run `tofu untaint` on the resource and apply."

// Create enrols the host and waits until it is available.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	ctx = progress.Context(ctx)
	var m Model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	timeout, diags := m.Timeouts.Create(ctx, workTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	w := work{pool: r.pool, model: &m, state: &resp.State, private: resp.Private, timeout: timeout, which: "create",
		status: host.Status{Name: m.Name.ValueString(), State: host.Enrolling, Phase: host.PhaseConnect, Busy: true}}
	// The identity and wholly known values come before the first long step:
	// what is returned with an error must not hold unknown values.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, m.identity())...)
	w.save(ctx, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	err := w.run(ctx, nil)
	w.save(context.WithoutCancel(ctx), &resp.Diagnostics)
	doing := fmt.Sprintf("Creating %s", m.subject())
	switch end := operation.EndOf(ctx, err); {
	case end == operation.Done:
	case !w.accepted:
		// Nothing was begun: an object that was never made is not kept.
		resp.State.RemoveResource(ctx)
		reporter(ctx).Error(ctx, &resp.Diagnostics, doing, err, member.NotBegun)
	case end == operation.Interrupted:
		// An error would taint the host, and the next apply would then begin
		// with giving it back.
		summary, detail := diagnosis.Interrupted(m.subject(), fmt.Sprintf("It was at phase %q.", w.status.Phase))
		resp.Diagnostics.AddWarning(summary, detail+"\n\n"+phaseTable(w.status.Timings))
	default:
		reporter(ctx).Error(ctx, &resp.Diagnostics, doing, err, phaseTable(w.status.Timings), tainted)
	}
}
