package kubeadm

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

func testFirstBoot(t *testing.T, controlPlane bool) FirstBoot {
	t.Helper()
	b := FirstBoot{
		Cluster: testCluster(), Node: testNode(controlPlane), InstanceID: "mgmt-node-1-1",
		SSHAuthorizedKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1dCB0aGlzIGlzIG5vdCBhIGtleQ ops"},
		Reporting:         Reporting{URL: "https://172.30.0.2:8443" + order.PathMilestone, PinSPKI: strings.Repeat("A", 43) + "=", Key: Secret("k3y")},
	}
	b.Cluster.Patches = map[string]string{"etcd+merge.yaml": "spec: {priority: 1}\n"}
	if controlPlane {
		p := testPKI(t)
		b.PKI = &p
	}
	return b
}

// layout lists files without the content of those that differ each time.
func layout(files []order.File) []byte {
	var b bytes.Buffer
	for _, f := range files {
		fmt.Fprintf(&b, "%04o %s\n", f.Mode, f.Path)
		if strings.HasSuffix(f.Path, ".env") || strings.HasSuffix(f.Path, ".header") || strings.Contains(f.Path, "resolv") {
			for line := range strings.Lines(string(f.Content)) {
				b.WriteString("     | " + line)
			}
		}
	}
	return b.Bytes()
}

func TestFirstBoot(t *testing.T) {
	for _, tt := range []struct {
		golden string
		change func(*FirstBoot)
	}{
		{"control-plane.txt", func(*FirstBoot) {}},
		{"worker.txt", func(b *FirstBoot) { b.Node, b.PKI = testNode(false), nil }},
		{"worker-without-dns.txt", func(b *FirstBoot) {
			b.Node, b.PKI = testNode(false), nil
			b.Node.DNS, b.Node.Gateway = nil, netip.Addr{}
			b.Reporting, b.SSHAuthorizedKeys = Reporting{}, nil
		}},
	} {
		t.Run(tt.golden, func(t *testing.T) {
			b := testFirstBoot(t, true)
			tt.change(&b)
			seed, files, err := b.Render()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tt.golden, []byte(seed.MetaData+"--\n"+seed.UserData+"--\n"+seed.NetworkConfig+"--\n"+string(layout(files))))
		})
	}
}

// Secrets are in files that only root reads, and nowhere else.
func TestFirstBootSecrets(t *testing.T) {
	b := testFirstBoot(t, true)
	seed, files, err := b.Render()
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{b.PKI.CA.Key, b.PKI.EtcdCA.Key, b.PKI.FrontProxyCA.Key, b.PKI.ServiceAccount.Key, []byte(b.Cluster.Token.Reveal()), b.Reporting.Key}
	found := 0
	for _, secret := range secrets {
		if strings.Contains(seed.UserData+seed.MetaData+seed.NetworkConfig, string(secret)) {
			t.Error("the seed holds a secret")
		}
		for _, f := range files {
			if bytes.Contains(f.Content, secret) {
				found++
				if f.Mode != 0o600 {
					t.Errorf("%s holds a secret and has mode %o", f.Path, f.Mode)
				}
			}
		}
	}
	if found != len(secrets) {
		t.Errorf("%d secrets in files, want %d", found, len(secrets))
	}
}

func TestFirstBootRefusals(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		change     func(*FirstBoot)
	}{
		{"PKI on a worker", "only there", func(b *FirstBoot) { b.Node = testNode(false) }},
		{"control plane without PKI", "only there", func(b *FirstBoot) { b.PKI = nil }},
		{"plain HTTP", "https URL", func(b *FirstBoot) { b.Reporting.URL = "http://x/" }},
		{"pin in hex", "pin", func(b *FirstBoot) { b.Reporting.PinSPKI = strings.Repeat("ab", 32) }},
		{"header injection", "key", func(b *FirstBoot) { b.Reporting.Key = Secret("a\r\nX: y") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := testFirstBoot(t, true)
			tt.change(&b)
			if _, _, err := b.Render(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestValidatePatches(t *testing.T) {
	good := map[string]string{"kube-apiserver0+merge.yaml": "spec: {}", "etcd.json": "{}", "kubeletconfiguration+strategic.yaml": "a: 1", "kube-scheduler-x+json.json": "[]"}
	if err := ValidatePatches(good); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"apiserver.yaml", "etcd.yml", "../etcd.yaml", "etcd/x.yaml", "etcd+patch.yaml", "etcd\n.yaml", resolvPatch, ""} {
		if err := ValidatePatches(map[string]string{name: "a: 1"}); err == nil {
			t.Errorf("the name %q was accepted", name)
		}
	}
	for _, content := range []string{"", "a: [", strings.Repeat("#", maxPatchBytes+1)} {
		if err := ValidatePatches(map[string]string{"etcd.yaml": content}); err == nil {
			t.Errorf("content %.20q was accepted", content)
		}
	}
}

func TestValidateSSHKeys(t *testing.T) {
	if err := ValidateSSHKeys("ssh_authorized_keys", []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1dCB0aGlzIGlzIG5vdCBhIGtleQ", "ecdsa-sha2-nistp256 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1dCB0aGlzIGlzIG5vdCBhIGtleQ== me@there"}); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"", "ssh-ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----", "ssh-rsa AAAA\nssh-rsa AAAA", "no-pty ssh-ed25519 AAAA"} {
		if err := ValidateSSHKeys("ssh_authorized_keys", []string{key}); err == nil || !strings.Contains(err.Error(), "not an SSH public key") {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func TestSeedIsYAML(t *testing.T) {
	seed, _, err := testFirstBoot(t, true).Render()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{seed.UserData, seed.MetaData, seed.NetworkConfig} {
		var v map[string]any
		if err := yaml.UnmarshalStrict([]byte(text), &v); err != nil {
			t.Errorf("%v in %s", err, text)
		}
	}
}

func TestShellQuote(t *testing.T) {
	if got := shellQuote(`it's $HOME`); got != `'it'\''s $HOME'` {
		t.Errorf("got %s", got)
	}
}
