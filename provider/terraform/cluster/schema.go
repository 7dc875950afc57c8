package cluster

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Schema of metal_cluster, version 0.
func Schema(ctx context.Context) schema.Schema {
	attributes := configured(ctx)
	for name, attribute := range observed() {
		attributes[name] = attribute
	}
	return schema.Schema{
		Version: 0,
		MarkdownDescription: "A kubeadm Kubernetes cluster on hosts of one facility. It makes no hosts of its own: it names them.\n\n" +
			"Its phases are `preflight` (checks, nothing is changed), `provisioning` (the image is written to the hosts), `initializing` " +
			"(`kubeadm init`), `joining` (the workers) and `ready`; destroying it is `deleting` (hosts switched off and wiped as their " +
			"`wipe` says). An interrupted apply is continued in place by the next one. A *failed* first apply marks the resource as tainted, and the next " +
			"apply would build it anew; to continue instead, run `tofu untaint` on it and apply.",
		Attributes: attributes,
	}
}

func configured(ctx context.Context) map[string]schema.Attribute {
	replace := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	return map[string]schema.Attribute{
		"facility": schema.StringAttribute{Required: true, PlanModifiers: replace,
			MarkdownDescription: "The `id` of the `metal_facility` that the hosts belong to."},
		"name": schema.StringAttribute{Required: true, PlanModifiers: replace,
			MarkdownDescription: "The cluster's name: an RFC 1123 label."},
		"kubernetes_version": schema.StringAttribute{Required: true, PlanModifiers: replace,
			MarkdownDescription: "Full version, such as `v1.36.4`; the image carries it."},
		"image": schema.SingleNestedAttribute{Required: true, Attributes: image(), PlanModifiers: []planmodifier.Object{objectplanmodifier.RequiresReplace()},
			MarkdownDescription: "The operating system for all hosts of the cluster."},
		"control_plane": schema.StringAttribute{Required: true, PlanModifiers: replace,
			MarkdownDescription: "`name` of the `metal_host` that runs the control plane."},
		"workers": schema.SetAttribute{Optional: true, ElementType: types.StringType,
			MarkdownDescription: "`name`s of the `metal_host`s that run workloads. Adding and removing them changes the cluster in place."},
		"pod_cidr": schema.StringAttribute{Optional: true, Computed: true, PlanModifiers: replace, Default: stringdefault.StaticString("10.244.0.0/16"),
			MarkdownDescription: "Addresses of pods. Default `10.244.0.0/16`."},
		"service_cidr": schema.StringAttribute{Optional: true, Computed: true, PlanModifiers: replace, Default: stringdefault.StaticString("10.96.0.0/12"),
			MarkdownDescription: "Addresses of services. Default `10.96.0.0/12`."},
		"network_manifest": schema.StringAttribute{Optional: true,
			MarkdownDescription: "YAML of the network plugin, applied once the API server answers. Without it nodes stay `NotReady`, and the cluster is ready when they have joined."},
		"kubeadm_config": schema.StringAttribute{Optional: true,
			MarkdownDescription: "YAML whose kubeadm documents (`ClusterConfiguration`, `InitConfiguration`, `JoinConfiguration`, `KubeletConfiguration`, `KubeProxyConfiguration`) " +
				"are merged over the generated ones. A change counts for nodes that join later."},
		"kubeadm_patches": schema.MapAttribute{Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Files for kubeadm's patches directory, by name (`kube-apiserver0+merge.yaml`). A change counts for nodes that join later."},
		"ssh_authorized_keys": schema.ListAttribute{Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Public keys for the image's default user. A change counts for nodes that join later."},
		"bootstrap_timeout_seconds": schema.Int64Attribute{Optional: true,
			MarkdownDescription: "From the first boot order to all nodes being ready. Default 3600."},
		"expose_kubeconfig": schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "Puts an administrator's kubeconfig, valid for a year, into the attribute `kubeconfig` and so *into the state*. " +
				"Prefer the ephemeral resource `metal_kubeconfig`. Default `false`."},
		"timeouts": timeouts.Attributes(ctx, timeouts.Opts{Create: true, Read: true, Update: true, Delete: true,
			CreateDescription: "Default `2h`.", ReadDescription: "Default `2m`.", UpdateDescription: "Default `2h`.", DeleteDescription: "Default `2h`."}),
	}
}

func image() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"url": schema.StringAttribute{Required: true,
			MarkdownDescription: "`https://`, `http://` or `file://` (a path on the agent's machine)."},
		"sha256": schema.StringAttribute{Required: true,
			MarkdownDescription: "Digest, in hex, of the bytes at `url` (compressed, if the file is)."},
		"format": schema.StringAttribute{Optional: true,
			MarkdownDescription: "`raw`, `zstd` or `gzip`; by the file's magic number when left out."},
	}
}

func observed() map[string]schema.Attribute {
	keep := []planmodifier.String{stringplanmodifier.UseStateForUnknown()}
	return map[string]schema.Attribute{
		"id": schema.StringAttribute{Computed: true, PlanModifiers: keep,
			MarkdownDescription: "`<facility>#<name>`; also the string to import by."},
		"endpoint": schema.StringAttribute{Computed: true, PlanModifiers: keep,
			MarkdownDescription: "URL of the API server."},
		"ca_certificate": schema.StringAttribute{Computed: true, PlanModifiers: keep,
			MarkdownDescription: "The cluster's certificate authority in PEM."},
		"nodes": schema.ListNestedAttribute{Computed: true, NestedObject: schema.NestedAttributeObject{Attributes: node()},
			MarkdownDescription: "The nodes as the API server shows them, by name."},
		"phase": schema.StringAttribute{Computed: true, MarkdownDescription: "Where the cluster was left unfinished; null when `ready`."},
		"ready": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether the cluster is as it should be. While `false`, the next apply continues in place."},
		"kubeconfig": schema.StringAttribute{Computed: true, Sensitive: true, PlanModifiers: keep,
			MarkdownDescription: "An administrator's kubeconfig; null unless `expose_kubeconfig`."},
	}
}

func node() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name":    schema.StringAttribute{Computed: true, MarkdownDescription: "The node's name."},
		"host":    schema.StringAttribute{Computed: true, MarkdownDescription: "The `metal_host` it runs on."},
		"role":    schema.StringAttribute{Computed: true, MarkdownDescription: "`control-plane` or `worker`."},
		"address": schema.StringAttribute{Computed: true, MarkdownDescription: "Its address."},
		"version": schema.StringAttribute{Computed: true, MarkdownDescription: "Its kubelet's version."},
		"ready":   schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it is `Ready`."},
	}
}
