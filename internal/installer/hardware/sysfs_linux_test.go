package hardware

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// fakeSys is a sysfs as real servers show it, with its links.
func fakeSys(t *testing.T) string {
	const (
		virtio = "devices/pci0000:00/0000:00:05.0/virtio2/block/vda/"
		nvme   = "devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0/nvme0n1/"
		ata    = "devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda/"
		usb    = "devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/host7/target7:0:0/7:0:0:0/block/sdb/"
		loop   = "devices/virtual/block/loop0/"
	)
	return tree(t, map[string]string{
		"block/vda": "-> ../" + strings.TrimSuffix(virtio, "/"), "block/nvme0n1": "-> ../" + strings.TrimSuffix(nvme, "/"),
		"block/sda": "-> ../" + strings.TrimSuffix(ata, "/"), "block/sdb": "-> ../" + strings.TrimSuffix(usb, "/"), "block/loop0": "-> ../" + strings.TrimSuffix(loop, "/"),
		virtio + "size": "2048\n", virtio + "serial": "V1", virtio + "queue/rotational": "1\n", virtio + "ro": "1\n", virtio + "device/vendor": "0x1af4\n",
		nvme + "size": "4096\n", nvme + "device/serial": "N1      \n", nvme + "device/model": "FAST 1T   \n", nvme + "wwid": "eui.0025385b\n", nvme + "queue/rotational": "0\n",
		ata + "size": "8192\n", ata + "device/vpd_pg80": "\x00\x80\x00\x09  WD-1234rest", ata + "device/wwid": "naa.5000c500a1b2c3d4\n", ata + "device/vendor": "ATA\n",
		ata + "device/model": "ST1000", ata + "holders/md0/x": "",
		"devices/pci0000:00/0000:00:1f.2/ata3/ata_port/ata3/port_no": "2\n",
		usb + "size": "0\n", loop + "size": "100\n",
		"class/dmi/id/sys_vendor": "Dell Inc.\n", "class/dmi/id/product_uuid": "4C4C4544-0042\n", "firmware/efi/x": "",
		"class/net/eth0/type": "1\n", "class/net/eth0/address": "52:54:00:00:00:01\n", "class/net/eth0/carrier": "1\n", "class/net/eth0/speed": "25000\n",
		"class/net/eth0/device/driver": "-> ../../../../bus/pci/drivers/ixgbe",
		"class/net/eth1/type":          "1\n", "class/net/eth1/address": "52:54:00:00:00:02\n", "class/net/eth1/carrier": "0\n", "class/net/eth1/speed": "-1\n", "class/net/eth1/device/x": "",
		"class/net/lo/type": "772\n", "class/net/dummy0/type": "1\n",
	}).Name()
}

