package kubeadm

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"time"

	"sigs.k8s.io/yaml"
)

const (
	kubeadmAPI = "kubeadm.k8s.io/v1beta4"
	kubeletAPI = "kubelet.config.k8s.io/v1beta1"
	proxyAPI   = "kubeproxy.config.k8s.io/v1alpha1"
)

// The kinds of documents that are made and that users' documents merge into.
const (
	KindCluster = "ClusterConfiguration"
	KindInit    = "InitConfiguration"
	KindJoin    = "JoinConfiguration"
	KindKubelet = "KubeletConfiguration"
	KindProxy   = "KubeProxyConfiguration"
)

// Paths on a node.
const (
	// CertificatesDir is kubeadm's own default.
	CertificatesDir = "/etc/kubernetes/pki"
	// PatchesDir holds kubeadm's patches; it stays, so that a later
	// `kubeadm upgrade` finds them.
	PatchesDir = "/etc/kubernetes/patches"
	// APIPort is where API servers listen.
	APIPort = 6443
	// TokenTTL is the life of a bootstrap token.
	TokenTTL = 24 * time.Hour
)

const (
	defaultCRISocket = "unix:///run/containerd/containerd.sock"
	defaultEtcdData  = "/var/lib/etcd"
)

// Cluster is what the documents of all nodes have in common.
type Cluster struct {
	Name    string
	Version Version
	// Endpoint is where the API server is reached.
	Endpoint    netip.AddrPort
	PodCIDR     string
	ServiceCIDR string
	// Config is the user's documents, merged over ours: see Merge.
	Config *UserConfig
	// Patches are files of kubeadm's patches directory, by name.
	Patches map[string]string
	// Token and CAHash let workers join. The token is a secret.
	Token  Token
	CAHash string
	// DiscoveryTimeout is how long a worker waits for the API server to come
	// up, while the control plane is made at the same time.
	DiscoveryTimeout time.Duration
}

// Node is what is special about one node.
type Node struct {
	// Name is the node's and the host's name.
	Name string
	// MAC is the port that has Address.
	MAC     string
	Address netip.Prefix
	// Gateway is invalid when there is none.
	Gateway netip.Addr
	DNS     []netip.Addr
	// ControlPlane makes it the first control plane; otherwise it is a worker.
	ControlPlane bool
}

type typeMeta struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

type arg struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type nodeRegistration struct {
	Name             string `json:"name"`
	CRISocket        string `json:"criSocket"`
	KubeletExtraArgs []arg  `json:"kubeletExtraArgs,omitempty"`
}

type timeouts struct {
	Discovery    string `json:"discovery,omitempty"`
	TLSBootstrap string `json:"tlsBootstrap,omitempty"`
}

type patches struct {
	Directory string `json:"directory"`
}

type bootstrapToken struct {
	Token  string   `json:"token"`
	TTL    string   `json:"ttl"`
	Groups []string `json:"groups"`
	Usages []string `json:"usages"`
}

type initConfiguration struct {
	typeMeta
	BootstrapTokens  []bootstrapToken `json:"bootstrapTokens"`
	LocalAPIEndpoint struct {
		AdvertiseAddress string `json:"advertiseAddress"`
		BindPort         int    `json:"bindPort"`
	} `json:"localAPIEndpoint"`
	NodeRegistration nodeRegistration `json:"nodeRegistration"`
	Patches          *patches         `json:"patches,omitempty"`
}

type clusterConfiguration struct {
	typeMeta
	ClusterName          string `json:"clusterName"`
	KubernetesVersion    string `json:"kubernetesVersion"`
	ControlPlaneEndpoint string `json:"controlPlaneEndpoint"`
	CertificatesDir      string `json:"certificatesDir"`
	EncryptionAlgorithm  string `json:"encryptionAlgorithm"`
	Networking           struct {
		PodSubnet     string `json:"podSubnet"`
		ServiceSubnet string `json:"serviceSubnet"`
	} `json:"networking"`
}

type joinConfiguration struct {
	typeMeta
	Discovery struct {
		BootstrapToken struct {
			APIServerEndpoint string   `json:"apiServerEndpoint"`
			Token             string   `json:"token"`
			CACertHashes      []string `json:"caCertHashes"`
		} `json:"bootstrapToken"`
	} `json:"discovery"`
	NodeRegistration nodeRegistration `json:"nodeRegistration"`
	Patches          *patches         `json:"patches,omitempty"`
	Timeouts         timeouts         `json:"timeouts"`
}

type kubeletConfiguration struct {
	typeMeta
	CgroupDriver string `json:"cgroupDriver"`
}

type kubeProxyConfiguration struct {
	typeMeta
}

