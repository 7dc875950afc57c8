package machine

import (
	"slices"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

func testConfig(firmware string) Config {
	return Config{
		Hardware: bmc.Hardware{
			Name: "server-1", Manufacturer: "nano,metal", Model: "Lab", Serial: "S1", UUID: "11111111-2222-4333-8444-555555555555",
			Firmware: firmware, CPUs: 2, MemoryMB: 1024,
			Disks: []bmc.Disk{{ID: "disk-1", Serial: "D1", SizeBytes: 1 << 20}, {ID: "disk-2", Serial: "D2", SizeBytes: 1 << 20}},
			NICs:  []bmc.NIC{{ID: "nic-1", MAC: "52:54:00:00:00:01"}, {ID: "nic-2", MAC: "52:54:00:00:00:02"}},
		},
		Dir: "/lab/a,b", Taps: []string{"m1n1", "m1n2"}, Accelerator: TCG, Firmware: Firmware{Code: "/code.fd", Vars: "/vars.fd"},
	}
}

// index is the bootindex of the device with the text in its arguments.
func index(t *testing.T, args []string, text string) string {
	t.Helper()
	for _, arg := range args {
		if strings.Contains(arg, text) && strings.Contains(arg, "-pci") || strings.HasPrefix(arg, "ide-cd") && strings.Contains(arg, text) {
			_, after, _ := strings.Cut(arg, "bootindex=")
			return after
		}
	}
	t.Fatalf("no device with %q in %q", text, args)
	return ""
}

func TestBootIndexes(t *testing.T) {
	order := []string{"disk-1", "disk-2", "nic-1", "nic-2", bmc.DeviceCD}
	for _, test := range []struct {
		name string
		boot bmc.Boot
		want [5]string // disk-1, disk-2, nic-1, nic-2, cd
	}{
		{"order", bmc.Boot{Target: bmc.TargetNone, Order: order}, [5]string{"1", "2", "3", "4", "5"}},
		{"pxe", bmc.Boot{Target: bmc.TargetPxe, Order: order}, [5]string{"3", "4", "1", "2", "7"}},
		{"http by DHCP", bmc.Boot{Target: bmc.TargetUefiHTTP, Order: order}, [5]string{"3", "4", "1", "2", "7"}},
		{"http by URI", bmc.Boot{Target: bmc.TargetUefiHTTP, URI: "http://a/b", Order: order}, [5]string{"1", "2", "3", "4", "5"}},
		{"cd", bmc.Boot{Target: bmc.TargetCd, Order: order}, [5]string{"2", "3", "4", "5", "1"}},
		{"network first", bmc.Boot{Target: bmc.TargetNone, Order: []string{"nic-2", "disk-1"}}, [5]string{"2", "", "", "1", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.boot.Media = "/media.iso"
			args := Arguments(testConfig(bmc.FirmwareUEFI), test.boot)
			got := [5]string{index(t, args, "serial=D1"), index(t, args, "serial=D2"), index(t, args, ":01,"), index(t, args, ":02,"), index(t, args, "drive=cd0")}
			if got != test.want {
				t.Errorf("boot indexes %q, want %q", got, test.want)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	uefi := strings.Join(Arguments(testConfig(bmc.FirmwareUEFI), bmc.Boot{}), " ")
	bios := strings.Join(Arguments(testConfig(bmc.FirmwareBIOS), bmc.Boot{}), " ")
	byDHCP := strings.Join(Arguments(testConfig(bmc.FirmwareUEFI), bmc.Boot{Target: bmc.TargetUefiHTTP}), " ")
	byURI := strings.Join(Arguments(testConfig(bmc.FirmwareUEFI), bmc.Boot{Target: bmc.TargetUefiHTTP, URI: "http://a/b"}), " ")
	for _, test := range []struct {
		name, args, text string
		want             bool
	}{
		{"firmware code", uefi, "file=/code.fd", true},
		{"own variables, comma escaped", uefi, "file=/lab/a,,b/firmware-vars.fd", true},
		{"no option ROM", uefi, "romfile=", true},
		{"manufacturer escaped", uefi, "manufacturer=nano,,metal", true},
		{"no PXE over IPv6", uefi, "IPv6PXESupport,string=n", true},
		{"PXE over IPv4", uefi, "IPv4PXESupport", false},
		{"no PXE before HTTP by DHCP", byDHCP, "IPv4PXESupport,string=n", true},
		{"URI is not on the command line", byURI, "http://", false},
		{"BIOS has no flash", bios, "pflash", false},
		{"BIOS keeps its option ROM", bios, "romfile", false},
		{"no CD without media", uefi, "ide-cd", false},
	} {
		if got := strings.Contains(test.args, test.text); got != test.want {
			t.Errorf("%s: %q present: %v", test.name, test.text, got)
		}
	}
	if kvm := accelerator(KVM); !slices.Equal(kvm, []string{"-accel", "kvm", "-cpu", "host"}) {
		t.Errorf("KVM arguments %q", kvm)
	}
}
