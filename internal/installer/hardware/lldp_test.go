package hardware

import (
	"strings"
	"testing"
)

func tlv(kind int, value string) string {
	return string([]byte{byte(kind<<1 | len(value)>>8), byte(len(value))}) + value
}

func TestParseLLDP(t *testing.T) {
	mac := "\x04\x00\x11\x22\x33\x44\x55"
	for want, frame := range map[string]string{
		"leaf-1 / Ethernet12":         tlv(1, mac) + tlv(2, "\x05Ethernet12") + tlv(3, "\x00\x78") + tlv(5, "leaf-1") + tlv(0, ""),
		"00:11:22:33:44:55 / eth\x37": tlv(1, mac) + tlv(2, "\x05eth7") + tlv(0, ""),
		"sw / 00:11:22:33:44:55":      tlv(1, mac) + tlv(2, "\x03"+mac[1:]) + tlv(5, "s\x00\x1bw") + tlv(0, "") + tlv(5, "after the end"),
	} {
		if got := parseLLDP([]byte(frame)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, frame := range []string{"", "\x02", tlv(1, mac), "\x03\xff" + mac, tlv(5, "only a name")} {
		if got := parseLLDP([]byte(frame)); got != "" {
			t.Errorf("%q gave %q", frame, got)
		}
	}
}

func FuzzParseLLDP(f *testing.F) {
	f.Add([]byte(tlv(1, "\x07x") + tlv(2, "\x05y") + tlv(5, "z")))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := parseLLDP(b)
		if len(got) > 2000 || strings.ContainsFunc(got, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			t.Errorf("%q", got)
		}
	})
}
