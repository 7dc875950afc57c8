package efivars

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net"
	"os"
	"strings"
	"testing"
)

// emptyImage is a firmware volume with an empty store of that size, as the
// template of OVMF is.
func emptyImage(size int) []byte {
	const header = 72
	image := bytes.Repeat([]byte{0xff}, header+size+512)
	clear(image[:header+storeHeaderLen])
	copy(image[volumeGUIDAt:], systemNvDataFV[:])
	binary.LittleEndian.PutUint16(image[volumeHdrLenAt:], header)
	copy(image[header:], authenticatedVariable[:])
	binary.LittleEndian.PutUint32(image[header+16:], uint32(size))
	image[header+20], image[header+21] = storeFormatted, storeHealthy
	return image
}

func TestGUID(t *testing.T) {
	// The bytes as they are in a volume header of OVMF_VARS_4M.fd.
	if got := hex.EncodeToString(systemNvDataFV[:]); got != "8d2bf1ff96768b4ca9852747075b4f50" {
		t.Errorf("bytes %s", got)
	}
	if got := GlobalVariable.String(); got != "8be4df61-93ca-11d2-aa0d-00e098032b8c" {
		t.Errorf("text %s", got)
	}
	for _, wrong := range []string{"", "8be4df6193ca11d2aa0d00e098032b8c", "8be4df61-93ca-11d2-aa0d-00e098032b8", "zbe4df61-93ca-11d2-aa0d-00e098032b8c"} {
		if _, err := ParseGUID(wrong); err == nil {
			t.Errorf("%q was taken", wrong)
		}
	}
}

// TestLoadOptionGolden holds the encoding that OVMF 2022.11 was seen to boot
// from: it showed this path as PciRoot(0x0)/Pci(0x10,0x0)/MAC(525400F5B8EB,0x1)/
// IPv4(0.0.0.0,...)/Uri(http://172.30.0.1/off.efi).
func TestLoadOptionGolden(t *testing.T) {
	mac, err := net.ParseMAC("52:54:00:f5:b8:eb")
	if err != nil {
		t.Fatal(err)
	}
	got := hex.EncodeToString(LoadOption("Lab", HTTPBoot(0x10, mac, "http://172.30.0.1/off.efi")))
	want := strings.Join([]string{
		"01000000", "7300", "4c0061006200" + "0000",
		"02010c00" + "d041030a" + "00000000",
		"01010600" + "0010",
		"030b2500" + "525400f5b8eb" + strings.Repeat("00", 26) + "01",
		"030c1b00" + strings.Repeat("00", 23),
		"03181d00" + hex.EncodeToString([]byte("http://172.30.0.1/off.efi")),
		"7fff0400",
	}, "")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	short := hex.EncodeToString(LoadOption("", HTTPBoot(0, nil, "http://a/b")))
	if want := "01000000" + "1200" + "0000" + "03180e00" + hex.EncodeToString([]byte("http://a/b")) + "7fff0400"; short != want {
		t.Errorf("got  %s\nwant %s", short, want)
	}
}

