package efivars

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf16"
)

// Sizes and marks of EDK2's VARIABLE_STORE_HEADER and
// AUTHENTICATED_VARIABLE_HEADER (MdeModulePkg/Include/Guid/VariableFormat.h).
const (
	volumeGUIDAt   = 16
	volumeHdrLenAt = 48
	storeHeaderLen = 28
	varHeaderLen   = 60
	startID        = 0x55aa
	stateAdded     = 0x3f
	storeFormatted = 0x5a
	storeHealthy   = 0xfe
)

// Attributes of a variable that survives a reset and is seen by boot services
// and the operating system.
const NonVolatileBootRuntime = 0x7

// Variable is one live variable.
type Variable struct {
	Name       string
	Vendor     GUID
	Attributes uint32
	Data       []byte
	// auth is the part of the header between attributes and name size
	// (monotonic count, time stamp, key index), kept as it was.
	auth [28]byte
}

// Store is a decoded variable store. Changes are made by Set and Delete, and
// come into effect in the image that Encode gives.
type Store struct {
	image      []byte
	begin, end int
	vars       []Variable
}

// Decode reads the variable store of a firmware image. Deleted and half
// written variables are left out, as the firmware's own reclaim does.
func Decode(image []byte) (*Store, error) {
	if len(image) < volumeHdrLenAt+2 || !bytes.Equal(image[volumeGUIDAt:volumeGUIDAt+16], systemNvDataFV[:]) {
		return nil, fmt.Errorf("reading variable store of %d bytes: not a firmware volume of variables", len(image))
	}
	header := int(binary.LittleEndian.Uint16(image[volumeHdrLenAt:]))
	if header+storeHeaderLen > len(image) {
		return nil, fmt.Errorf("reading variable store: volume header of %d bytes does not fit into %d", header, len(image))
	}
	h := image[header:]
	if !bytes.Equal(h[:16], authenticatedVariable[:]) || h[20] != storeFormatted || h[21] != storeHealthy {
		return nil, fmt.Errorf("reading variable store: no healthy authenticated store at offset %d", header)
	}
	size := int(binary.LittleEndian.Uint32(h[16:]))
	if size < storeHeaderLen || size > len(h) {
		return nil, fmt.Errorf("reading variable store: size %d does not fit into %d bytes", size, len(h))
	}
	s := &Store{image: bytes.Clone(image), begin: header + storeHeaderLen, end: header + size}
	return s, s.decodeAll()
}

func (s *Store) decodeAll() error {
	for at := s.begin; at+varHeaderLen <= s.end; {
		h := s.image[at:s.end]
		if binary.LittleEndian.Uint16(h) != startID {
			return nil
		}
		nameSize := int(binary.LittleEndian.Uint32(h[36:]))
		dataSize := int(binary.LittleEndian.Uint32(h[40:]))
		total := varHeaderLen + nameSize + dataSize
		if nameSize < 0 || dataSize < 0 || nameSize > len(h) || dataSize > len(h) || total > len(h) {
			return fmt.Errorf("reading variable at offset %d: name of %d and data of %d bytes do not fit", at, nameSize, dataSize)
		}
		if h[2] == stateAdded {
			v := Variable{
				Name:       decodeUCS2(h[varHeaderLen : varHeaderLen+nameSize]),
				Vendor:     GUID(h[44:60]),
				Attributes: binary.LittleEndian.Uint32(h[4:]),
				Data:       bytes.Clone(h[varHeaderLen+nameSize : total]),
			}
			copy(v.auth[:], h[8:36])
			s.vars = append(s.vars, v)
		}
		at = align4(at + total)
	}
	return nil
}

// Variables gives the live variables in the order of the store.
func (s *Store) Variables() []Variable { return slices.Clone(s.vars) }

// Get gives the data of a variable.
func (s *Store) Get(vendor GUID, name string) ([]byte, bool) {
	i := s.index(vendor, name)
	if i < 0 {
		return nil, false
	}
	return bytes.Clone(s.vars[i].Data), true
}

// Set adds or replaces a variable that needs no authentication.
func (s *Store) Set(vendor GUID, name string, data []byte) {
	v := Variable{Name: name, Vendor: vendor, Attributes: NonVolatileBootRuntime, Data: bytes.Clone(data)}
	if i := s.index(vendor, name); i >= 0 {
		s.vars[i] = v
		return
	}
	s.vars = append(s.vars, v)
}

// Delete removes a variable; one that is not there is no error.
func (s *Store) Delete(vendor GUID, name string) {
	if i := s.index(vendor, name); i >= 0 {
		s.vars = slices.Delete(s.vars, i, i+1)
	}
}

func (s *Store) index(vendor GUID, name string) int {
	return slices.IndexFunc(s.vars, func(v Variable) bool { return v.Vendor == vendor && v.Name == name })
}

// Encode gives the firmware image with the present variables, one after the
// other without gaps. It fails when they do not fit.
func (s *Store) Encode() ([]byte, error) {
	image := bytes.Clone(s.image)
	for i := s.begin; i < s.end; i++ {
		image[i] = 0xff
	}
	at := s.begin
	for _, v := range s.vars {
		raw := v.encode()
		if at+len(raw) > s.end {
			return nil, fmt.Errorf("writing variable %q: store of %d bytes is full", v.Name, s.end-s.begin)
		}
		copy(image[at:], raw)
		at = align4(at + len(raw))
	}
	return image, nil
}

func (v Variable) encode() []byte {
	name := encodeUCS2(v.Name)
	raw := make([]byte, varHeaderLen, varHeaderLen+len(name)+len(v.Data))
	binary.LittleEndian.PutUint16(raw, startID)
	raw[2] = stateAdded
	binary.LittleEndian.PutUint32(raw[4:], v.Attributes)
	copy(raw[8:36], v.auth[:])
	binary.LittleEndian.PutUint32(raw[36:], uint32(len(name)))
	binary.LittleEndian.PutUint32(raw[40:], uint32(len(v.Data)))
	copy(raw[44:], v.Vendor[:])
	return append(append(raw, name...), v.Data...)
}

func align4(n int) int { return (n + 3) &^ 3 }

func encodeUCS2(text string) []byte {
	var raw []byte
	for _, unit := range append(utf16.Encode([]rune(text)), 0) {
		raw = binary.LittleEndian.AppendUint16(raw, unit)
	}
	return raw
}

func decodeUCS2(raw []byte) string {
	var units []uint16
	for ; len(raw) >= 2; raw = raw[2:] {
		unit := binary.LittleEndian.Uint16(raw)
		if unit == 0 {
			break
		}
		units = append(units, unit)
	}
	return string(utf16.Decode(units))
}
