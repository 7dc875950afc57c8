package installer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// The mark is one block in the gap that every partitioning tool leaves before
// the first partition at 1 MiB, so that no file system and no partition table
// touches it: magic, version, length and checksum of the JSON that follows.
const (
	markSize   = 4096
	markOffset = 1<<20 - markSize
	markHeader = 8 + 4 + 4 + 4
)

var markMagic = []byte("METALMK\x01")

// markRange is where the mark lies.
var markRange = image.Range{Offset: markOffset, Length: markSize}

func encodeMark(m order.Mark) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding the disk's mark: %w", err)
	}
	if len(body) > markSize-markHeader {
		return nil, fmt.Errorf("encoding the disk's mark: %d bytes are too many", len(body))
	}
	b := make([]byte, markSize)
	copy(b, markMagic)
	binary.LittleEndian.PutUint32(b[8:], 1)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[16:], crc32.ChecksumIEEE(body))
	copy(b[markHeader:], body)
	return b, nil
}

// decodeMark gives nil for everything that is not a whole mark.
func decodeMark(b []byte) *order.Mark {
	if len(b) < markSize || !bytes.HasPrefix(b, markMagic) || binary.LittleEndian.Uint32(b[8:]) != 1 {
		return nil
	}
	n := binary.LittleEndian.Uint32(b[12:])
	if n > markSize-markHeader {
		return nil
	}
	body := b[markHeader:][:n]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(b[16:]) {
		return nil
	}
	var m order.Mark
	if json.Unmarshal(body, &m) != nil {
		return nil
	}
	return &m
}

// ReadMark gives the mark of a disk, or nil when it has none.
func ReadMark(r io.ReaderAt) (*order.Mark, error) {
	b := make([]byte, markSize)
	n, err := r.ReadAt(b, markOffset)
	if n < markSize {
		if err == io.EOF || err == nil {
			return nil, nil // a disk of less than 1 MiB
		}
		return nil, fmt.Errorf("reading the disk's mark: %w", err)
	}
	return decodeMark(b), nil
}

// writeMark puts m on the disk, durably; nil clears the place.
func writeMark(d image.Target, m *order.Mark) error {
	b := make([]byte, markSize)
	if m != nil {
		var err error
		if b, err = encodeMark(*m); err != nil {
			return err
		}
	}
	if _, err := d.WriteAt(b, markOffset); err != nil {
		return fmt.Errorf("writing the disk's mark: %w", err)
	}
	return d.Sync()
}
