package kubeadm

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestParseVersion(t *testing.T) {
	for _, s := range []string{"v1.36.4", "v1.31.0", "v1.37.0-rc.1", "v2.0.10"} {
		v, err := ParseVersion(s)
		if err != nil || v.String() != s {
			t.Errorf("ParseVersion(%q) = %v, %v", s, v, err)
		}
	}
	for _, s := range []string{"", "1.36.4", "v1.36", "stable-1", "v1.36.4 ", "v01.2.3", "v1.2.3-", "v1.2.99999999999999999999", "v1.2.3\n"} {
		if v, err := ParseVersion(s); err == nil {
			t.Errorf("ParseVersion(%q) = %v, want an error", s, v)
		}
	}
}

func FuzzParseVersion(f *testing.F) {
	f.Add("v1.36.4")
	f.Add("v1.37.0-rc.1")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := ParseVersion(s)
		if err == nil && v.String() != s {
			t.Errorf("ParseVersion(%q).String() = %q", s, v)
		}
	})
}

func TestVersionOrder(t *testing.T) {
	ordered := []string{"v1.31.0-alpha.1", "v1.31.0-rc.0", "v1.31.0", "v1.31.1", "v1.36.0", "v1.36.10", "v2.0.0"}
	for i, a := range ordered {
		for j, b := range ordered {
			va, _ := ParseVersion(a)
			vb, _ := ParseVersion(b)
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := va.Compare(vb); got != want {
				t.Errorf("%s compared to %s: got %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestCheckVersion(t *testing.T) {
	if _, err := CheckVersion("kubernetes_version", "v1.36.4"); err != nil {
		t.Error(err)
	}
	for _, s := range []string{"v1.30.9", "v1.31.0-rc.1", "v2.0.0", "latest"} {
		_, err := CheckVersion("kubernetes_version", s)
		if fault.ClassOf(err) != fault.NeedsPerson || fault.From(err).Attribute != "kubernetes_version" {
			t.Errorf("CheckVersion(%q) = %v", s, err)
		}
	}
}

func TestCheckSkew(t *testing.T) {
	for _, tt := range []struct {
		api, kubelet string
		ok           bool
	}{
		{"v1.36.4", "v1.36.0", true},
		{"v1.36.4", "v1.36.9", true},
		{"v1.36.4", "v1.33.0", true},
		{"v1.36.4", "v1.32.9", false},
		{"v1.36.4", "v1.37.0", false},
		{"v2.0.0", "v1.37.0", false},
	} {
		api, _ := ParseVersion(tt.api)
		kubelet, _ := ParseVersion(tt.kubelet)
		if err := CheckSkew(api, kubelet); (err == nil) != tt.ok {
			t.Errorf("CheckSkew(%s, %s) = %v, want ok %v", tt.api, tt.kubelet, err, tt.ok)
		}
	}
}

func TestValidateNetworks(t *testing.T) {
	hosts := HostNetwork{"control_plane", netip.MustParsePrefix("172.30.0.11/24")}
	for _, tt := range []struct{ name, pods, services, want string }{
		{"defaults", DefaultPodCIDR, DefaultServiceCIDR, ""},
		{"each other", "10.96.0.0/16", "10.96.0.0/12", "networks overlap: pod_cidr and service_cidr"},
		{"pods and hosts", "172.30.0.0/16", DefaultServiceCIDR, "networks overlap: pod_cidr and control_plane"},
		{"services and hosts", DefaultPodCIDR, "172.16.0.0/12", "networks overlap: service_cidr and control_plane"},
		{"IPv6", "fd00::/48", DefaultServiceCIDR, "not an IPv4 network"},
		{"no CIDR", "10.244.0.0", DefaultServiceCIDR, "not an IPv4 network"},
		{"host bits", "10.244.0.1/16", DefaultServiceCIDR, "host bits set"},
		{"pods too small", "10.244.0.0/24", DefaultServiceCIDR, "no room for nodes"},
		{"pods too large", "11.0.0.0/7", DefaultServiceCIDR, "host bits set"},
		{"services too large", DefaultPodCIDR, "96.0.0.0/8", "size of the service network"},
		{"services too small", DefaultPodCIDR, "10.96.0.0/30", "size of the service network"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := ValidateNetworks(tt.pods, tt.services, hosts)
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || fault.ClassOf(err) != fault.NeedsPerson {
				t.Errorf("got %v, want a fault with %q", err, tt.want)
			}
		})
	}
}
