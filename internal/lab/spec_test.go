package lab

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func TestDefaults(t *testing.T) {
	spec := Spec{Machines: []MachineSpec{{}, {Name: "big", MemoryMB: 8192}}}
	if err := spec.Complete(); err != nil {
		t.Fatal(err)
	}
	want := Spec{
		Name: "demo", Subnet: "172.30.0.0/24", BMCUser: "admin", Accelerator: "auto",
		Machines: []MachineSpec{
			{Name: "server-1", Firmware: "uefi", CPUs: 2, MemoryMB: 2048, Disks: []string{"20G"}, NICs: 1},
			{Name: "big", Firmware: "uefi", CPUs: 2, MemoryMB: 8192, Disks: []string{"20G"}, NICs: 1},
		},
	}
	if !reflect.DeepEqual(spec, want) {
		t.Errorf("got  %+v\nwant %+v", spec, want)
	}
}

func TestSpecRefusals(t *testing.T) {
	for _, test := range []struct {
		name string
		spec Spec
		says string
	}{
		{"lab name", Spec{Name: "../x"}, "lab name"},
		{"long lab name", Spec{Name: strings.Repeat("x", 40)}, "lab name"},
		{"machine name", Spec{Machines: []MachineSpec{{Name: "a b"}}}, "machine name"},
		{"name twice", Spec{Machines: []MachineSpec{{Name: "a"}, {Name: "a"}}}, "twice"},
		{"firmware", Spec{Machines: []MachineSpec{{Firmware: "efi"}}}, "firmware"},
		{"little memory", Spec{Machines: []MachineSpec{{MemoryMB: 1}}}, "128 MiB"},
		{"many NICs", Spec{Machines: []MachineSpec{{NICs: 9}}}, "NICs"},
		{"disk size", Spec{Machines: []MachineSpec{{Disks: []string{"20X"}}}}, "size"},
		{"many machines", Spec{Machines: make([]MachineSpec, 51)}, "at most 50"},
		{"subnet", Spec{Subnet: "172.30.0.0/25"}, "subnet"},
		{"subnet with host bits", Spec{Subnet: "172.30.0.1/24"}, "subnet"},
		{"IPv6 subnet", Spec{Subnet: "fd00::/64"}, "subnet"},
		{"BMC quirk", Spec{Machines: []MachineSpec{{BMCQuirks: []string{"none-such"}}}}, "none-such"},
		{"accelerator", Spec{Accelerator: "hax"}, "accelerator"},
		{"forward to the world", Spec{Forwards: []ForwardSpec{{"0.0.0.0:1", "1.1.1.1:1"}}}, "127.0.0.1 only"},
		{"forward without target", Spec{Forwards: []ForwardSpec{{"127.0.0.1:1", ""}}}, "target"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.spec.Complete()
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one with %q", err, test.says)
			}
		})
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"512": 512, "1K": 1024, "20G": 20 << 30, "1T": 1 << 40} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v", text, got, err)
		}
	}
	for _, wrong := range []string{"", "G", "0", "-1G", "1.5G", "1KB", "1KK", "1X", "511", "9999999T", "99999999999999999999"} {
		if got, err := ParseSize(wrong); err == nil {
			t.Errorf("%q is %d", wrong, got)
		}
	}
}

func TestParseForward(t *testing.T) {
	f, err := ParseForward("127.0.0.1:16443=172.30.0.100:6443")
	if err != nil || f != (ForwardSpec{"127.0.0.1:16443", "172.30.0.100:6443"}) {
		t.Errorf("%+v, %v", f, err)
	}
	for _, wrong := range []string{"", "127.0.0.1:1", "localhost:1=1.1.1.1:1", "127.0.0.1:1=host:1", "[::1]:1=1.1.1.1:1"} {
		if _, err := ParseForward(wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

func TestLoadSpec(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lab.yaml")
	if err := os.WriteFile(path, []byte("name: rack\nmachines:\n- name: a\n  memory_mb: 4096\n  disks: [10G, 5G]\n  nics: 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec, err := LoadSpec(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Complete(); err != nil {
		t.Fatal(err)
	}
	if m := spec.Machines[0]; spec.Name != "rack" || m.MemoryMB != 4096 || len(m.Disks) != 2 || m.NICs != 2 {
		t.Errorf("%+v", spec)
	}
	if err := os.WriteFile(path, []byte("machine: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSpec(path); err == nil {
		t.Error("an unknown key was taken")
	}
}

func TestHardwareIsStableAndDistinct(t *testing.T) {
	seen := map[string]string{}
	uuids := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, lab := range []string{"one", "two"} {
		spec := Spec{Name: lab, Machines: []MachineSpec{{NICs: 2, Disks: []string{"1G", "1G"}}, {}}}
		if err := spec.Complete(); err != nil {
			t.Fatal(err)
		}
		for _, m := range spec.Machines {
			h, err := spec.hardware(m)
			if err != nil {
				t.Fatal(err)
			}
			again, err := spec.hardware(m)
			if err != nil || !reflect.DeepEqual(h, again) {
				t.Errorf("hardware of %s/%s differs from one time to the next", lab, m.Name)
			}
			if !uuids.MatchString(h.UUID) {
				t.Errorf("UUID %q", h.UUID)
			}
			ids := []string{h.UUID, h.Serial}
			for _, nic := range h.NICs {
				ids = append(ids, nic.MAC)
			}
			for _, disk := range h.Disks {
				ids = append(ids, disk.Serial)
			}
			for _, id := range ids {
				if other, there := seen[id]; there {
					t.Errorf("%s of %s/%s is also in %s", id, lab, m.Name, other)
				}
				seen[id] = lab + "/" + m.Name
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	spec := Spec{Subnet: "10.1.2.0/24"}
	bridge, err := spec.bridge()
	if err != nil || bridge.String() != "10.1.2.1/24" {
		t.Errorf("bridge %v, %v", bridge, err)
	}
	for i, want := range map[int]string{0: "10.1.2.201", maxMachines - 1: "10.1.2.250"} {
		if got, err := spec.bmcAddress(i); err != nil || got.String() != want {
			t.Errorf("BMC %d has %v, %v", i, got, err)
		}
	}
}
