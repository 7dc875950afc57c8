package cluster

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/diagnosis"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/operation"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

// untaint is what to do about a first apply that failed.
const untaint = "The cluster is kept in the state as tainted: the next apply would take it down and build it anew. " +
	"To continue where this one stopped instead, run `tofu untaint` on the resource and apply."

// Create builds the cluster and waits until it is ready.
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
	exposed := m.Kubeconfig
	w := work{pool: r.pool, model: &m, state: &resp.State, timeout: timeout, which: "create",
		status: cluster.Status{Name: m.Name.ValueString(), Phase: cluster.PhasePreflight, Busy: true}}
	// The identity and wholly known values come before the first long step:
	// what is returned with an error must not hold unknown values.
	resp.Diagnostics.Append(resp.Identity.Set(ctx, m.identity())...)
	w.save(ctx, &resp.Diagnostics)
	if resp.Diagnostics.HasError() {
		return
	}
	m.Kubeconfig = exposed
	err := w.run(ctx)
	w.save(context.WithoutCancel(ctx), &resp.Diagnostics)
	doing := fmt.Sprintf("Creating %s", m.subject())
	switch end := operation.EndOf(ctx, err); {
	case end == operation.Done:
	case !w.accepted:
		// Nothing was begun: an object that was never made is not kept.
		resp.State.RemoveResource(ctx)
		reporter(ctx).Error(ctx, &resp.Diagnostics, doing, err, member.NotBegun)
	case end == operation.Interrupted:
		// An error would taint the cluster, and the next apply would then take it down.
		summary, detail := diagnosis.Interrupted(m.subject(), fmt.Sprintf("It was at phase %q.", w.status.Phase))
		resp.Diagnostics.AddWarning(summary, detail)
	default:
		reporter(ctx).Error(ctx, &resp.Diagnostics, doing, err, untaint)
	}
}

// Update scales the cluster, or continues an unfinished Create.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	ctx = progress.Context(ctx)
	var plan, before Model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &before)...)
	timeout, diags := plan.Timeouts.Update(ctx, workTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	m := plan
	// Until the agent has said more, what was known before holds: an error
	// must not return unknown values, nor pretend that the change was made.
	resp.Diagnostics.Append(resp.State.Set(ctx, before)...)
	w := work{pool: r.pool, model: &m, state: &resp.State, timeout: timeout, which: "update"}
	err := w.run(ctx)
	if w.accepted {
		w.save(context.WithoutCancel(ctx), &resp.Diagnostics)
	}
	switch doing := fmt.Sprintf("Updating %s", m.subject()); operation.EndOf(ctx, err) {
	case operation.Done:
		m.keepPlanned(plan)
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	case operation.Interrupted:
		// An error of an update does not taint: the object is kept as it is saved.
		resp.Diagnostics.AddError(doing, fmt.Sprintf("The run was interrupted at phase %q. The next apply continues in place.", w.status.Phase))
	case operation.Failed:
		reporter(ctx).Error(ctx, &resp.Diagnostics, doing, err, member.Continues)
	}
}

// keepPlanned puts back what the plan promised: OpenTofu refuses any other
// value after apply. The next refresh shows what is seen.
func (m *Model) keepPlanned(plan Model) {
	for _, attribute := range []struct{ have, want *types.String }{
		{&m.Endpoint, &plan.Endpoint}, {&m.CACertificate, &plan.CACertificate}, {&m.Kubeconfig, &plan.Kubeconfig},
	} {
		if !attribute.want.IsUnknown() {
			*attribute.have = *attribute.want
		}
	}
	if !plan.Nodes.IsUnknown() {
		m.Nodes = plan.Nodes
	}
}
