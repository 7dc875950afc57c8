package cluster

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// ModifyPlan plans an update in place for a cluster that was left unfinished,
// and decides over the kubeconfig. It reads nothing but state and plan.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return // destroy
	}
	var plan Model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	set := func(name string, value attr.Value) {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(name), value)...)
	}
	var state *Model
	if !req.State.Raw.IsNull() {
		state = &Model{}
		resp.Diagnostics.Append(req.State.Get(ctx, state)...)
		if resp.Diagnostics.HasError() {
			return
		}
	}
	switch {
	case plan.ExposeKubeconfig.IsUnknown():
		set("kubeconfig", types.StringUnknown())
	case !plan.ExposeKubeconfig.ValueBool():
		set("kubeconfig", types.StringNull())
	case state != nil && state.Kubeconfig.IsNull():
		set("kubeconfig", types.StringUnknown())
	}
	if state == nil || state.Ready.ValueBool() {
		return
	}
	set("ready", types.BoolUnknown())
	set("phase", types.StringUnknown())
	set("nodes", types.ListUnknown(state.Nodes.ElementType(ctx)))
	if state.Endpoint.IsNull() {
		set("endpoint", types.StringUnknown())
	}
	if state.CACertificate.IsNull() {
		set("ca_certificate", types.StringUnknown())
	}
}
