package installer

import (
	"bytes"
	"testing"
	"testing/quick"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

func TestMarkRoundTripProperty(t *testing.T) {
	check := func(host, deployment string, complete bool, at uint16, bit uint8) bool {
		m := order.Mark{Host: host[:min(len(host), 200)], Deployment: deployment[:min(len(deployment), 200)], Complete: complete}
		m.Host, m.Deployment = string(bytes.ToValidUTF8([]byte(m.Host), nil)), string(bytes.ToValidUTF8([]byte(m.Deployment), nil))
		b, err := encodeMark(m)
		if err != nil || len(b) != markSize {
			return false
		}
		if got := decodeMark(b); got == nil || *got != m {
			return false
		}
		// One flipped bit anywhere gives the same mark (padding) or none, never another.
		b[int(at)%markSize] ^= 1 << (bit % 8)
		got := decodeMark(b)
		return got == nil || *got == m
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

func TestMarkTooLarge(t *testing.T) {
	if _, err := encodeMark(order.Mark{Host: string(bytes.Repeat([]byte("x"), markSize))}); err == nil {
		t.Error("a mark that does not fit was encoded")
	}
}

func TestReadMarkOfSmallDisk(t *testing.T) {
	if m, err := ReadMark(bytes.NewReader(make([]byte, 1000))); m != nil || err != nil {
		t.Errorf("%v, %v", m, err)
	}
}

func FuzzDecodeMark(f *testing.F) {
	b, err := encodeMark(order.Mark{Host: "h"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) { decodeMark(b) })
}
