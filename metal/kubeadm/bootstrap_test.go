package kubeadm

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// fakeKubeadm logs how it was called and does what the file "behaviour" says.
const fakeKubeadm = `#!/bin/sh
echo "$*" >>"$METAL_ROOT/calls"
case "$1" in
version) echo v1.36.4 ;;
reset) rm -rf "$METAL_ROOT/etc/kubernetes/pki" ;;
init) test -s "$METAL_ROOT/etc/kubernetes/pki/etcd/ca.key" || exit 3 ;;
esac
test ! -e "$METAL_ROOT/$1.fails" || { cat "$METAL_ROOT/$1.fails"; exit 1; }
`

// node is a folder that looks like the root of a freshly imaged node.
type node struct {
	root   string
	socket net.Listener
	agent  *httptest.Server

	mu         sync.Mutex
	milestones []order.Milestone
	refused    int
}

func newNode(t *testing.T, controlPlane bool, change func(*FirstBoot)) *node {
	t.Helper()
	// Not t.TempDir: a unix socket's path has 108 bytes at most.
	root, err := os.MkdirTemp("", "node")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	n := &node{root: root}
	n.agent = httptest.NewTLSServer(http.HandlerFunc(n.milestone))
	t.Cleanup(n.agent.Close)
	pin := sha256.Sum256(n.agent.Certificate().RawSubjectPublicKeyInfo)

	b := testFirstBoot(t, controlPlane)
	b.Reporting = Reporting{URL: n.agent.URL + order.PathMilestone, PinSPKI: base64.StdEncoding.EncodeToString(pin[:]), Key: Secret("k3y")}
	if change != nil {
		change(&b)
	}
	_, files, err := b.Render()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		n.write(t, f.Path, string(f.Content), os.FileMode(f.Mode))
	}
	n.write(t, "/bin/kubeadm", fakeKubeadm, 0o755)
	n.write(t, "/run/containerd/x", "", 0o600)
	if n.socket, err = net.Listen("unix", root+"/run/containerd/containerd.sock"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.socket.Close() })
	return n
}

func (n *node) write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	path = filepath.Join(n.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func (n *node) milestone(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	var m order.Milestone
	if err == nil {
		err = json.Unmarshal(body, &m)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil || r.Header.Get("Authorization") != "Bearer k3y" || r.URL.Path != order.PathMilestone {
		n.refused++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	n.milestones = append(n.milestones, m)
}

func (n *node) boot(t *testing.T) error {
	t.Helper()
	cmd := exec.Command("/bin/sh", filepath.Join(n.root, BootstrapPath))
	cmd.Env = []string{"PATH=" + n.root + "/bin:" + os.Getenv("PATH"), "METAL_ROOT=" + n.root, "METAL_TRIES=1", "METAL_PAUSE=0", "METAL_RUNTIME_SECONDS=1"}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if len(out) > 0 || (err != nil && !errors.As(err, &exit)) {
		t.Errorf("the script said %q, %v", out, err)
	}
	return err
}

func (n *node) calls(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(n.root + "/calls")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), n.root, "")
}

func (n *node) exists(path string) bool {
	_, err := os.Stat(filepath.Join(n.root, path))
	return err == nil
}

// last gives the milestone of a name, waiting for nothing: all but "booted" are
// posted before the script ends.
func (n *node) last(name string) *order.Milestone {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range n.milestones {
		if n.milestones[i].Name == name {
			return &n.milestones[i]
		}
	}
	return nil
}

const checks = "version -o short\nconfig validate --config /var/lib/metal/kubeadm.yaml\n"

func TestBootstrapControlPlane(t *testing.T) {
	n := newNode(t, true, nil)
	if err := n.boot(t); err != nil {
		t.Fatal(err)
	}
	want := checks + "init --config /var/lib/metal/kubeadm.yaml --skip-token-print --skip-certificate-key-print\n"
	if got := n.calls(t); got != want {
		t.Errorf("kubeadm was called\n%swant\n%s", got, want)
	}
	if !n.exists(MarkerPath) || n.exists(StateDir+"/pki") || n.exists(StateDir+"/kubeadm.yaml") {
		t.Error("want the marker, and the secrets gone")
	}
	key, err := os.Stat(n.root + "/etc/kubernetes/pki/ca.key")
	if err != nil || key.Mode().Perm() != 0o600 {
		t.Errorf("ca.key: %v, %v", key, err)
	}
	if m := n.last(order.MilestoneBootstrapped); m == nil || m.UptimeSeconds <= 0 {
		t.Errorf("milestones %+v, refused %d", n.milestones, n.refused)
	}
	if err := n.boot(t); err != nil || n.calls(t) != want {
		t.Errorf("the second boot ran kubeadm again: %v\n%s", err, n.calls(t))
	}
}

func TestBootstrapFailure(t *testing.T) {
	n := newNode(t, false, nil)
	n.write(t, "/join.fails", "[preflight] \"x\"\\y\ttoken abcdef.0123456789abcdef\ncertificate-key: 00ff\nünïcode\n-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\n"+strings.Repeat("long ", 200)+"\n", 0o644)
	if err := n.boot(t); err == nil {
		t.Error("the script ended well")
	}
	m := n.last(order.MilestoneFailed)
	if m == nil {
		t.Fatalf("milestones %+v, refused %d", n.milestones, n.refused)
	}
	for _, want := range []string{`[preflight] "x"\y token [redacted]`, "certificate-key: [redacted]", "ncode", "kubeadm join failed"} {
		if !strings.Contains(m.Message, want) {
			t.Errorf("the message lacks %q:\n%s", want, m.Message)
		}
	}
	for _, secret := range []string{"0123456789abcdef", "00ff", "MHc"} {
		if strings.Contains(m.Message, secret) {
			t.Errorf("the message shows %q", secret)
		}
	}
	if n.exists(MarkerPath) || !n.exists(StateDir+"/kubeadm.yaml") {
		t.Error("want no marker, and what another attempt needs")
	}
}

func TestBootstrapChecksFirst(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		prepare    func(t *testing.T, n *node)
	}{
		{"other version", "the image has v1.36.4, the cluster wants v1.35.0", func(t *testing.T, n *node) {
			n.write(t, StateDir+"/bootstrap.env", strings.Replace(n.read(t, StateDir+"/bootstrap.env"), "v1.36.4", "v1.35.0", 1), 0o600)
		}},
		{"configuration refused", "refuses its configuration", func(t *testing.T, n *node) { n.write(t, "/config.fails", "strict decoding error\n", 0o600) }},
		{"no runtime", "no socket at /run/containerd/containerd.sock after 1 s", func(_ *testing.T, n *node) { _ = n.socket.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, true, nil)
			tt.prepare(t, n)
			if err := n.boot(t); err == nil {
				t.Error("the script ended well")
			}
			if m := n.last(order.MilestoneFailed); m == nil || !strings.Contains(m.Message, tt.want) {
				t.Errorf("milestone %+v, want %q", m, tt.want)
			}
			if strings.Contains(n.calls(t), "init") || n.exists(StateDir+"/attempted") {
				t.Error("kubeadm init ran")
			}
		})
	}
}

