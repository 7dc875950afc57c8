// Package facility is the resource metal_facility.
//
// It translates; what a facility does is package metal/facility's.
package facility

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/codec"
)

// Model is metal_facility in OpenTofu's types.
type Model struct {
	ID       types.String `tfsdk:"id"`
	Name     types.String `tfsdk:"name"`
	Agent    types.String `tfsdk:"agent"`
	Networks types.List   `tfsdk:"networks"`
	Services types.Object `tfsdk:"services"`
	Version  types.String `tfsdk:"version"`
}

// Identity is what names a facility for import.
type Identity struct {
	Agent types.String `tfsdk:"agent"`
}

func (m Model) subject() string { return fmt.Sprintf("facility %q", m.Name.ValueString()) }

// spec is the library's form; what is unknown is left out.
func (m Model) spec(ctx context.Context) (facility.Spec, error) {
	return codec.Decode[facility.Spec](ctx, map[string]attr.Value{"name": m.Name, "networks": m.Networks, "services": m.Services})
}

// adopt fills the configurable attributes from a spec, for import.
func (m *Model) adopt(ctx context.Context, spec facility.Spec) (err error) {
	attributes := Schema().Attributes
	m.Name = types.StringValue(spec.Name)
	if m.Networks, err = codec.Encode[types.List](ctx, attributes["networks"].GetType(), spec.Networks); err != nil {
		return err
	}
	m.Services, err = codec.Encode[types.Object](ctx, attributes["services"].GetType(), spec.Services)
	return err
}
