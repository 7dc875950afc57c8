package kubeadm

import (
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Paths of the first boot's files.
const (
	// BootstrapPath is the script; it is static, its values are in the state
	// folder.
	BootstrapPath = "/usr/local/lib/metal/bootstrap"
	// MarkerPath exists once kubeadm came to its end.
	MarkerPath = "/etc/kubernetes/metal-bootstrapped"
	// StateDir holds the secrets of the first boot until it is done, the log,
	// and what was attempted.
	StateDir   = "/var/lib/metal"
	unitPath   = "/etc/systemd/system/metal-bootstrap.service"
	wantsPath  = "/etc/systemd/system/multi-user.target.d/50-metal-bootstrap.conf"
	resolvPath = "/etc/kubernetes/metal-resolv.conf"
)

//go:embed files/bootstrap.sh
var bootstrapScript []byte

//go:embed files/metal-bootstrap.service
var bootstrapUnit []byte

// wants makes the boot start the unit. A drop-in, because the installer writes
// files and not the link that `systemctl enable` would make.
const wants = "[Unit]\nWants=metal-bootstrap.service\n"

// fallbackResolv keeps CoreDNS alive where the network names no name server: it
// exits when the node's resolv.conf has none. The address is reserved for
// documentation (RFC 5737) and answers nothing, so names inside the cluster
// resolve, others fail, and nobody is asked without being configured.
const fallbackResolv = "nameserver 192.0.2.1\n"

// Reporting is where the first boot reports its milestones. Without a URL it
// reports nothing.
type Reporting struct {
	// URL takes POST requests with an order.Milestone.
	URL string
	// PinSPKI is the base64 SHA-256 of the SubjectPublicKeyInfo of the server's
	// certificate: the only one that is accepted.
	PinSPKI string
	// Key is sent as "Authorization: Bearer".
	Key Secret
}

// FirstBoot is all that makes a freshly imaged server a node.
type FirstBoot struct {
	Cluster Cluster
	Node    Node
	// PKI is put on the control plane and must be nil for workers.
	PKI *PKI
	// InstanceID is the deployment's ID.
	InstanceID        string
	SSHAuthorizedKeys []string
	Reporting         Reporting
}

var (
	pinPattern = regexp.MustCompile(`^[A-Za-z0-9+/]{43}=$`)
	keyPattern = regexp.MustCompile(`^[A-Za-z0-9._~+/=-]{1,512}$`)
)

// Render gives the NoCloud seed and the files to write into the root file
// system. Both hold secrets. The files hold nearly everything, because
// cloud-init would take long to write what the installer writes at once, and a
// systemd unit runs the bootstrap script, because cloud-init's runcmd does not
// run again when the server is switched off in the middle.
func (b FirstBoot) Render() (order.Seed, []order.File, error) {
	if b.Node.ControlPlane != (b.PKI != nil) {
		return order.Seed{}, nil, fmt.Errorf("rendering the first boot of %q: the PKI belongs on the control plane and only there", b.Node.Name)
	}
	if err := b.Reporting.check(); err != nil {
		return order.Seed{}, nil, fmt.Errorf("rendering the first boot of %q: %w", b.Node.Name, err)
	}
	docs, err := NewDocuments(b.Cluster, b.Node)
	if err != nil {
		return order.Seed{}, nil, err
	}
	seed, err := b.seed()
	if err != nil {
		return order.Seed{}, nil, err
	}
	files := []order.File{
		{Path: BootstrapPath, Mode: 0o755, Content: bootstrapScript},
		{Path: unitPath, Mode: 0o644, Content: bootstrapUnit},
		{Path: wantsPath, Mode: 0o644, Content: []byte(wants)},
		{Path: StateDir + "/bootstrap.env", Mode: 0o600, Content: b.environment(docs)},
		{Path: StateDir + "/kubeadm.yaml", Mode: 0o600, Content: docs.YAML},
		{Path: StateDir + "/milestone.header", Mode: 0o600, Content: []byte("Authorization: Bearer " + string(b.Reporting.Key) + "\n")},
	}
	files = append(files, b.patchFiles(docs)...)
	if b.PKI != nil {
		files = append(files, pkiFiles(*b.PKI)...)
	}
	return seed, files, nil
}

func (b FirstBoot) seed() (seed order.Seed, err error) {
	if seed.UserData, err = UserData(b.SSHAuthorizedKeys); err != nil {
		return seed, err
	}
	if seed.MetaData, err = MetaData(b.InstanceID, b.Node.Name); err != nil {
		return seed, err
	}
	seed.NetworkConfig, err = NetworkConfig(b.Node)
	return seed, err
}

// environment is sourced by the script.
func (b FirstBoot) environment(docs Documents) []byte {
	role := "join"
	if b.Node.ControlPlane {
		role = "init"
	}
	var s strings.Builder
	for _, v := range [][2]string{
		{"ROLE", role},
		{"VERSION", b.Cluster.Version.String()},
		{"CRI_SOCKET", docs.CRISocket},
		{"ETCD_DATA", docs.EtcdData},
		{"REPORT_URL", b.Reporting.URL},
		{"REPORT_PIN", b.Reporting.PinSPKI},
	} {
		fmt.Fprintf(&s, "%s=%s\n", v[0], shellQuote(v[1]))
	}
	return []byte(s.String())
}

// patchFiles also makes the patches directory exist when there is no patch:
// kubeadm refuses a configured directory that does not.
func (b FirstBoot) patchFiles(docs Documents) []order.File {
	files := []order.File{{Path: PatchesDir + "/README", Mode: 0o644, Content: []byte("Patches of kubeadm init, join and upgrade for this node.\n")}}
	for _, name := range sortedKeys(b.Cluster.Patches) {
		files = append(files, order.File{Path: PatchesDir + "/" + name, Mode: 0o600, Content: []byte(b.Cluster.Patches[name])})
	}
	if len(b.Node.DNS) == 0 && !docs.setsResolvConf {
		// A patch, because KubeletConfiguration is the whole cluster's and
		// another node's network may name servers.
		files = append(files,
			order.File{Path: resolvPath, Mode: 0o644, Content: []byte(fallbackResolv)},
			order.File{Path: PatchesDir + "/" + resolvPatch, Mode: 0o644, Content: []byte(`{"resolvConf":"` + resolvPath + `"}` + "\n")})
	}
	return files
}

// pkiFiles are kept apart from kubeadm's folder, which `kubeadm reset` empties;
// the script copies them there.
func pkiFiles(p PKI) []order.File {
	pki := func(name string, mode uint32, content []byte) order.File {
		return order.File{Path: StateDir + "/pki/" + name, Mode: mode, Content: content}
	}
	return []order.File{
		pki("ca.crt", 0o644, p.CA.Certificate), pki("ca.key", 0o600, p.CA.Key),
		pki("front-proxy-ca.crt", 0o644, p.FrontProxyCA.Certificate), pki("front-proxy-ca.key", 0o600, p.FrontProxyCA.Key),
		pki("etcd/ca.crt", 0o644, p.EtcdCA.Certificate), pki("etcd/ca.key", 0o600, p.EtcdCA.Key),
		pki("sa.pub", 0o644, p.ServiceAccount.Certificate), pki("sa.key", 0o600, p.ServiceAccount.Key),
	}
}

func (r Reporting) check() error {
	if r.URL == "" {
		return nil
	}
	u, err := url.Parse(r.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.ContainsAny(r.URL, "\r\n\x00") {
		return fmt.Errorf("checking the milestone URL %q: want an https URL", r.URL)
	}
	if !pinPattern.MatchString(r.PinSPKI) {
		return fmt.Errorf("checking the milestone server's pin %q: want the base64 of a SHA-256", r.PinSPKI)
	}
	if !keyPattern.Match(r.Key) {
		return errors.New("checking the milestone key: want 1 to 512 characters of a bearer token")
	}
	return nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
