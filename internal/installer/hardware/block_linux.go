package hardware

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// notDisks are block devices that no image is written to: RAM, loops, optical
// and floppy drives, and volumes that are made of disks.
var notDisks = regexp.MustCompile(`^(loop|ram|zram|sr|fd|dm-|md|nbd|mtdblock|drbd)`)

// diskNames lists the machine's disks by kernel name ("sda").
func diskNames(sys string) []string {
	var out []string
	for _, name := range names(filepath.Join(sys, "block")) {
		dir := filepath.Join(sys, "block", name)
		hidden := number(dir, "hidden") != 0 // one path of an NVMe multipath device
		// A card reader's or drive's empty slot has size 0.
		if !notDisks.MatchString(name) && !hidden && number(dir, "size") > 0 {
			out = append(out, name)
		}
	}
	return out
}

// describe reads a disk's facts from sysfs, without its content.
func describe(sys, name string) order.Disk {
	dir := filepath.Join(sys, "block", name)
	return order.Disk{
		Name:       "/dev/" + strings.ReplaceAll(name, "!", "/"),
		ByPath:     byPath(dir),
		Model:      firstOf(attr(dir, "device", "model"), attr(dir, "device", "name")),
		Vendor:     vendor(attr(dir, "device", "vendor")),
		Serial:     serial(dir),
		WWN:        wwn(firstOf(attr(dir, "wwid"), attr(dir, "device", "wwid"))),
		SizeBytes:  number(dir, "size") * 512, // always in units of 512 bytes
		Rotational: number(dir, "queue", "rotational") == 1,
		ReadOnly:   number(dir, "ro") == 1,
	}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// vendor leaves out the PCI number of virtio and the bus name that libata puts there.
func vendor(s string) string {
	if s == "ATA" || strings.HasPrefix(s, "0x") {
		return ""
	}
	return s
}

// serial is an attribute for virtio and NVMe; SCSI and ATA disks have it in
// their Unit Serial Number page (SPC-4 section 7.8.15: 4 bytes of header).
func serial(dir string) string {
	if s := firstOf(attr(dir, "serial"), attr(dir, "device", "serial")); s != "" {
		return s
	}
	page, err := os.ReadFile(filepath.Join(dir, "device", "vpd_pg80"))
	if err != nil || len(page) < 4 {
		return ""
	}
	n := int(page[2])<<8 | int(page[3])
	return strings.TrimSpace(strings.ToValidUTF8(strings.Trim(string(page[4:min(len(page), 4+n)]), "\x00"), "?"))
}

// wwn gives what is unique for the world as udev writes it; "t10." names are
// vendor, model and serial only.
func wwn(wwid string) string {
	if rest, ok := strings.CutPrefix(wwid, "naa."); ok {
		return "0x" + rest
	}
	if strings.HasPrefix(wwid, "eui.") || strings.HasPrefix(wwid, "uuid.") {
		return wwid
	}
	return ""
}

var (
	pciAddress = regexp.MustCompile(`^[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$`)
	scsiLun    = regexp.MustCompile(`^(\d+):(\d+):(\d+):(\d+)$`)
	ataPort    = regexp.MustCompile(`^ata\d+$`)
	nvmeSpace  = regexp.MustCompile(`^nvme\d+(?:c\d+)?n(\d+)$`)
)

// byPath is the name that udev's path_id gives the common cases: disks behind
// PCI by virtio, NVMe, ATA, or a parallel SCSI host.
func byPath(dir string) string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	pci, suffix := "", ""
	parts := strings.Split(real, "/")
	for i, p := range parts {
		switch {
		case pciAddress.MatchString(p):
			pci, suffix = p, ""
		case ataPort.MatchString(p):
			path := "/" + filepath.Join(parts[:i+1]...)
			suffix = "-ata-" + firstOf(attr(path, "ata_port", p, "port_no"), "1")
		case strings.HasPrefix(p, "usb"), strings.HasPrefix(p, "end_device-"), strings.HasPrefix(p, "rport-"):
			return "" // SAS, FC and USB have names of their own, made of more than the path
		case scsiLun.MatchString(p) && suffix == "":
			m := scsiLun.FindStringSubmatch(p)
			suffix = "-scsi-0:" + strings.Join(m[2:], ":")
		}
		if m := nvmeSpace.FindStringSubmatch(p); m != nil && i == len(parts)-1 {
			suffix = "-nvme-" + m[1]
		}
	}
	if pci == "" {
		return ""
	}
	return "/dev/disk/by-path/pci-" + pci + suffix
}
