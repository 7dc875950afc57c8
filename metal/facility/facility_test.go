package facility

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

func goodSpec() Spec {
	return Spec{Name: "hall", Services: ServicesSpec{Installer: "/srv/installer"}, Networks: []NetworkSpec{
		{Name: "rack", CIDR: "10.0.0.0/24", Gateway: "10.0.0.254", AgentAddress: "10.0.0.1", Pool: []string{"10.0.0.100-10.0.0.101"}}}}
}

func TestSpecValidate(t *testing.T) {
	if err := goodSpec().Validate(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Spec){
		"name":                      func(s *Spec) { s.Name = "Hall 1" },
		"networks":                  func(s *Spec) { s.Networks = nil },
		"networks[0].cidr":          func(s *Spec) { s.Networks[0].CIDR = "10.0.0.0" },
		"networks[0].gateway":       func(s *Spec) { s.Networks[0].Gateway = "10.1.0.1" },
		"networks[0].agent_address": func(s *Spec) { s.Networks[0].AgentAddress = "" },
		"networks[0].dns[0]":        func(s *Spec) { s.Networks[0].DNS = []string{"ns1"} },
		"networks[0].pool[1]":       func(s *Spec) { s.Networks[0].Pool = []string{"10.0.0.5-10.0.0.9", "10.0.0.9"} },
		"networks[1].cidr": func(s *Spec) {
			s.Networks = append(s.Networks, NetworkSpec{Name: "other", CIDR: "10.0.0.128/25", AgentAddress: "10.0.0.129", Pool: []string{"10.0.0.130"}})
		},
		"networks[1].name":   func(s *Spec) { s.Networks = append(s.Networks, s.Networks[0]) },
		"services.installer": func(s *Spec) { s.Services.Installer = "" },
		"services.tls_port":  func(s *Spec) { s.Services.TLSPort = 8080 },
		"services.http_port": func(s *Spec) { s.Services.HTTPPort = 70000 },
		"services.dhcp":      func(s *Spec) { s.Services.DHCP = "maybe" },
	}
	for attribute, spoil := range tests {
		bad := goodSpec()
		spoil(&bad)
		var e *fault.Error
		if err := bad.Validate(); !errors.As(err, &e) || e.Attribute != attribute {
			t.Errorf("%s: got %v", attribute, err)
		}
	}
}

func open(t *testing.T, dir string) *Facility {
	t.Helper()
	f, err := Open(t.Context(), Options{Dir: dir, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func aHost(name, mac, address string) host.Spec {
	return host.Spec{Name: name, BootMAC: mac, BMC: host.BMCSpec{URL: "https://" + address, Credentials: "rack"}}
}

// TestAddressesOutliveTheProcess: claims come back with the records, a pool that
// is too small says who holds it, and a released host is neither found nor made
// again from what a front end remembers.
func TestAddressesOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	if _, err := f.RecallFacility(t.Context(), goodSpec()); err != nil {
		t.Fatal(err)
	}
	one, two, three := aHost("one", "52:54:00:00:00:01", "10.9.0.1"), aHost("two", "52:54:00:00:00:02", "10.9.0.2"), aHost("three", "52:54:00:00:00:03", "10.9.0.3")
	first, err := f.RecallHost(t.Context(), one, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.RecallHost(t.Context(), two, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := f.RecallHost(t.Context(), three, nil); err == nil || !strings.Contains(fault.From(err).Detail(), "host/one") {
		t.Errorf("a full pool: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, dir)
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	if again, err := f.Host(t.Context(), "one", false); err != nil || again.Address != first.Address {
		t.Errorf("after a restart: %s, %v, want %s", again.Address, err, first.Address)
	}
	if err := f.ReleaseFacility(t.Context()); err == nil || !strings.Contains(err.Error(), "one") {
		t.Errorf("a facility in use was released: %v", err)
	}
	release(t, f, "one")
	if _, err := f.RecallHost(t.Context(), one, &first); !errors.Is(err, ErrNotFound) {
		t.Errorf("a released host was made again: %v", err)
	}
	if got, err := f.RecallHost(t.Context(), three, nil); err != nil || got.Address != first.Address {
		t.Errorf("the freed address: %s, %v, want %s", got.Address, err, first.Address)
	}
}

func release(t *testing.T, f *Facility, name string) {
	t.Helper()
	s, err := f.ReleaseHost(t.Context(), name, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for err == nil && ctx.Err() == nil {
		s, err = f.WaitHost(ctx, name, s.Revision)
	}
	if !errors.Is(err, ErrNotFound) {
		t.Fatalf("releasing %q: %+v, %v", name, s, err)
	}
}
