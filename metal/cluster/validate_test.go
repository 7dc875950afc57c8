package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestValidate(t *testing.T) {
	if err := testSpec("w1", "w2").Validate(); err != nil {
		t.Errorf("a good specification: %v", err)
	}
	for _, tt := range []struct {
		attribute string
		change    func(*Spec)
	}{
		{"name", func(s *Spec) { s.Name = "Mgmt" }},
		{"name", func(s *Spec) { s.Name = strings.Repeat("x", 64) }},
		{"kubernetes_version", func(s *Spec) { s.KubernetesVersion = "1.36" }},
		{"image.url", func(s *Spec) { s.Image.URL = "ftp://x" }},
		{"image.sha256", func(s *Spec) { s.Image.SHA256 = "sha256:ab" }},
		{"image.format", func(s *Spec) { s.Image.Format = "qcow2" }},
		{"control_plane", func(s *Spec) { s.ControlPlane = "" }},
		{"workers[1]", func(s *Spec) { s.Workers = []string{"a", "b_c"} }},
		{"workers", func(s *Spec) { s.Workers = []string{"w1", "w1"} }},
		{"workers", func(s *Spec) { s.Workers = []string{"cp"} }},
		{"pod_cidr", func(s *Spec) { s.PodCIDR = "10.96.0.0/16" }},
		{"service_cidr", func(s *Spec) { s.ServiceCIDR = "x" }},
		{"network_manifest", func(s *Spec) { s.NetworkManifest = "kind: X" }},
		{"network_manifest", func(s *Spec) { s.NetworkManifest = "a: [" }},
		{"kubeadm_config", func(s *Spec) { s.KubeadmConfig = "kind: Pod" }},
		{"kubeadm_patches", func(s *Spec) { s.KubeadmPatches = map[string]string{"x.yaml": "a: 1"} }},
		{"ssh_authorized_keys[0]", func(s *Spec) { s.SSHAuthorizedKeys = []string{"x"} }},
		{"bootstrap_timeout_seconds", func(s *Spec) { s.BootstrapTimeoutSeconds = 5 }},
		{"bootstrap_timeout_seconds", func(s *Spec) { s.BootstrapTimeoutSeconds = -1 }},
	} {
		s := testSpec("w1")
		tt.change(&s)
		err := Validate(s)
		if f := fault.From(err); f == nil || f.Attribute != tt.attribute || f.Class != fault.NeedsPerson {
			t.Errorf("want a fault of %q, got %v", tt.attribute, err)
		}
	}
	s := testSpec("w1")
	s.Name, s.ControlPlane, s.PodCIDR = "", "", "x"
	for _, want := range []string{"not an RFC 1123 label", "not an IPv4 network"} {
		if err := Validate(s); !strings.Contains(err.Error(), want) {
			t.Errorf("several problems, %q missing: %v", want, err)
		}
	}
}

func TestReplacing(t *testing.T) {
	a := testSpec("w1", "w2")
	same := testSpec("w2", "w1")
	same.PodCIDR, same.BootstrapTimeoutSeconds, same.NetworkManifest = "10.244.0.0/16", 60, ""
	same.KubeadmConfig, same.KubeadmPatches, same.SSHAuthorizedKeys = "x", map[string]string{"a": "b"}, []string{"k"}
	same.Image.URL = "https://mirror.example.org/the-same.raw.zst"
	if got := Replacing(a, same); got != nil {
		t.Errorf("got %v for changes in place", got)
	}
	b := a
	b.KubernetesVersion, b.Image.SHA256, b.ControlPlane, b.PodCIDR, b.ServiceCIDR = "v1.36.5", strings.Repeat("cd", 32), "w9", "10.0.0.0/16", "10.1.0.0/16"
	want := []string{"kubernetes_version", "image", "control_plane", "pod_cidr", "service_cidr"}
	if got := Replacing(a, b); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add(testManifest)
	f.Add("apiVersion: v1\nkind: List\nitems: [1, {}]")
	f.Fuzz(func(t *testing.T, text string) {
		objects, err := parseManifest(text)
		if err != nil {
			if f := fault.From(err); f.Attribute != attributeManifest {
				t.Errorf("fault without its attribute: %v", err)
			}
			return
		}
		last := 0
		for _, o := range objects {
			if o.GetName() == "" || o.GetKind() == "" || rank(o) < last {
				t.Fatalf("object %v out of order or incomplete", o)
			}
			last = rank(o)
		}
	})
}