// Documents are the configuration of one node's kubeadm.
type Documents struct {
	// YAML is what `kubeadm --config` reads. It holds the bootstrap token.
	YAML Secret
	// CRISocket is the path of the container runtime's socket.
	CRISocket string
	// EtcdData is the folder of the local etcd member.
	EtcdData string
	// setsResolvConf says that the user's documents choose the kubelet's
	// resolv.conf.
	setsResolvConf bool
}

// NewDocuments makes the documents of n: for the control plane Init-, Cluster-,
// Kubelet- and KubeProxyConfiguration, for a worker JoinConfiguration (it
// fetches the others from the cluster), each with the user's merged over it.
func NewDocuments(c Cluster, n Node) (Documents, error) {
	out := Documents{EtcdData: defaultEtcdData}
	var buf bytes.Buffer
	for _, d := range generated(c, n) {
		merged, err := c.Config.merge(d.kind, d.value)
		if err != nil {
			return Documents{}, err
		}
		if s, ok := text(merged, "nodeRegistration", "criSocket"); ok {
			out.CRISocket = socketPath(s)
		}
		if s, ok := text(merged, "etcd", "local", "dataDir"); ok {
			out.EtcdData = s
		}
		y, err := yaml.Marshal(merged)
		if err != nil {
			return Documents{}, fmt.Errorf("encoding %s: %w", d.kind, err)
		}
		if buf.Len() > 0 {
			buf.WriteString("---\n")
		}
		buf.Write(y)
	}
	out.setsResolvConf = c.Config.sets(KindKubelet, "resolvConf")
	out.YAML = buf.Bytes()
	return out, nil
}

type document struct {
	kind  string
	value any
}

func generated(c Cluster, n Node) []document {
	registration := nodeRegistration{
		Name: n.Name, CRISocket: defaultCRISocket,
		// A server has several addresses; the one that the facility claimed counts.
		KubeletExtraArgs: []arg{{Name: "node-ip", Value: n.Address.Addr().String()}},
	}
	if !n.ControlPlane {
		return []document{{KindJoin, joinDocument(c, registration)}}
	}
	docs := []document{
		{KindInit, initDocument(c, n, registration)},
		{KindCluster, clusterDocument(c)},
		{KindKubelet, kubeletConfiguration{typeMeta{kubeletAPI, KindKubelet}, "systemd"}},
	}
	if c.Config.has(KindProxy) {
		docs = append(docs, document{KindProxy, kubeProxyConfiguration{typeMeta{proxyAPI, KindProxy}}})
	}
	return docs
}

func initDocument(c Cluster, n Node, registration nodeRegistration) initConfiguration {
	d := initConfiguration{
		typeMeta: typeMeta{kubeadmAPI, KindInit},
		BootstrapTokens: []bootstrapToken{{
			Token: c.Token.Reveal(), TTL: TokenTTL.String(),
			Groups: []string{"system:bootstrappers:kubeadm:default-node-token"},
			Usages: []string{"signing", "authentication"},
		}},
		NodeRegistration: registration,
		Patches:          &patches{PatchesDir},
	}
	d.LocalAPIEndpoint.AdvertiseAddress = n.Address.Addr().String()
	d.LocalAPIEndpoint.BindPort = APIPort
	return d
}

func clusterDocument(c Cluster) clusterConfiguration {
	d := clusterConfiguration{
		typeMeta:    typeMeta{kubeadmAPI, KindCluster},
		ClusterName: c.Name, KubernetesVersion: c.Version.String(),
		ControlPlaneEndpoint: c.Endpoint.String(), CertificatesDir: CertificatesDir,
		// RSA keys take most of the time of `kubeadm init` on slow processors.
		EncryptionAlgorithm: "ECDSA-P256",
	}
	d.Networking.PodSubnet, d.Networking.ServiceSubnet = c.PodCIDR, c.ServiceCIDR
	return d
}

func joinDocument(c Cluster, registration nodeRegistration) joinConfiguration {
	d := joinConfiguration{typeMeta: typeMeta{kubeadmAPI, KindJoin}, NodeRegistration: registration, Patches: &patches{PatchesDir}}
	d.Discovery.BootstrapToken.APIServerEndpoint = c.Endpoint.String()
	d.Discovery.BootstrapToken.Token = c.Token.Reveal()
	d.Discovery.BootstrapToken.CACertHashes = []string{c.CAHash}
	if c.DiscoveryTimeout > 0 {
		d.Timeouts.Discovery = c.DiscoveryTimeout.String()
	}
	return d
}

// EndpointURL is the API server's URL at an endpoint.
func EndpointURL(e netip.AddrPort) string {
	return "https://" + net.JoinHostPort(e.Addr().String(), fmt.Sprint(e.Port()))
}
