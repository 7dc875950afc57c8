package cluster

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strconv"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
)

const (
	defaultBootstrapTimeout = 3600
	maxBootstrapTimeout     = 24 * 3600
	maxWorkers              = 5000
)

var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// WithDefaults gives the specification with its defaults filled in.
func (s Spec) WithDefaults() Spec {
	if s.PodCIDR == "" {
		s.PodCIDR = kubeadm.DefaultPodCIDR
	}
	if s.ServiceCIDR == "" {
		s.ServiceCIDR = kubeadm.DefaultServiceCIDR
	}
	if s.BootstrapTimeoutSeconds == 0 {
		s.BootstrapTimeoutSeconds = defaultBootstrapTimeout
	}
	s.Workers = slices.Clone(s.Workers)
	sort.Strings(s.Workers)
	return s
}

// Validate checks what can be checked without asking anybody. The error joins a
// *fault.Error for each problem, which names the attribute.
func (s Spec) Validate() error { return Validate(s) }

// Validate is Spec.Validate.
func Validate(s Spec) error {
	s = s.WithDefaults()
	_, version := kubeadm.CheckVersion("kubernetes_version", s.KubernetesVersion)
	_, config := kubeadm.ParseUserConfig(s.KubeadmConfig)
	_, manifest := parseManifest(s.NetworkManifest)
	return errors.Join(
		checkLabel("name", s.Name),
		version,
		checkImage(s),
		checkHosts(s),
		kubeadm.ValidateNetworks(s.PodCIDR, s.ServiceCIDR),
		manifest,
		config,
		kubeadm.ValidatePatches(s.KubeadmPatches),
		kubeadm.ValidateSSHKeys("ssh_authorized_keys", s.SSHAuthorizedKeys),
		checkTimeout(s.BootstrapTimeoutSeconds),
	)
}

func checkLabel(attribute, value string) error {
	if label.MatchString(value) {
		return nil
	}
	return fault.Invalid(attribute, "not an RFC 1123 label", strconv.Quote(value), "1 to 63 lower-case letters, digits and dashes, with a letter or digit at both ends")
}

func checkImage(s Spec) error {
	u, err := url.Parse(s.Image.URL)
	if err != nil || !slices.Contains([]string{"https", "http", "file"}, u.Scheme) {
		return fault.Invalid("image.url", "not a URL that images are fetched from", strconv.Quote(s.Image.URL), "https://, http:// or file://")
	}
	if raw, err := hex.DecodeString(s.Image.SHA256); err != nil || len(raw) != 32 {
		return fault.Invalid("image.sha256", "not a SHA-256", strconv.Quote(s.Image.SHA256), "64 hexadecimal digits")
	}
	if !slices.Contains([]string{"", "raw", "zstd", "gzip"}, s.Image.Format) {
		return fault.Invalid("image.format", "unknown image format", strconv.Quote(s.Image.Format), `"raw", "zstd" or "gzip"`)
	}
	return nil
}

func checkHosts(s Spec) error {
	problems := []error{checkLabel("control_plane", s.ControlPlane)}
	if len(s.Workers) > maxWorkers {
		return fault.Invalid("workers", "too many workers", strconv.Itoa(len(s.Workers)), fmt.Sprintf("at most %d", maxWorkers))
	}
	seen := map[string]bool{s.ControlPlane: true}
	for i, w := range s.Workers {
		attribute := fmt.Sprintf("workers[%d]", i)
		problems = append(problems, checkLabel(attribute, w))
		if seen[w] {
			problems = append(problems, fault.Invalid("workers", "host is named twice", strconv.Quote(w), "each host once, and not the control plane's"))
		}
		seen[w] = true
	}
	return errors.Join(problems...)
}

func checkTimeout(seconds int64) error {
	if seconds >= 60 && seconds <= maxBootstrapTimeout {
		return nil
	}
	return fault.Invalid("bootstrap_timeout_seconds", "bootstrap timeout out of range", strconv.FormatInt(seconds, 10), fmt.Sprintf("60 to %d", maxBootstrapTimeout))
}

// Replacing lists the attributes that differ between two specifications of one
// cluster and cannot be changed in place: a front end replaces the cluster. The
// kubeadm configuration, its patches and the SSH keys may change: they count for
// nodes that join from then on.
func Replacing(from, to Spec) []string {
	from, to = from.WithDefaults(), to.WithDefaults()
	var out []string
	for _, a := range []struct {
		attribute string
		same      bool
	}{
		{"name", from.Name == to.Name},
		{"kubernetes_version", from.KubernetesVersion == to.KubernetesVersion},
		{"image", from.Image.SHA256 == to.Image.SHA256},
		{"control_plane", from.ControlPlane == to.ControlPlane},
		{"pod_cidr", from.PodCIDR == to.PodCIDR},
		{"service_cidr", from.ServiceCIDR == to.ServiceCIDR},
	} {
		if !a.same {
			out = append(out, a.attribute)
		}
	}
	return out
}

// refuseReplacing is the fault of a change that cannot be made in place.
func refuseReplacing(from, to Spec) error {
	changed := Replacing(from, to)
	if len(changed) == 0 {
		return nil
	}
	return &fault.Error{
		Class: fault.NeedsPerson, Subject: subject(to.Name), Attribute: changed[0], Phase: string(PhasePreflight),
		Summary:  "cluster cannot be changed in place",
		Seen:     fmt.Sprintf("changed: %v", changed),
		Expected: "changes of workers, network_manifest and bootstrap_timeout_seconds only",
		Advice:   "undo the change, or replace the cluster: destroy it and make it again",
	}
}

func subject(name string) string { return fmt.Sprintf("cluster %q", name) }

func hostSubject(name string) string { return fmt.Sprintf("host %q", name) }
