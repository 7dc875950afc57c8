package content

import (
	"bytes"
)

// probes, one per kind. Offsets are those of the formats' own headers, named
// beside each; libblkid looks at the same places.
var probes = []func(*view) (Finding, bool){
	ext, xfs, btrfs, luks, lvm, mdraid, zfs, swap, fat, ntfs, iso9660,
}

func findings(v *view) []Finding {
	var out []Finding
	for _, p := range probes {
		if f, ok := p(v); ok {
			out = append(out, f)
		}
	}
	return out
}

func magic(v *view, off int64, want string) bool {
	b := v.at(off, len(want))
	return b != nil && string(b) == want
}

// ext reads the ext2/3/4 superblock (linux/fs/ext4/ext4.h).
func ext(v *view) (Finding, bool) {
	b := v.at(1024, 1024)
	if b == nil || le.Uint16(b[56:]) != 0xef53 || le.Uint32(b[24:]) > 6 {
		return Finding{}, false
	}
	compat, incompat, ro := le.Uint32(b[92:]), le.Uint32(b[96:]), le.Uint32(b[100:])
	kind := "ext2"
	switch {
	case incompat&^0x16 != 0 || ro&^0x7 != 0: // beyond filetype, recover, meta_bg; sparse, large file, btree
		kind = "ext4"
	case compat&0x4 != 0: // has_journal
		kind = "ext3"
	}
	return Finding{kind, text(b[120:136])}, true
}

// xfs reads the superblock (linux/fs/xfs/libxfs/xfs_format.h).
func xfs(v *view) (Finding, bool) {
	b := v.at(0, 120)
	if b == nil || !bytes.HasPrefix(b, []byte("XFSB")) {
		return Finding{}, false
	}
	if n := be.Uint32(b[4:]); n < 512 || n > 65536 || n&(n-1) != 0 {
		return Finding{}, false
	}
	return Finding{"xfs", text(b[108:120])}, true
}

// btrfs has its superblock at 64 KiB (linux/include/uapi/linux/btrfs_tree.h).
func btrfs(v *view) (Finding, bool) {
	b := v.at(64<<10, 0x12b+256)
	if b == nil || string(b[64:72]) != "_BHRfS_M" {
		return Finding{}, false
	}
	return Finding{"btrfs", text(b[0x12b:])}, true
}

// luks 1 and 2 share magic and version; only 2 has a label (cryptsetup's on-disk format).
func luks(v *view) (Finding, bool) {
	b := v.at(0, 72)
	if b == nil || string(b[:6]) != "LUKS\xba\xbe" {
		return Finding{}, false
	}
	f := Finding{Type: "LUKS"}
	if be.Uint16(b[6:]) == 2 {
		f.Label = text(b[24:72])
	}
	return f, true
}

// lvm looks for the physical volume label in the first four sectors (lvm2, label.h).
func lvm(v *view) (Finding, bool) {
	for s := range int64(4) {
		if b := v.at(s*512, 32); b != nil && string(b[:8]) == "LABELONE" && string(b[24:32]) == "LVM2 001" {
			return Finding{Type: "LVM2"}, true
		}
	}
	return Finding{}, false
}

// mdraid superblocks are at 0 (1.1), 4 KiB (1.2), near the end (1.0), and, for
// 0.90, in the last whole 64 KiB but one (linux/include/uapi/linux/raid/md_p.h).
func mdraid(v *view) (Finding, bool) {
	const magic = 0xa92b4efc
	for _, off := range []int64{0, 4096, (v.size/512 - 16) &^ 7 * 512} {
		if b := v.at(off, 64); b != nil && le.Uint32(b) == magic && le.Uint32(b[4:]) == 1 {
			return Finding{"mdraid", text(b[32:64])}, true
		}
	}
	if b := v.at(v.size&^0xffff-0x10000, 8); b != nil && (le.Uint32(b) == magic || be.Uint32(b) == magic) {
		return Finding{Type: "mdraid"}, true
	}
	return Finding{}, false
}

// zfs has a ring of uberblocks from 128 KiB on in each of four labels (two at
// the start, two at the end); 1 KiB is the smallest step.
func zfs(v *view) (Finding, bool) {
	const label, ring = 256 << 10, 128 << 10
	end := v.size / label * label
	for _, base := range []int64{0, label, end - 2*label, end - label} {
		b := v.at(base+ring, ring)
		for at := 0; at+8 <= len(b); at += 1024 {
			if n := b[at:]; le.Uint64(n) == 0x00bab10c || be.Uint64(n) == 0x00bab10c {
				return Finding{Type: "zfs"}, true
			}
		}
	}
	return Finding{}, false
}

// swap has its signature at the end of the first page, whose size depends on
// the architecture.
func swap(v *view) (Finding, bool) {
	for _, page := range []int64{4096, 8192, 16384, 65536} {
		if !magic(v, page-10, "SWAPSPACE2") {
			continue
		}
		return Finding{"swap", text(v.at(1024+28, 16))}, true
	}
	return Finding{}, false
}

// fat needs a plausible BIOS parameter block besides the type's text.
func fat(v *view) (Finding, bool) {
	b := v.at(0, 512)
	if b == nil || b[510] != 0x55 || b[511] != 0xaa {
		return Finding{}, false
	}
	sector, cluster, fats := le.Uint16(b[11:]), b[13], b[16]
	if sector < 512 || sector > 4096 || sector&(sector-1) != 0 || cluster == 0 || cluster&(cluster-1) != 0 || fats == 0 || fats > 2 {
		return Finding{}, false
	}
	label := b[43:54]
	switch {
	case string(b[82:87]) == "FAT32":
		label = b[71:82]
	case string(b[54:57]) != "FAT":
		return Finding{}, false
	}
	if s := text(label); s != "NO NAME" {
		return Finding{"vfat", s}, true
	}
	return Finding{Type: "vfat"}, true
}

func ntfs(v *view) (Finding, bool) {
	return Finding{Type: "ntfs"}, magic(v, 3, "NTFS    ")
}

// iso9660 has its primary volume descriptor in sector 16 of 2048 bytes (ECMA-119 section 8.4).
func iso9660(v *view) (Finding, bool) {
	b := v.at(0x8000, 72)
	if b == nil || string(b[1:6]) != "CD001" {
		return Finding{}, false
	}
	return Finding{"iso9660", text(b[40:72])}, true
}

// Places are the offsets, on a disk or partition of this size, where a
// signature can be that is not in the first or last 4 MiB: the mirrors of the
// btrfs superblock.
func Places(size int64) []int64 {
	var out []int64
	for _, off := range []int64{64 << 20, 256 << 30} {
		if off+4096 <= size {
			out = append(out, off)
		}
	}
	return out
}
