// Package cluster is the resource metal_cluster.
//
// It translates; how a cluster comes to be is package metal/cluster's.
package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/codec"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
)

// Model is metal_cluster in OpenTofu's types.
type Model struct {
	ID                types.String   `tfsdk:"id"`
	Facility          types.String   `tfsdk:"facility"`
	Name              types.String   `tfsdk:"name"`
	KubernetesVersion types.String   `tfsdk:"kubernetes_version"`
	Image             types.Object   `tfsdk:"image"`
	ControlPlane      types.String   `tfsdk:"control_plane"`
	Workers           types.Set      `tfsdk:"workers"`
	PodCIDR           types.String   `tfsdk:"pod_cidr"`
	ServiceCIDR       types.String   `tfsdk:"service_cidr"`
	NetworkManifest   types.String   `tfsdk:"network_manifest"`
	KubeadmConfig     types.String   `tfsdk:"kubeadm_config"`
	KubeadmPatches    types.Map      `tfsdk:"kubeadm_patches"`
	SSHAuthorizedKeys types.List     `tfsdk:"ssh_authorized_keys"`
	BootstrapTimeout  types.Int64    `tfsdk:"bootstrap_timeout_seconds"`
	ExposeKubeconfig  types.Bool     `tfsdk:"expose_kubeconfig"`
	Timeouts          timeouts.Value `tfsdk:"timeouts"`
	Endpoint          types.String   `tfsdk:"endpoint"`
	CACertificate     types.String   `tfsdk:"ca_certificate"`
	Nodes             types.List     `tfsdk:"nodes"`
	Phase             types.String   `tfsdk:"phase"`
	Ready             types.Bool     `tfsdk:"ready"`
	Kubeconfig        types.String   `tfsdk:"kubeconfig"`
}

func (m Model) identity() member.Identity {
	return member.Identity{Facility: m.Facility, Name: m.Name}
}

// subject names the cluster in messages.
func (m Model) subject() string { return fmt.Sprintf("cluster %q", m.Name.ValueString()) }

// spec is the library's form; what is unknown is left out.
func (m Model) spec(ctx context.Context) (cluster.Spec, error) {
	spec, err := codec.Decode[cluster.Spec](ctx, map[string]attr.Value{
		"name": m.Name, "kubernetes_version": m.KubernetesVersion, "image": m.Image, "control_plane": m.ControlPlane, "workers": m.Workers,
		"pod_cidr": m.PodCIDR, "service_cidr": m.ServiceCIDR, "network_manifest": m.NetworkManifest, "kubeadm_config": m.KubeadmConfig,
		"kubeadm_patches": m.KubeadmPatches, "ssh_authorized_keys": m.SSHAuthorizedKeys, "bootstrap_timeout_seconds": m.BootstrapTimeout,
	})
	slices.Sort(spec.Workers)
	return spec, err
}

// assume gives required values that are not known yet a valid form.
func (m Model) assume(ctx context.Context, spec *cluster.Spec) {
	if m.Name.IsUnknown() {
		spec.Name = "unknown"
	}
	if m.KubernetesVersion.IsUnknown() {
		spec.KubernetesVersion = "v1.36.0"
	}
	if m.ControlPlane.IsUnknown() {
		spec.ControlPlane = "unknown"
	}
	if !codec.Known(ctx, m.Image) {
		spec.Image.URL = cmp.Or(spec.Image.URL, "https://unknown.invalid")
		spec.Image.SHA256 = cmp.Or(spec.Image.SHA256, strings.Repeat("0", 64))
	}
}

// adopt fills the configurable attributes from a spec, for import.
func (m *Model) adopt(ctx context.Context, spec cluster.Spec) (err error) {
	attributes := Schema(ctx).Attributes
	if m.Image, err = codec.Encode[types.Object](ctx, attributes["image"].GetType(), spec.Image); err != nil {
		return err
	}
	if m.Workers, err = codec.Encode[types.Set](ctx, attributes["workers"].GetType(), spec.Workers); err != nil {
		return err
	}
	if m.KubeadmPatches, err = codec.Encode[types.Map](ctx, attributes["kubeadm_patches"].GetType(), spec.KubeadmPatches); err != nil {
		return err
	}
	if m.SSHAuthorizedKeys, err = codec.Encode[types.List](ctx, attributes["ssh_authorized_keys"].GetType(), spec.SSHAuthorizedKeys); err != nil {
		return err
	}
	m.KubernetesVersion = types.StringValue(spec.KubernetesVersion)
	m.ControlPlane = types.StringValue(spec.ControlPlane)
	m.PodCIDR = types.StringValue(cmp.Or(spec.PodCIDR, "10.244.0.0/16"))
	m.ServiceCIDR = types.StringValue(cmp.Or(spec.ServiceCIDR, "10.96.0.0/12"))
	m.NetworkManifest = member.Optional(spec.NetworkManifest)
	m.KubeadmConfig = member.Optional(spec.KubeadmConfig)
	if spec.BootstrapTimeoutSeconds != 0 {
		m.BootstrapTimeout = types.Int64Value(spec.BootstrapTimeoutSeconds)
	}
	m.ExposeKubeconfig = types.BoolValue(false)
	return nil
}

// observe fills the observed attributes. Of a cluster whose API server could
// not be asked, what was known before stays.
func (m *Model) observe(ctx context.Context, s cluster.Status) (err error) {
	m.ID = types.StringValue(member.ID(m.Facility.ValueString(), m.Name.ValueString()))
	blind := s.Unreachable != "" && !s.Busy && s.Failure == nil
	if !blind || m.Ready.IsNull() || m.Ready.IsUnknown() {
		m.Ready = types.BoolValue(settled(s))
		m.Phase = types.StringNull()
		if !settled(s) {
			m.Phase = member.Optional(string(s.Phase))
		}
	}
	if s.Endpoint != "" || m.Endpoint.IsUnknown() {
		m.Endpoint = member.Optional(s.Endpoint)
	}
	if s.CACertificate != "" || m.CACertificate.IsUnknown() {
		m.CACertificate = member.Optional(s.CACertificate)
	}
	if !blind || m.Nodes.IsNull() || m.Nodes.IsUnknown() {
		nodes := slices.SortedFunc(slices.Values(s.Nodes), func(a, b cluster.Node) int { return cmp.Compare(a.Name, b.Name) })
		if nodes == nil {
			nodes = []cluster.Node{}
		}
		m.Nodes, err = codec.Encode[types.List](ctx, Schema(ctx).Attributes["nodes"].GetType(), nodes)
	}
	if m.Kubeconfig.IsUnknown() {
		m.Kubeconfig = types.StringNull()
	}
	return err
}

// settled says that nothing is left to do.
func settled(s cluster.Status) bool { return s.Ready && !s.Busy && s.Failure == nil }

// failed says that the work has ended without reaching its goal. A cluster that
// is merely idle has not: its agent may have been restarted, which waiting notices.
func failed(s cluster.Status) bool { return !s.Busy && s.Failure != nil }
