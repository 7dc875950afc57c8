package host

import (
	"errors"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

func TestSelectRootDisk(t *testing.T) {
	yes, no := true, false
	ssd := order.Disk{Name: "/dev/nvme0n1", ByPath: "pci-0000:01:00.0-nvme-1", Model: "ACME Fast 1T", Serial: "S1", WWN: "eui.1", SizeBytes: 1e12}
	hdd := order.Disk{Name: "/dev/sda", Model: "ACME Slow", Vendor: "ATA", Serial: "S2", SizeBytes: 4e12, Rotational: true}
	locked := order.Disk{Name: "/dev/sdb", Serial: "S3", SizeBytes: 1e9, ReadOnly: true}
	all := []order.Disk{ssd, hdd, locked}
	tests := []struct {
		name  string
		hints *RootDeviceHints
		disks []order.Disk
		want  string // serial; "" is a fault
		says  string
	}{
		{"the only disk", nil, []order.Disk{hdd}, "S2", ""},
		{"a read-only disk does not count", nil, []order.Disk{hdd, locked}, "S2", ""},
		{"several without a hint", nil, all, "", "matches 2 disks"},
		{"no disk at all", nil, nil, "", "matches no disk"},
		{"by serial, any case", &RootDeviceHints{Serial: "s1"}, all, "S1", ""},
		{"by path with the folder", &RootDeviceHints{ByPath: "/dev/disk/by-path/pci-0000:01:00.0-nvme-1"}, all, "S1", ""},
		{"by model part", &RootDeviceHints{Model: "slow"}, all, "S2", ""},
		{"by size", &RootDeviceHints{MinSizeGB: 2000}, all, "S2", ""},
		{"by maximum size", &RootDeviceHints{MaxSizeGB: 2000}, all, "S1", ""},
		{"by rotation", &RootDeviceHints{Rotational: &yes}, all, "S2", ""},
		{"hints that contradict each other", &RootDeviceHints{Serial: "S2", Rotational: &no}, all, "", "matches no disk"},
		{"hints that match several", &RootDeviceHints{Model: "acme"}, all, "", "matches 2 disks"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := SelectRootDisk(tt.hints, tt.disks)
			if tt.want != "" {
				if err != nil || got.Serial != tt.want {
					t.Fatalf("got %q, %v, want %q", got.Serial, err, tt.want)
				}
				return
			}
			var e *fault.Error
			if !errors.As(err, &e) || e.Attribute != "root_device" || !strings.Contains(e.Seen, tt.says) {
				t.Fatalf("got %v, want a fault of root_device that says %q", err, tt.says)
			}
			if len(tt.disks) > 0 && len(e.Evidence) != len(tt.disks) {
				t.Errorf("the evidence lists %d disks, want %d", len(e.Evidence), len(tt.disks))
			}
		})
	}
}

func TestForeignDataIsRefused(t *testing.T) {
	data := order.Disk{Name: "/dev/sda", Content: []string{`ext4 "customers"`}}
	ours := order.Disk{Content: []string{"GPT"}, Mark: &order.Mark{Host: "x"}}
	for _, policy := range []WipePolicy{"", WipeOwn, WipeNever} {
		err := checkForeign(Spec{Wipe: policy}, data)
		var e *fault.Error
		if !errors.As(err, &e) || e.Attribute != "wipe" || !strings.Contains(e.Seen, "customers") {
			t.Errorf("policy %q: got %v, want a fault of wipe that lists what was found", policy, err)
		}
	}
	for name, err := range map[string]error{
		"any": checkForeign(Spec{Wipe: WipeAny}, data), "ours": checkForeign(Spec{}, ours), "empty": checkForeign(Spec{}, order.Disk{}),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSpecValidate(t *testing.T) {
	good := Spec{Name: "node-1", BMC: BMCSpec{URL: "https://10.0.0.5", Credentials: "rack"}, BootMAC: "52:54:00:00:00:01"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Spec){
		"name":                    func(s *Spec) { s.Name = "Node_1" },
		"bmc.url":                 func(s *Spec) { s.BMC.URL = "http://10.0.0.5" },
		"bmc.credentials":         func(s *Spec) { s.BMC.Credentials = "" },
		"bmc.fingerprint":         func(s *Spec) { s.BMC.Fingerprint = "abc" },
		"boot_mac":                func(s *Spec) { s.BootMAC = "52:54" },
		"boot_method":             func(s *Spec) { s.BootMethod = "floppy" },
		"wipe":                    func(s *Spec) { s.Wipe = "some" },
		"root_device.min_size_gb": func(s *Spec) { s.RootDevice = &RootDeviceHints{MinSizeGB: 2, MaxSizeGB: 1} },
	}
	for attribute, spoil := range tests {
		bad := good
		spoil(&bad)
		var e *fault.Error
		if err := bad.Validate(); !errors.As(err, &e) || e.Attribute != attribute {
			t.Errorf("%s: got %v", attribute, err)
		}
	}
	secretURL := good
	secretURL.BMC.URL = "https://root:calvin@10.0.0.5"
	if err := secretURL.Validate(); err == nil || strings.Contains(err.Error(), "calvin") {
		t.Errorf("a password in the URL: got %v", err)
	}
}
