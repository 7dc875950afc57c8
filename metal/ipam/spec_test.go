package ipam

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestNewRefuses(t *testing.T) {
	const cidr = "172.30.0.0/24"
	cases := map[string]struct {
		spec      PoolSpec
		attribute string
		words     []string
	}{
		"no subnet":           {PoolSpec{CIDR: "", Ranges: []string{"172.30.0.9"}}, "cidr", []string{`""`}},
		"subnet with bits":    {PoolSpec{CIDR: "172.30.0.1/24", Ranges: []string{"172.30.0.9"}}, "cidr", []string{"172.30.0.0/24"}},
		"no ranges":           {PoolSpec{CIDR: cidr}, "pool", []string{"no ranges"}},
		"outside":             {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.9", "172.30.1.1-172.30.1.9"}}, "pool[1]", []string{"172.30.1.1-172.30.1.9", cidr}},
		"partly outside":      {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.250-172.30.1.9"}}, "pool[0]", []string{"outside"}},
		"other family":        {PoolSpec{CIDR: cidr, Ranges: []string{"2001:db8::1"}}, "pool[0]", []string{"outside"}},
		"reversed":            {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.9-172.30.0.1"}}, "pool[0]", []string{"reversed"}},
		"overlap":             {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.9-172.30.0.20", "172.30.0.30", "172.30.0.16/28"}}, "pool[2]", []string{"172.30.0.9-172.30.0.20", "pool[0]", "172.30.0.16/28"}},
		"same twice":          {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.9", "172.30.0.9"}}, "pool[1]", []string{"overlap"}},
		"network address":     {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.0-172.30.0.9"}}, "pool[0]", []string{"network address 172.30.0.0"}},
		"whole subnet":        {PoolSpec{CIDR: cidr, Ranges: []string{cidr}}, "pool[0]", []string{"network address", "172.30.0.1-172.30.0.254"}},
		"broadcast":           {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.255"}}, "pool[0]", []string{"broadcast address 172.30.0.255"}},
		"empty range":         {PoolSpec{CIDR: cidr, Ranges: []string{""}}, "pool[0]", []string{"malformed"}},
		"half a range":        {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.9-"}}, "pool[0]", []string{"malformed"}},
		"short form":          {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.9-20"}}, "pool[0]", []string{"malformed", `"20"`}},
		"three parts":         {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.1-172.30.0.2-172.30.0.3"}}, "pool[0]", []string{"malformed"}},
		"range with bits":     {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.17/28"}}, "pool[0]", []string{"172.30.0.16/28"}},
		"mixed families":      {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.1-2001:db8::1"}}, "pool[0]", []string{"mixed"}},
		"reserved no address": {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.9"}, Reserved: []string{"172.30.0.1", "gw"}}, "reserved[1]", []string{`"gw"`}},
		"all reserved":        {PoolSpec{CIDR: cidr, Ranges: []string{"172.30.0.9"}, Reserved: []string{"172.30.0.9"}}, "pool", []string{"reserved"}},
		"anycast":             {PoolSpec{CIDR: "2001:db8::/64", Ranges: []string{"2001:db8::-2001:db8::9"}}, "pool[0]", []string{"network address"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.spec.Name = "racks"
			_, err := New(c.spec)
			var f *fault.Error
			if !errors.As(err, &f) {
				t.Fatalf("error %v is no fault", err)
			}
			if f.Attribute != c.attribute || f.Class != fault.NeedsPerson || f.Subject != `pool "racks"` {
				t.Errorf("attribute %q, class %q, subject %q; want attribute %q", f.Attribute, f.Class, f.Subject, c.attribute)
			}
			text := f.Error() + f.Detail()
			for _, w := range c.words {
				if !strings.Contains(text, w) {
					t.Errorf("%q does not say %q", text, w)
				}
			}
		})
	}
}

func TestSizes(t *testing.T) {
	cases := []struct {
		spec PoolSpec
		size int
	}{
		{PoolSpec{CIDR: "10.0.0.0/24", Ranges: []string{"10.0.0.1-10.0.0.254"}}, 254},
		{PoolSpec{CIDR: "10.0.0.0/24", Ranges: []string{"10.0.0.1 - 10.0.0.10"}, Reserved: []string{"10.0.0.1", "10.0.0.5", "10.0.0.99", "192.0.2.1"}}, 8},
		{PoolSpec{CIDR: "10.0.0.0/24", Ranges: []string{"10.0.0.64/26", "10.0.0.2"}}, 65},
		{PoolSpec{CIDR: "10.0.0.0/31", Ranges: []string{"10.0.0.0/31"}}, 2},
		{PoolSpec{CIDR: "10.0.0.7/32", Ranges: []string{"10.0.0.7"}}, 1},
		{PoolSpec{CIDR: "0.0.0.0/0", Ranges: []string{"0.0.0.1-255.255.255.254"}}, 1<<32 - 2},
		{PoolSpec{CIDR: "2001:db8::/120", Ranges: []string{"2001:db8::1-2001:db8::ff"}}, 255},
		{PoolSpec{CIDR: "2001:db8::/32", Ranges: []string{"2001:db8:1::/48"}}, int(^uint(0) >> 1)},
	}
	for _, c := range cases {
		p, err := New(c.spec)
		if err != nil {
			t.Fatalf("pool %v: %v", c.spec, err)
		}
		if p.Size() != c.size || p.Free() != c.size {
			t.Errorf("pool %v: size %d, free %d, want %d", c.spec, p.Size(), p.Free(), c.size)
		}
	}
}

func FuzzRange(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "10.0.0.1-10.0.0.9", "10.0.0.0/28", "10.0.0.9-10.0.0.1", "::1-::2", "10.0.0.1-", "-", "/", "10.0.0.255", "fe80::1%eth0", "::ffff:10.0.0.1"} {
		f.Add("10.0.0.0/24", s)
		f.Add("2001:db8::/64", s)
	}
	f.Fuzz(func(t *testing.T, cidr, text string) {
		p, err := New(PoolSpec{Name: "fuzz", CIDR: cidr, Ranges: []string{text}})
		if err != nil {
			if fault.ClassOf(err) != fault.NeedsPerson {
				t.Fatalf("%q in %q: class %s of %v", text, cidr, fault.ClassOf(err), err)
			}
			return
		}
		prefix := netip.MustParsePrefix(cidr)
		got, err := p.Claim("o")
		if err != nil {
			t.Fatalf("%q in %q: accepted, but gives nothing: %v", text, cidr, err)
		}
		if !prefix.Contains(got.Addr()) || got.Bits() != prefix.Bits() || !p.Contains(got.Addr()) {
			t.Fatalf("%q in %q gives %s", text, cidr, got)
		}
	})
}
