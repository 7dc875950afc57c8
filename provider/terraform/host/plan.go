package host

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// ModifyPlan plans an update in place where the configuration asks for none:
// for a host that was left unfinished, and for one that was found powered off.
// It reads nothing but the state.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.State.Raw.IsNull() || req.Plan.Raw.IsNull() {
		return // create, destroy
	}
	var state Model
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	unknown := map[string]any{}
	switch {
	case !state.Ready.ValueBool():
		unknown["ready"], unknown["phase"] = types.BoolUnknown(), types.StringUnknown()
		unknown["state"], unknown["power"] = types.StringUnknown(), types.StringUnknown()
		unknown["addresses"] = types.ListUnknown(types.StringType)
		unknown["hardware"] = types.ObjectUnknown(state.Hardware.AttributeTypes(ctx))
	case state.State.ValueString() == string(host.Provisioned) && state.Power.ValueString() == "off":
		unknown["power"] = types.StringValue("on")
		unknown["ready"], unknown["phase"] = types.BoolUnknown(), types.StringUnknown()
	}
	for name, value := range unknown {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root(name), value)...)
	}
}