func (n *node) read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(n.root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// An agent that is away, or another one at its address, stops nothing and
// learns nothing.
func TestBootstrapWithoutAgent(t *testing.T) {
	for name, change := range map[string]func(*FirstBoot){
		"away":      func(b *FirstBoot) { b.Reporting.URL = "https://127.0.0.1:1/" },
		"other key": func(b *FirstBoot) { b.Reporting.PinSPKI = strings.Repeat("A", 43) + "=" },
		"none":      func(b *FirstBoot) { b.Reporting = Reporting{} },
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, false, change)
			if err := n.boot(t); err != nil || !n.exists(MarkerPath) {
				t.Errorf("got %v, marker %v", err, n.exists(MarkerPath))
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			if len(n.milestones)+n.refused != 0 {
				t.Errorf("the agent was told %+v", n.milestones)
			}
		})
	}
}

// A server that lost power in the middle of kubeadm boots again.
func TestBootstrapAfterCrash(t *testing.T) {
	initCall := "init --config /var/lib/metal/kubeadm.yaml --skip-token-print --skip-certificate-key-print"
	for _, tt := range []struct {
		name         string
		controlPlane bool
		left         map[string]string
		want         string
	}{
		{"control plane before etcd ran", true, map[string]string{"/etc/kubernetes/pki/half.key": "x"},
			"reset --force --cri-socket unix:///run/containerd/containerd.sock\n" + initCall + "\n"},
		{"control plane with data", true, map[string]string{"/var/lib/etcd/member/snap/db": "x"},
			initCall + " --ignore-preflight-errors=Port-6443,Port-10250,Port-10257,Port-10259,Port-2379,Port-2380,FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml,FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml,FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml,FileAvailable--etc-kubernetes-manifests-etcd.yaml,DirAvailable--var-lib-etcd\n"},
		{"worker before it joined", false, map[string]string{"/etc/kubernetes/bootstrap-kubelet.conf": "x"},
			"reset --force --cri-socket unix:///run/containerd/containerd.sock\njoin --config /var/lib/metal/kubeadm.yaml\n"},
		{"worker that has joined", false, map[string]string{"/etc/kubernetes/kubelet.conf": "users:\n- user: {client-certificate: /x}\n"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.controlPlane, nil)
			n.write(t, StateDir+"/attempted", "", 0o600)
			for path, content := range tt.left {
				n.write(t, path, content, 0o600)
			}
			if err := n.boot(t); err != nil {
				t.Fatalf("%v\n%s", err, n.read(t, StateDir+"/bootstrap.log"))
			}
			if got := n.calls(t); got != checks+tt.want {
				t.Errorf("kubeadm was called\n%swant\n%s", got, checks+tt.want)
			}
			if !n.exists(MarkerPath) || n.last(order.MilestoneBootstrapped) == nil {
				t.Error("want the marker and the milestone")
			}
		})
	}
}

func TestScriptHasNoSecretOnACommandLine(t *testing.T) {
	for _, word := range []string{"Bearer", "--token ", "discovery-token"} {
		if bytes.Contains(bootstrapScript, []byte(word)) {
			t.Errorf("the script holds %q", word)
		}
	}
}
