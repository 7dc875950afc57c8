// Package kubeconfig is the ephemeral resource metal_kubeconfig: administrator
// access to a cluster that never enters state or plan.
//
// It translates; the certificates are package metal/cluster's.
package kubeconfig

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
)

// defaultTTL is short: a certificate can't be called back.
const defaultTTL = time.Hour

var (
	_ ephemeral.EphemeralResourceWithConfigure      = (*Resource)(nil)
	_ ephemeral.EphemeralResourceWithValidateConfig = (*Resource)(nil)
)

// Resource is metal_kubeconfig.
type Resource struct {
	pool *connection.Pool
}

// Model is metal_kubeconfig in OpenTofu's types.
type Model struct {
	Facility             types.String `tfsdk:"facility"`
	Cluster              types.String `tfsdk:"cluster"`
	TTL                  types.String `tfsdk:"ttl"`
	Kubeconfig           types.String `tfsdk:"kubeconfig"`
	Host                 types.String `tfsdk:"host"`
	ClusterCACertificate types.String `tfsdk:"cluster_ca_certificate"`
	ClientCertificate    types.String `tfsdk:"client_certificate"`
	ClientKey            types.String `tfsdk:"client_key"`
}

// NewResource gives a metal_kubeconfig that is not yet configured.
func NewResource() ephemeral.EphemeralResource { return &Resource{} }

// Metadata gives the type's name.
func (r *Resource) Metadata(_ context.Context, req ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_kubeconfig"
}

// Schema gives the schema.
func (r *Resource) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Administrator access to a cluster, made when it is needed and valid for `ttl`. It never enters state or plan: " +
			"use it to configure the `kubernetes` and `helm` providers, or for write-only attributes.",
		Attributes: map[string]schema.Attribute{
			"facility": schema.StringAttribute{Required: true, MarkdownDescription: "The `id` of the cluster's `metal_facility`."},
			"cluster":  schema.StringAttribute{Required: true, MarkdownDescription: "The `name` of the `metal_cluster`."},
			"ttl": schema.StringAttribute{Optional: true,
				MarkdownDescription: "How long the client certificate is valid, such as `30m`. Default `1h`."},
			"kubeconfig":             schema.StringAttribute{Computed: true, Sensitive: true, MarkdownDescription: "The whole as YAML."},
			"host":                   schema.StringAttribute{Computed: true, MarkdownDescription: "URL of the API server."},
			"cluster_ca_certificate": schema.StringAttribute{Computed: true, MarkdownDescription: "The cluster's certificate authority in PEM."},
			"client_certificate":     schema.StringAttribute{Computed: true, Sensitive: true, MarkdownDescription: "Client certificate in PEM."},
			"client_key":             schema.StringAttribute{Computed: true, Sensitive: true, MarkdownDescription: "Client key in PEM."},
		},
	}
}

// Configure takes the provider's connections.
func (r *Resource) Configure(_ context.Context, req ephemeral.ConfigureRequest, resp *ephemeral.ConfigureResponse) {
	pool, err := connection.From(req.ProviderData)
	if err != nil {
		resp.Diagnostics.AddError("Unexpected provider data", err.Error())
		return
	}
	r.pool = pool
}

// ValidateConfig checks the form of ttl, offline.
func (r *Resource) ValidateConfig(ctx context.Context, req ephemeral.ValidateConfigRequest, resp *ephemeral.ValidateConfigResponse) {
	var m Model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if _, err := m.ttl(); err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("ttl"), "The time to live is not valid", fault.From(err).Detail())
	}
}

func (m Model) ttl() (time.Duration, error) {
	if m.TTL.IsNull() || m.TTL.IsUnknown() {
		return defaultTTL, nil
	}
	ttl, err := time.ParseDuration(m.TTL.ValueString())
	if err != nil || ttl < time.Minute {
		return 0, fault.Invalid("ttl", "not a time to live", fmt.Sprintf("%q", m.TTL.ValueString()), `a duration of at least a minute, such as "30m" or "8h"`)
	}
	return ttl, nil
}

// Open makes the kubeconfig.
func (r *Resource) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m Model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := r.open(ctx, &m); err != nil {
		f := fault.From(err)
		resp.Diagnostics.AddError(fmt.Sprintf("Making a kubeconfig for cluster %q", m.Cluster.ValueString()), f.Summary+".\n\n"+f.Detail())
		return
	}
	resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
}

func (r *Resource) open(ctx context.Context, m *Model) error {
	ttl, err := m.ttl()
	if err != nil {
		return err
	}
	client, err := r.pool.Agent(ctx, m.Facility.ValueString())
	if err != nil {
		return err
	}
	text, err := client.Kubeconfig(ctx, m.Cluster.ValueString(), ttl)
	if err != nil {
		return err
	}
	access, err := parse(text)
	if err != nil {
		return err
	}
	m.Kubeconfig = types.StringValue(string(text))
	m.Host = types.StringValue(access.host)
	m.ClusterCACertificate = types.StringValue(access.ca)
	m.ClientCertificate = types.StringValue(access.certificate)
	m.ClientKey = types.StringValue(access.key)
	return nil
}
