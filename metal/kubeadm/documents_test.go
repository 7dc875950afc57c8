package kubeadm

import (
	"bytes"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", name, got)
	}
}

func testCluster() Cluster {
	return Cluster{
		Name: "mgmt", Version: Version{Major: 1, Minor: 36, Patch: 4},
		Endpoint: netip.MustParseAddrPort("172.30.0.11:6443"),
		PodCIDR:  DefaultPodCIDR, ServiceCIDR: DefaultServiceCIDR,
		Token: "abcdef.0123456789abcdef", CAHash: "sha256:" + strings.Repeat("ab", 32),
		DiscoveryTimeout: time.Hour,
	}
}

func testNode(controlPlane bool) Node {
	n := Node{
		Name: "node-1", MAC: "52:54:00:AA:00:01", Address: netip.MustParsePrefix("172.30.0.11/24"),
		Gateway: netip.MustParseAddr("172.30.0.1"), DNS: []netip.Addr{netip.MustParseAddr("172.30.0.2")}, ControlPlane: controlPlane,
	}
	if !controlPlane {
		n.Name, n.MAC, n.Address = "node-2", "52:54:00:AA:00:02", netip.MustParsePrefix("172.30.0.12/24")
	}
	return n
}

const userDocuments = `
kind: ClusterConfiguration
apiVersion: kubeadm.k8s.io/v1beta4
apiServer:
  certSANs: [api.example.org]
  extraArgs:
  - {name: audit-log-maxage, value: "7"}
---
kind: InitConfiguration
nodeRegistration:
  taints: []
  kubeletExtraArgs:
  - {name: v, value: "2"}
timeouts:
  controlPlaneComponentHealthCheck: 20m0s
---
kind: JoinConfiguration
nodeRegistration:
  kubeletExtraArgs:
  - {name: node-ip, value: 192.0.2.7}
  - {name: node-labels, value: "rack=a"}
timeouts: {tlsBootstrap: 15m0s}
---
kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
cgroupDriver: cgroupfs
maxPods: 200
---
kind: KubeProxyConfiguration
mode: nftables
---
`

func TestDocuments(t *testing.T) {
	config, err := ParseUserConfig(userDocuments)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		golden       string
		config       *UserConfig
		controlPlane bool
	}{
		{"init.yaml", nil, true},
		{"join.yaml", nil, false},
		{"init-merged.yaml", config, true},
		{"join-merged.yaml", config, false},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			c := testCluster()
			c.Config = tt.config
			docs, err := NewDocuments(c, testNode(tt.controlPlane))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tt.golden, docs.YAML)
			if docs.CRISocket != "/run/containerd/containerd.sock" || docs.EtcdData != "/var/lib/etcd" {
				t.Errorf("socket %q, etcd %q", docs.CRISocket, docs.EtcdData)
			}
			if s := fmt.Sprintf("%v %+v %#v %s", docs, docs, docs, docs.YAML); strings.Contains(s, "0123456789abcdef") {
				t.Errorf("formatting shows the token: %s", s)
			}
		})
	}
}

func TestUserConfigRuntimeAndEtcd(t *testing.T) {
	config, err := ParseUserConfig("kind: InitConfiguration\nnodeRegistration: {criSocket: 'unix:///run/crio/crio.sock'}\n---\nkind: ClusterConfiguration\netcd: {local: {dataDir: /data/etcd}}\n---\nkind: KubeletConfiguration\nresolvConf: /etc/my.conf\n")
	if err != nil {
		t.Fatal(err)
	}
	c := testCluster()
	c.Config = config
	docs, err := NewDocuments(c, testNode(true))
	if err != nil {
		t.Fatal(err)
	}
	if docs.CRISocket != "/run/crio/crio.sock" || docs.EtcdData != "/data/etcd" || !docs.setsResolvConf {
		t.Errorf("got socket %q, etcd %q, resolvConf %v", docs.CRISocket, docs.EtcdData, docs.setsResolvConf)
	}
}

func TestUserConfigRefusals(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown kind", "kind: Deployment", `unknown kind: kind "Deployment"`},
		{"no kind", "apiVersion: v1", `unknown kind: kind ""`},
		{"old API", "kind: ClusterConfiguration\napiVersion: kubeadm.k8s.io/v1beta3", "kubeadm.k8s.io/v1beta3"},
		{"twice", "kind: KubeletConfiguration\n---\nkind: KubeletConfiguration\n", "given twice"},
		{"endpoint", "kind: ClusterConfiguration\ncontrolPlaneEndpoint: x:6443", "ClusterConfiguration.controlPlaneEndpoint must not be set"},
		{"certificates", "kind: ClusterConfiguration\ncertificatesDir: /x", "certificatesDir must not be set"},
		{"pods", "kind: ClusterConfiguration\nnetworking: {podSubnet: 10.0.0.0/8}", "networking.podSubnet must not be set"},
		{"token", "kind: InitConfiguration\nbootstrapTokens: []", "bootstrapTokens must not be set"},
		{"discovery", "kind: JoinConfiguration\ndiscovery: {file: {kubeConfigPath: /x}}", "discovery must not be set"},
		{"name", "kind: JoinConfiguration\nnodeRegistration: {name: x}", "nodeRegistration.name must not be set"},
		{"parent removed", "kind: ClusterConfiguration\nnetworking: null", "must not be set"},
		{"not YAML", "kind: [", "cannot be read"},
		{"a list", "- kind: x", "cannot be read"},
		{"duplicate key", "kind: ClusterConfiguration\nkind: InitConfiguration", "cannot be read"},
		{"too large", strings.Repeat("#", maxConfigBytes+1), "too large"},
		{"too deep", "kind: KubeletConfiguration\nx: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "too deeply"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseUserConfig(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
	if u, err := ParseUserConfig(""); err != nil || u.has(KindCluster) {
		t.Errorf("empty text: %v, %v", u, err)
	}
}

// Merging must leave the user's documents as they were: they are used again for
// the next node.
func TestMergeLeavesSourceAlone(t *testing.T) {
	config, err := ParseUserConfig("kind: JoinConfiguration\nnodeRegistration: {kubeletExtraArgs: [{name: v, value: '2'}], a: {b: 1}}\n")
	if err != nil {
		t.Fatal(err)
	}
	var last Secret
	for range 3 {
		c := testCluster()
		c.Config = config
		docs, err := NewDocuments(c, testNode(false))
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && !bytes.Equal(last, docs.YAML) {
			t.Fatalf("documents differ from one time to the next:\n%s", []byte(docs.YAML))
		}
		last = docs.YAML
	}
}

func FuzzParseUserConfig(f *testing.F) {
	f.Add(userDocuments)
	f.Add("kind: KubeletConfiguration\nx: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		config, err := ParseUserConfig(text)
		if err != nil {
			return
		}
		c := testCluster()
		c.Config = config
		for _, controlPlane := range []bool{true, false} {
			docs, err := NewDocuments(c, testNode(controlPlane))
			if err != nil {
				t.Fatalf("accepted, then not merged: %v", err)
			}
			if !bytes.Contains(docs.YAML, []byte(c.Token.Reveal())) || !bytes.Contains(docs.YAML, []byte("172.30.0.11")) {
				t.Fatalf("an attribute of ours was lost:\n%s", []byte(docs.YAML))
			}
		}
	})
}