func TestVariableGolden(t *testing.T) {
	store, err := Decode(emptyImage(4096))
	if err != nil {
		t.Fatal(err)
	}
	store.SetBootNext(0x4d4c, []byte{1, 2, 3})
	image, err := store.Encode()
	if err != nil {
		t.Fatal(err)
	}
	header := "aa553f00" + "07000000" + strings.Repeat("00", 28)
	guid := "61dfe48bca93d211aa0d00e098032b8c"
	want := header + "12000000" + "03000000" + guid + "42006f006f007400340044003400430000000102" + "03" +
		"ffffff" + header + "12000000" + "02000000" + guid + "42006f006f0074004e006500780074000000" + "4c4d" + "ffff"
	if got := hex.EncodeToString(image[store.begin : store.begin+len(want)/2]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSetGetDelete(t *testing.T) {
	store, err := Decode(emptyImage(4096))
	if err != nil {
		t.Fatal(err)
	}
	vendor := MustGUID("11111111-2222-3333-4444-555555555555")
	store.Set(vendor, "Übung", []byte("one"))
	store.Set(GlobalVariable, "Übung", []byte("other namespace"))
	store.Set(vendor, "Übung", []byte("two"))
	store.SetBootNext(7, []byte("option"))
	store.ClearBootNext(7)
	store.Delete(vendor, "not there")
	image, err := store.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(image)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := again.Get(vendor, "Übung"); !ok || string(got) != "two" {
		t.Errorf("got %q, %v", got, ok)
	}
	if n := len(again.Variables()); n != 2 {
		t.Errorf("%d variables, want 2", n)
	}
	if _, ok := again.Get(GlobalVariable, "BootNext"); ok {
		t.Error("BootNext is still there")
	}
}

func TestDeletedVariablesAreDropped(t *testing.T) {
	store, err := Decode(emptyImage(4096))
	if err != nil {
		t.Fatal(err)
	}
	store.Set(GlobalVariable, "Gone", []byte("x"))
	store.Set(GlobalVariable, "Stays", []byte("y"))
	image, err := store.Encode()
	if err != nil {
		t.Fatal(err)
	}
	image[store.begin+2] &= 0xfd // VAR_DELETED, as the firmware marks it
	again, err := Decode(image)
	if err != nil {
		t.Fatal(err)
	}
	if vars := again.Variables(); len(vars) != 1 || vars[0].Name != "Stays" {
		t.Errorf("variables %v", vars)
	}
}

func TestStoreFull(t *testing.T) {
	store, err := Decode(emptyImage(256))
	if err != nil {
		t.Fatal(err)
	}
	store.Set(GlobalVariable, "Large", make([]byte, 300))
	if _, err := store.Encode(); err == nil {
		t.Error("a variable larger than the store was written")
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"empty":             func([]byte) []byte { return nil },
		"short":             func(i []byte) []byte { return i[:60] },
		"other volume":      func(i []byte) []byte { i[volumeGUIDAt]++; return i },
		"header too long":   func(i []byte) []byte { i[volumeHdrLenAt+1] = 0xff; return i },
		"other store":       func(i []byte) []byte { i[72]++; return i },
		"unhealthy store":   func(i []byte) []byte { i[72+21] = 0; return i },
		"store too large":   func(i []byte) []byte { i[72+18] = 0xff; return i },
		"variable too long": func(i []byte) []byte { copy(i[100:], []byte{0xaa, 0x55, 0x3f}); return i },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Decode(spoil(emptyImage(1024))); err == nil {
				t.Error("it was taken")
			}
		})
	}
}

// FuzzDecode: no image makes the decoder panic, and what it takes it can write
// and read again.
func FuzzDecode(f *testing.F) {
	f.Add(emptyImage(256))
	store, err := Decode(emptyImage(1024))
	if err != nil {
		f.Fatal(err)
	}
	store.SetBootNext(1, []byte("x"))
	image, err := store.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(image)
	f.Fuzz(func(t *testing.T, image []byte) {
		store, err := Decode(image)
		if err != nil {
			return
		}
		written, err := store.Encode()
		if err != nil {
			return // names without their NUL grow by it
		}
		again, err := Decode(written)
		if err != nil {
			t.Fatalf("decoding what was encoded: %v", err)
		}
		if len(again.Variables()) != len(store.Variables()) {
			t.Errorf("%d variables, want %d", len(again.Variables()), len(store.Variables()))
		}
	})
}

// TestInstalledFirmware decodes OVMF's own template on hosts that have it; the
// synthetic images above stand for it elsewhere.
func TestInstalledFirmware(t *testing.T) {
	const template = "/usr/share/OVMF/OVMF_VARS_4M.fd"
	image, err := os.ReadFile(template)
	if os.IsNotExist(err) {
		image = emptyImage(256 << 10)
	} else if err != nil {
		t.Fatal(err)
	}
	store, err := Decode(image)
	if err != nil {
		t.Fatal(err)
	}
	same, err := store.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(image, same) {
		t.Error("an empty template changed by being written")
	}
}
