package facility

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// DefaultAgent runs the agent inside the provider, with its state in a folder
// of the root module.
const DefaultAgent = "embedded:.metal"

// Schema of metal_facility, version 0.
func Schema() schema.Schema {
	replace := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	return schema.Schema{
		Version: 0,
		MarkdownDescription: "One site: its networks, address pools and boot services, served by one agent. Creating it connects to the agent, " +
			"checks the segment (another DHCP server, ports, addresses) and starts the services. " +
			"Destroying it stops them; it refuses while hosts or clusters are left.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{Required: true, PlanModifiers: replace,
				MarkdownDescription: "The facility's name: an RFC 1123 label."},
			"agent": schema.StringAttribute{Optional: true, Computed: true, PlanModifiers: replace, Default: stringdefault.StaticString(DefaultAgent),
				MarkdownDescription: "URL of the agent, without secrets: `embedded:<folder>` runs it inside the provider for as long as OpenTofu runs, with its state in that folder; " +
					"`unix:///run/metal/agent.sock` is one that runs on its own. Default `" + DefaultAgent + "`."},
			"networks": schema.ListNestedAttribute{Required: true, NestedObject: schema.NestedAttributeObject{Attributes: network()},
				MarkdownDescription: "The L2 segments on which hosts boot; at least one."},
			"services": schema.SingleNestedAttribute{Required: true, Attributes: services(),
				MarkdownDescription: "How the boot services are served."},
			"id": schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "The agent's URL: what `metal_host` and `metal_cluster` refer to, and the string to import by."},
			"version": schema.StringAttribute{Computed: true, MarkdownDescription: "The agent's version."},
		},
	}
}

func network() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name": schema.StringAttribute{Required: true, MarkdownDescription: "Unique in the facility: an RFC 1123 label."},
		"cidr": schema.StringAttribute{Required: true, MarkdownDescription: "The subnet, such as `172.30.0.0/24`."},
		"gateway": schema.StringAttribute{Optional: true,
			MarkdownDescription: "Default router of the hosts."},
		"dns": schema.ListAttribute{Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Name servers of the hosts."},
		"pool": schema.ListAttribute{Required: true, ElementType: types.StringType,
			MarkdownDescription: "Ranges that addresses are claimed from, as CIDR or `first-last`, inside `cidr`."},
		"agent_address": schema.StringAttribute{Required: true,
			MarkdownDescription: "The agent's own address in `cidr`, on one of its interfaces."},
	}
}

func services() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"installer": schema.StringAttribute{Required: true,
			MarkdownDescription: "Folder on the agent's machine with the installer's files."},
		"http_port": schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(8080),
			MarkdownDescription: "Serves boot files and images. Default 8080."},
		"tls_port": schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(8443),
			MarkdownDescription: "Serves the installer protocol. Default 8443."},
		"dhcp": schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString("authoritative"),
			MarkdownDescription: "`authoritative` (default): the agent is the segment's only DHCP server, answers known hosts only, and refuses to start beside another server. " +
				"`off`: addresses and boot files come from elsewhere."},
	}
}
