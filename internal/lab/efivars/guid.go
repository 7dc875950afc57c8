package efivars

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// GUID is an EFI_GUID in its binary form: the first three fields little-endian
// (UEFI 2.10, appendix A).
type GUID [16]byte

// GlobalVariable is EFI_GLOBAL_VARIABLE, the namespace of Boot####, BootOrder
// and BootNext.
var GlobalVariable = MustGUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")

// The GUIDs that mark the firmware volume of variables and the authenticated
// variable store in it (EDK2, MdeModulePkg/Include/Guid).
var (
	systemNvDataFV        = MustGUID("fff12b8d-7696-4c8b-a985-2747075b4f50")
	authenticatedVariable = MustGUID("aaf32c78-947b-439a-a180-2e144ec37792")
)

// ParseGUID reads the text form.
func ParseGUID(text string) (GUID, error) {
	var g GUID
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != len(g) || strings.Count(text, "-") != 4 {
		return g, fmt.Errorf("parsing GUID %q: want xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", text)
	}
	binary.LittleEndian.PutUint32(g[0:], binary.BigEndian.Uint32(raw[0:]))
	binary.LittleEndian.PutUint16(g[4:], binary.BigEndian.Uint16(raw[4:]))
	binary.LittleEndian.PutUint16(g[6:], binary.BigEndian.Uint16(raw[6:]))
	copy(g[8:], raw[8:])
	return g, nil
}

// MustGUID is ParseGUID for constants.
func MustGUID(text string) GUID {
	g, err := ParseGUID(text)
	if err != nil {
		panic(err)
	}
	return g
}

// String gives the text form.
func (g GUID) String() string {
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(g[0:]),
		binary.LittleEndian.Uint16(g[4:]), binary.LittleEndian.Uint16(g[6:]), g[8:10], g[10:])
}
