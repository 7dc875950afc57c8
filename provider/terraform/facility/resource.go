package facility

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/provider/terraform/codec"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/diagnosis"
)

// timeout bounds every operation: an agent checks its segment and answers.
const timeout = 5 * time.Minute

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithUpgradeState   = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)

// Resource is metal_facility.
type Resource struct {
	pool *connection.Pool
}

// NewResource gives a metal_facility that is not yet configured.
func NewResource() resource.Resource { return &Resource{} }

// Metadata gives the type's name.
func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_facility"
}

// Schema gives the present schema.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = Schema()
}

// IdentitySchema names a facility by its agent.
func (r *Resource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"agent": identityschema.StringAttribute{RequiredForImport: true, Description: "URL of the agent."},
	}}
}

// UpgradeState has nothing to upgrade from: version 0 is the first.
func (r *Resource) UpgradeState(context.Context) map[int64]resource.StateUpgrader { return nil }

// Configure takes the provider's connections.
func (r *Resource) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	pool, err := connection.From(req.ProviderData)
	if err != nil {
		resp.Diagnostics.AddError("Unexpected provider data", err.Error())
		return
	}
	r.pool = pool
}

// ValidateConfig applies the library's own validation, offline, once every
// value that it looks at is known.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m Model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !codec.Known(ctx, m.Name, m.Networks, m.Services) {
		return
	}
	spec, err := m.spec(ctx)
	if err == nil {
		err = spec.Validate()
	}
	if err != nil {
		reporter().Error(ctx, &resp.Diagnostics, "The facility's configuration is not valid", err)
	}
}

// ModifyPlan plans an update in place for a facility that was left unfinished:
// its version is not known then.
func (r *Resource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.State.Raw.IsNull() || req.Plan.Raw.IsNull() {
		return
	}
	var version types.String
	resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("version"), &version)...)
	if !resp.Diagnostics.HasError() && version.IsNull() {
		resp.Diagnostics.Append(resp.Plan.SetAttribute(ctx, path.Root("version"), types.StringUnknown())...)
	}
}

// ImportState takes the agent's URL, as string or identity.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id := Identity{Agent: types.StringValue(req.ID)}
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.Get(ctx, &id)...)
		if resp.Diagnostics.HasError() {
			return
		}
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("agent"), id.Agent)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), id.Agent)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, id)...)
}

func reporter() diagnosis.Reporter { return diagnosis.Reporter{Schema: Schema()} }

func doing(verb string, m Model) string { return fmt.Sprintf("%s %s", verb, m.subject()) }
