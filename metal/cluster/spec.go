package cluster

import (
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/image"
)

// Spec is what a front end wants of a cluster.
type Spec struct {
	// Name is an RFC 1123 label.
	Name string `json:"name"`
	// KubernetesVersion is a full version, "v1.36.4"; the image carries it.
	KubernetesVersion string `json:"kubernetes_version"`
	// Image is the operating system for all hosts of the cluster.
	Image image.Source `json:"image"`
	// ControlPlane is the name of the host that runs the control plane.
	ControlPlane string `json:"control_plane"`
	// Workers are names of hosts; their order has no meaning.
	Workers []string `json:"workers,omitempty"`
	// PodCIDR and ServiceCIDR default to 10.244.0.0/16 and 10.96.0.0/12.
	PodCIDR     string `json:"pod_cidr,omitempty"`
	ServiceCIDR string `json:"service_cidr,omitempty"`
	// NetworkManifest is the YAML of the network plugin; it is applied by
	// server-side apply once the API server answers. Without it nodes stay
	// NotReady and the cluster counts as bootstrapped when they have joined.
	NetworkManifest string `json:"network_manifest,omitempty"`
	// KubeadmConfig is YAML whose documents (ClusterConfiguration,
	// InitConfiguration, JoinConfiguration, KubeletConfiguration,
	// KubeProxyConfiguration) are merged over the generated ones.
	KubeadmConfig string `json:"kubeadm_config,omitempty"`
	// KubeadmPatches are files for kubeadm's patches directory, by name
	// ("kube-apiserver0+merge.yaml").
	KubeadmPatches map[string]string `json:"kubeadm_patches,omitempty"`
	// SSHAuthorizedKeys are added to the image's default user.
	SSHAuthorizedKeys []string `json:"ssh_authorized_keys,omitempty"`
	// BootstrapTimeoutSeconds is from the first boot order to all nodes Ready.
	// Default 3600.
	BootstrapTimeoutSeconds int64 `json:"bootstrap_timeout_seconds,omitempty"`
}

// Status is what is known of a cluster. It holds no secret.
type Status struct {
	Name string `json:"name"`
	// Phase is "preflight", "provisioning", "initializing", "joining",
	// "ready", "deleting"; see the Phase constants.
	Phase    Phase  `json:"phase"`
	Revision uint64 `json:"revision"`
	Busy     bool   `json:"busy"`
	Ready    bool   `json:"ready"`
	// Failure is why the last work ended without reaching its goal.
	Failure *fault.Error `json:"failure,omitempty"`
	// Endpoint is "https://address:6443".
	Endpoint string `json:"endpoint,omitempty"`
	// CACertificate is the cluster's CA in PEM.
	CACertificate string `json:"ca_certificate,omitempty"`
	Nodes         []Node `json:"nodes,omitempty"`
	// Unreachable is why the API server could not be asked at the last look.
	Unreachable string `json:"unreachable,omitempty"`
}

// Phase is the step a cluster is at.
type Phase string

// The phases of a cluster.
const (
	PhasePreflight    Phase = "preflight"
	PhaseProvisioning Phase = "provisioning"
	PhaseInitializing Phase = "initializing"
	PhaseJoining      Phase = "joining"
	PhaseReady        Phase = "ready"
	PhaseDeleting     Phase = "deleting"
)

// Node is one member of the cluster as its API server shows it.
type Node struct {
	Name    string `json:"name"`
	Host    string `json:"host"`
	Role    string `json:"role"`
	Address string `json:"address"`
	Version string `json:"version"`
	Ready   bool   `json:"ready"`
}