func TestInspect(t *testing.T) {
	dev := t.TempDir()
	for name, size := range map[string]int64{"vda": 1 << 20, "nvme0n1": 2 << 20} { // sda cannot be read
		f, err := os.Create(filepath.Join(dev, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	proc := tree(t, map[string]string{"meminfo": "MemTotal:        1048576 kB\nMemFree: 1 kB\n",
		"cpuinfo": "processor : 0\nmodel name : Xeon\nphysical id : 0\ncore id : 0\n\nprocessor : 1\nmodel name : Xeon\nphysical id : 0\ncore id : 0\n\n" +
			"processor : 2\nphysical id : 1\ncore id : 0\n"}).Name()
	i := &inspector{sys: fakeSys(t), proc: proc, dev: dev, logger: hclog.NewNullLogger()}
	inv, err := i.Inspect(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if inv.MemoryMB != 1024 || inv.CPU.Sockets != 2 || inv.CPU.Cores != 2 || inv.CPU.Threads != 3 || inv.CPU.Model != "Xeon" ||
		inv.Firmware.Mode != "uefi" || inv.System.UUID != "4c4c4544-0042" || inv.System.Manufacturer != "Dell Inc." {
		t.Errorf("%+v", inv)
	}
	disks := map[string]order.Disk{}
	for _, d := range inv.Disks {
		disks[d.Name] = d
	}
	if len(disks) != 3 {
		t.Fatalf("disks %+v", inv.Disks)
	}
	vda, nvme, sda := disks["/dev/vda"], disks["/dev/nvme0n1"], disks["/dev/sda"]
	if vda.Serial != "V1" || vda.ByPath != "/dev/disk/by-path/pci-0000:00:05.0" || !vda.Rotational || !vda.ReadOnly || vda.Vendor != "" || len(vda.Content) != 0 || vda.SizeBytes != 1<<20 {
		t.Errorf("virtio: %+v", vda)
	}
	if nvme.Serial != "N1" || nvme.Model != "FAST 1T" || nvme.WWN != "eui.0025385b" || nvme.ByPath != "/dev/disk/by-path/pci-0000:02:00.0-nvme-1" {
		t.Errorf("NVMe: %+v", nvme)
	}
	if sda.Serial != "WD-1234" || sda.WWN != "0x5000c500a1b2c3d4" || sda.ByPath != "/dev/disk/by-path/pci-0000:00:1f.2-ata-2" || sda.Vendor != "" {
		t.Errorf("ATA: %+v", sda)
	}
	if len(sda.Content) != 2 || !strings.HasPrefix(sda.Content[0], "unreadable") || sda.Content[1] != "in use by md0" {
		t.Errorf("a disk that cannot be read must not look empty: %q", sda.Content)
	}
	want := []order.NIC{{Name: "eth0", MAC: "52:54:00:00:00:01", Link: true, SpeedMbps: 25000, Driver: "ixgbe"}, {Name: "eth1", MAC: "52:54:00:00:00:02"}}
	if len(inv.NICs) != 2 || inv.NICs[0] != want[0] || inv.NICs[1] != want[1] {
		t.Errorf("NICs %+v", inv.NICs)
	}
}

func TestOpenRefusesWhatIsNoDisk(t *testing.T) {
	d := &disks{sys: fakeSys(t), dev: t.TempDir(), logger: hclog.NewNullLogger()}
	for _, name := range []string{"/dev/loop0", "/dev/sdz", "", "/etc/passwd", "/dev/../etc/passwd"} {
		if disk, err := d.Open(context.Background(), name); err == nil {
			t.Errorf("%q was opened: %+v", name, disk.Ref())
		}
	}
}

func TestPartitionNodes(t *testing.T) {
	for kernel, want := range map[string]string{"sda": "/dev/sda2", "nvme0n1": "/dev/nvme0n1p2", "mmcblk0": "/dev/mmcblk0p2", "cciss!c0d0": "/dev/cciss/c0d0p2"} {
		if got := (&disk{kernel: kernel, disks: &disks{dev: "/dev"}}).node(2); got != want {
			t.Errorf("%s: %s", kernel, got)
		}
	}
}

func TestFromAck(t *testing.T) {
	_, far, _ := net.ParseCIDR("10.9.0.0/16")
	ack, err := dhcpv4.New(dhcpv4.WithYourIP(net.IP{10, 0, 0, 7}), dhcpv4.WithNetmask(net.IPv4Mask(255, 255, 255, 0)), dhcpv4.WithRouter(net.IP{10, 0, 0, 1}),
		dhcpv4.WithDNS(net.IP{10, 0, 0, 2}), dhcpv4.WithLeaseTime(600), dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{5, 0xdc})),
		dhcpv4.WithOption(dhcpv4.OptClasslessStaticRoute(&dhcpv4.Route{Dest: far, Router: net.IP{10, 0, 0, 3}})))
	if err != nil {
		t.Fatal(err)
	}
	s := fromAck(ack)
	if s.address.String() != "10.0.0.7/24" || s.mtu != 1500 || !s.gateway.Equal(net.IP{10, 0, 0, 1}) || len(s.routes) != 1 || s.routes[0].to.String() != "10.9.0.0/16" {
		t.Errorf("%+v", s)
	}
	bare, err := dhcpv4.New(dhcpv4.WithYourIP(net.IP{10, 0, 0, 7}))
	if err != nil {
		t.Fatal(err)
	}
	if s := fromAck(bare); s.address.String() != "10.0.0.7/8" || s.gateway != nil || bare.IPAddressLeaseTime(defaultLease) != time.Hour {
		t.Errorf("%+v", s)
	}
}

var _ installer.Disk = (*disk)(nil)
