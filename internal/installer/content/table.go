package content

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

var le, be = binary.LittleEndian, binary.BigEndian

const (
	maxPartitions = 256
	// mbrTypeGPT is the type of a protective MBR's entry (UEFI 2.10 section 5.2.3).
	mbrTypeGPT = 0xee
)

// sectorSizes of the disks that exist.
var sectorSizes = []int64{512, 4096}

// table reads the partition table: GPT (UEFI 2.10 section 5.3), or MBR.
func table(v *view) (string, []Partition) {
	for _, sector := range sectorSizes {
		if parts, ok := gpt(v, sector, sector); ok {
			return "GPT", parts
		}
	}
	return mbr(v)
}

// backupGPT says whether the disk's last sector holds a GPT header.
func backupGPT(v *view) bool {
	for _, sector := range sectorSizes {
		if b := v.at(v.size-sector, 92); b != nil && gptHeader(b) {
			return true
		}
	}
	return false
}

func gptHeader(b []byte) bool {
	if !bytes.HasPrefix(b, []byte("EFI PART")) || le.Uint32(b[12:]) != 92 {
		return false
	}
	h := bytes.Clone(b[:92])
	clear(h[16:20]) // the checksum is over the header with itself zero
	return crc32.ChecksumIEEE(h) == le.Uint32(b[16:])
}

func gpt(v *view, off, sector int64) ([]Partition, bool) {
	h := v.at(off, 92)
	if h == nil || !gptHeader(h) {
		return nil, false
	}
	first, n, size := le.Uint64(h[72:]), le.Uint32(h[80:]), le.Uint32(h[84:])
	if size < 128 || size > 4096 || size%8 != 0 || first > uint64(v.size/sector) {
		return nil, true
	}
	var out []Partition
	for i := range min(int(n), maxPartitions) {
		e := v.at(int64(first)*sector+int64(i)*int64(size), 128)
		if e == nil {
			break
		}
		if bytes.Equal(e[:16], make([]byte, 16)) {
			continue
		}
		if p, ok := span(v, i+1, le.Uint64(e[32:]), le.Uint64(e[40:]), sector); ok {
			out = append(out, p)
		}
	}
	return out, true
}

// span makes a partition of first and last sector, if it lies on the disk.
func span(v *view, number int, first, last uint64, sector int64) (Partition, bool) {
	sectors := uint64(v.size / sector)
	if first == 0 || last < first || last >= sectors {
		return Partition{}, false
	}
	return Partition{Number: number, Offset: int64(first) * sector, Size: int64(last-first+1) * sector}, true
}

func mbr(v *view) (string, []Partition) {
	b := v.at(0, 512)
	if b == nil || b[510] != 0x55 || b[511] != 0xaa {
		return "", nil
	}
	var out []Partition
	for i := range 4 {
		e := b[446+16*i:][:16]
		if e[0]&0x7f != 0 {
			return "", nil // the status byte is 0x00 or 0x80: this is other code
		}
		first, n := uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
		if e[4] == 0 || e[4] == mbrTypeGPT || n == 0 {
			continue
		}
		if extended(e[4]) {
			out = append(out, logical(v, first)...)
			continue
		}
		if p, ok := span(v, i+1, first, first+n-1, 512); ok {
			out = append(out, p)
		}
	}
	return "MBR", out
}

func extended(kind byte) bool { return kind == 0x05 || kind == 0x0f || kind == 0x85 }

// logical follows the chain of extended boot records, which may be a loop on a
// hostile disk: it is bounded.
func logical(v *view, start uint64) []Partition {
	var out []Partition
	for at, i := start, 0; i < 64; i++ {
		if at > uint64(v.size/512) {
			return out
		}
		b := v.at(int64(at)*512, 512)
		if b == nil || b[510] != 0x55 || b[511] != 0xaa {
			return out
		}
		e := b[446:]
		if first, n := uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:])); e[4] != 0 && n != 0 {
			if p, ok := span(v, 5+i, at+first, at+first+n-1, 512); ok {
				out = append(out, p)
			}
		}
		next := uint64(le.Uint32(e[16+8:]))
		if e[16+4] == 0 || next == 0 {
			return out
		}
		at = start + next
	}
	return out
}
