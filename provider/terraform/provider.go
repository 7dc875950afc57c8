package terraform

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	metalfacility "github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/cluster"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/credential"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/facility"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/host"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/kubeconfig"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

var (
	_ provider.Provider                       = (*Provider)(nil)
	_ provider.ProviderWithEphemeralResources = (*Provider)(nil)
)

// Provider is the provider "metal".
type Provider struct {
	version string
	dial    connection.Dial
	environ func() []string
	opened  func(*connection.Pool)
}

// Model is the provider block in OpenTofu's types.
type Model struct {
	Credentials      types.Map    `tfsdk:"credentials"`
	CredentialsDir   types.String `tfsdk:"credentials_dir"`
	EventLog         types.String `tfsdk:"event_log"`
	ParallelRequests types.Int64  `tfsdk:"parallel_requests"`
}

// Metadata gives the provider's name, which begins every type's.
func (p *Provider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "metal", p.version
}

// Schema describes the provider block.
func (p *Provider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Turns racks of servers into Kubernetes clusters, and gives every server back as it was found.",
		Attributes: map[string]schema.Attribute{
			"credentials": schema.MapNestedAttribute{Optional: true, Sensitive: true,
				MarkdownDescription: "BMC usernames and passwords by name; may be ephemeral values. They are offered to agents at run time and never enter state or plan. " +
					"A name that is not here is looked up in the environment (`METAL_BMC_<NAME>_USERNAME` and `METAL_BMC_<NAME>_PASSWORD`, the name in upper case with `_` for `-`), then in `credentials_dir`.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"username": schema.StringAttribute{Required: true, Sensitive: true, MarkdownDescription: "Username."},
					"password": schema.StringAttribute{Required: true, Sensitive: true, MarkdownDescription: "Password."},
				}}},
			"credentials_dir": schema.StringAttribute{Optional: true,
				MarkdownDescription: "Folder with files `<name>.json` of the form `{\"username\": ..., \"password\": ...}`, or folders `<name>` with files `username` and `password`."},
			"event_log": schema.StringAttribute{Optional: true,
				MarkdownDescription: "File that progress is appended to, one JSON object per line. OpenTofu itself shows none; `tail -f` this."},
			"parallel_requests": schema.Int64Attribute{Optional: true, Validators: []validator.Int64{int64validator.AtLeast(1)},
				MarkdownDescription: "How many requests to one facility's agent are under way at once, whatever `-parallelism` is. Default 16."},
		},
	}
}

// Configure prepares the connections; nothing is dialled before it is needed.
func (p *Provider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var m Model
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	block := map[string]metalfacility.Credentials{}
	for name, value := range m.Credentials.Elements() {
		object, ok := value.(types.Object)
		if !ok || object.IsUnknown() {
			continue // known at apply
		}
		username, _ := object.Attributes()["username"].(types.String)
		password, _ := object.Attributes()["password"].(types.String)
		if username.IsUnknown() || password.IsUnknown() {
			continue
		}
		block[name] = metalfacility.Credentials{Username: username.ValueString(), Password: password.ValueString()}
	}
	events, err := progress.Open(m.EventLog.ValueString())
	if err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("event_log"), "The event log can't be opened", err.Error())
		return
	}
	pool := &connection.Pool{
		Dial:        p.dial,
		Credentials: credential.Source{Block: block, Environment: p.environ(), Dir: m.CredentialsDir.ValueString()},
		Parallel:    int(m.ParallelRequests.ValueInt64()),
		Progress:    events,
	}
	p.opened(pool)
	resp.ResourceData, resp.DataSourceData, resp.EphemeralResourceData = pool, pool, pool
}

// Resources are all of them.
func (p *Provider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{facility.NewResource, host.NewResource, cluster.NewResource}
}

// EphemeralResources are all of them.
func (p *Provider) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{kubeconfig.NewResource}
}

// DataSources are none: what a resource shows is its attributes.
func (p *Provider) DataSources(context.Context) []func() datasource.DataSource { return nil }
