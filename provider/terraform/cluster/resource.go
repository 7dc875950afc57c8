package cluster

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/diagnosis"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
)

// Default timeouts.
const (
	workTimeout = 2 * time.Hour
	readTimeout = 2 * time.Minute
)

// exposedTTL is how long a kubeconfig that is kept in the state is valid: as
// long as kubeadm's own certificates.
const exposedTTL = 365 * 24 * time.Hour

var (
	_ resource.ResourceWithConfigure      = (*Resource)(nil)
	_ resource.ResourceWithIdentity       = (*Resource)(nil)
	_ resource.ResourceWithImportState    = (*Resource)(nil)
	_ resource.ResourceWithModifyPlan     = (*Resource)(nil)
	_ resource.ResourceWithUpgradeState   = (*Resource)(nil)
	_ resource.ResourceWithValidateConfig = (*Resource)(nil)
)

// Resource is metal_cluster.
type Resource struct {
	pool *connection.Pool
}

// NewResource gives a metal_cluster that is not yet configured.
func NewResource() resource.Resource { return &Resource{} }

// Metadata gives the type's name.
func (r *Resource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_cluster"
}

// Schema gives the present schema.
func (r *Resource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = Schema(ctx)
}

// IdentitySchema names a cluster by its facility and its name.
func (r *Resource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = member.IdentitySchema("cluster")
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

// ValidateConfig applies the library's own validation, offline. A required value
// that is not known yet is assumed to be right: it is validated again when it is.
func (r *Resource) ValidateConfig(ctx context.Context, req resource.ValidateConfigRequest, resp *resource.ValidateConfigResponse) {
	var m Model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	spec, err := m.spec(ctx)
	if err == nil {
		m.assume(ctx, &spec)
		err = spec.Validate()
	}
	if err != nil {
		reporter(ctx).Error(ctx, &resp.Diagnostics, "The cluster's configuration is not valid", err)
	}
}

// ImportState takes "<facility id>#<name>" or the identity.
func (r *Resource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	member.Import(ctx, req, resp)
}

func reporter(ctx context.Context) diagnosis.Reporter {
	return diagnosis.Reporter{Schema: Schema(ctx), Renamed: member.Renamed}
}
