package ipam

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func newPool(t testing.TB, cidr string, ranges ...string) *Pool {
	t.Helper()
	p, err := New(PoolSpec{Name: "racks", CIDR: cidr, Ranges: ranges, Reserved: []string{"10.0.0.1", "10.0.0.12"}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func claim(t testing.TB, p *Pool, owner string) string {
	t.Helper()
	a, err := p.Claim(owner)
	if err != nil {
		t.Fatal(err)
	}
	return a.String()
}

func TestClaimIsStableAndLowest(t *testing.T) {
	p := newPool(t, "10.0.0.0/24", "10.0.0.20-10.0.0.21", "10.0.0.10-10.0.0.13")
	for i, want := range []string{"10.0.0.10/24", "10.0.0.11/24", "10.0.0.13/24", "10.0.0.20/24", "10.0.0.21/24"} {
		owner := fmt.Sprintf("host/%d", i)
		if got := claim(t, p, owner); got != want {
			t.Errorf("%s has %s, want %s", owner, got, want)
		}
		if got := claim(t, p, owner); got != want {
			t.Errorf("again, %s has %s, want %s", owner, got, want)
		}
		if got, ok := p.ClaimOf(owner); !ok || got.String() != want {
			t.Errorf("ClaimOf(%s) = %s, %v", owner, got, ok)
		}
	}
	if !p.Release("host/3") || !p.Release("host/1") || p.Release("host/1") || p.Release("nobody") {
		t.Error("Release must tell whether there was a claim")
	}
	if got := claim(t, p, "new"); got != "10.0.0.11/24" {
		t.Errorf("after releases: %s, want the lowest free 10.0.0.11/24", got)
	}
	if p.Free() != 1 || p.Size() != 5 {
		t.Errorf("free %d of %d", p.Free(), p.Size())
	}
}

func TestExhausted(t *testing.T) {
	p := newPool(t, "10.0.0.0/24", "10.0.0.100-10.0.0.111")
	for i := range 12 {
		claim(t, p, fmt.Sprintf("host/n%d", i))
	}
	_, err := p.Claim("host/last")
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("%v is no fault", err)
	}
	for _, w := range []string{"too small", `"host/last"`, "all 12 addresses", "10.0.0.100 host/n0", "10.0.0.109 host/n9", "and 2 more", "10.0.0.0/24"} {
		if !strings.Contains(f.Error()+f.Detail(), w) {
			t.Errorf("%q does not say %q", f.Error(), w)
		}
	}
	if strings.Contains(f.Seen, "n10") {
		t.Errorf("more than ten holders: %s", f.Seen)
	}
	if _, err := p.Claim("host/n3"); err != nil {
		t.Errorf("who has an address keeps it in a full pool: %v", err)
	}
}

func TestClaimAddr(t *testing.T) {
	p := newPool(t, "10.0.0.0/24", "10.0.0.10-10.0.0.13")
	claim(t, p, "a")
	cases := map[string]struct{ owner, addr, word string }{
		"free":              {"b", "10.0.0.13", ""},
		"again":             {"b", "10.0.0.13", ""},
		"outside ranges":    {"vip", "10.0.0.200", ""},
		"taken":             {"c", "10.0.0.10", `claimed by "a"`},
		"another":           {"a", "10.0.0.11", "another address"},
		"reserved":          {"c", "10.0.0.1", "reserved"},
		"reserved in range": {"c", "10.0.0.12", "reserved"},
		"network":           {"c", "10.0.0.0", "network or broadcast"},
		"broadcast":         {"c", "10.0.0.255", "network or broadcast"},
		"outside":           {"c", "10.0.1.1", "outside"},
		"nobody":            {"", "10.0.0.11", "owner"},
	}
	for _, name := range []string{"free", "again", "outside ranges", "taken", "another", "reserved", "reserved in range", "network", "broadcast", "outside", "nobody"} {
		c := cases[name]
		err := p.ClaimAddr(c.owner, netip.MustParseAddr(c.addr))
		if (err == nil) != (c.word == "") || err != nil && !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: error %v, want %q", name, err, c.word)
		}
	}
	if got := claim(t, p, "d"); got != "10.0.0.11/24" {
		t.Errorf("got %s", got)
	}
	if _, err := p.Claim("e"); err == nil {
		t.Error("10.0.0.13 was claimed by address; the pool is used up")
	}
	if p.Free() != 0 {
		t.Errorf("free %d: a claim outside the ranges must not count", p.Free())
	}
}

func TestRestore(t *testing.T) {
	p := newPool(t, "10.0.0.0/24", "10.0.0.10-10.0.0.13")
	kept := map[netip.Addr]string{netip.MustParseAddr("10.0.0.11"): "a", netip.MustParseAddr("10.0.0.77"): "moved"}
	if err := p.Restore(kept); err != nil {
		t.Fatal(err)
	}
	if got := p.Claims(); !maps.Equal(got, kept) {
		t.Errorf("claims %v, want %v", got, kept)
	}
	if got := claim(t, p, "moved"); got != "10.0.0.77/24" {
		t.Errorf("an address outside the ranges is kept: %s", got)
	}
	for i, want := range []string{"10.0.0.10/24", "10.0.0.13/24"} {
		if got := claim(t, p, fmt.Sprint(i)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	before := p.Claims()
	for name, bad := range map[string]map[string]string{
		"taken":     {"10.0.0.11": "b"},
		"reserved":  {"10.0.0.1": "b"},
		"outside":   {"10.1.0.1": "b"},
		"two":       {"10.0.0.80": "b", "10.0.0.81": "b"},
		"has other": {"10.0.0.80": "a"},
		"no owner":  {"10.0.0.80": ""},
	} {
		claims := map[netip.Addr]string{netip.MustParseAddr("10.0.0.50"): "good"}
		for a, o := range bad {
			claims[netip.MustParseAddr(a)] = o
		}
		if err := p.Restore(claims); err == nil {
			t.Errorf("%s: restored %v", name, claims)
		}
		if !maps.Equal(before, p.Claims()) {
			t.Fatalf("%s: a refused Restore changed the pool: %v", name, p.Claims())
		}
	}
}

// TestRandomWalk compares a pool with the simplest model through random claims,
// claims by address, releases and restores: no address twice, stable, the lowest
// free one, exhausted exactly at Size.
func TestRandomWalk(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, cidr := range []string{"10.0.0.0/24", "2001:db8::/64"} {
		base := strings.TrimSuffix(strings.TrimSuffix(cidr, "0/24"), "/64")
		ranges := []string{base + "10-" + base + "19", base + "30", base + "40-" + base + "45"}
		spec := PoolSpec{Name: "racks", CIDR: cidr, Ranges: ranges, Reserved: []string{base + "15"}}
		p, err := New(spec)
		if err != nil {
			t.Fatal(err)
		}
		model := map[string]netip.Addr{}
		for step := range 20000 {
			owner := fmt.Sprint(rnd.IntN(p.Size() + 8))
			switch op := rnd.IntN(100); {
			case op < 55:
				checkClaim(t, p, model, owner)
			case op < 90:
				_, had := model[owner]
				if p.Release(owner) != had {
					t.Fatalf("step %d: release of %s, had %v", step, owner, had)
				}
				delete(model, owner)
			case op < 99:
				claimSome(t, p, model, owner, netip.MustParseAddr(fmt.Sprint(base, 10+rnd.IntN(40))))
			default:
				again, err := New(spec)
				if err != nil {
					t.Fatal(err)
				}
				if err := again.Restore(p.Claims()); err != nil {
					t.Fatalf("step %d: %v", step, err)
				}
				p = again
			}
		}
	}
}

func checkClaim(t *testing.T, p *Pool, model map[string]netip.Addr, owner string) {
	t.Helper()
	free := p.Free()
	want := lowest(p, model)
	if had, ok := model[owner]; ok {
		want = had
	}
	got, err := p.Claim(owner)
	if err != nil {
		if want.IsValid() || free != 0 {
			t.Fatalf("claim of %s failed with %d free: %v", owner, free, err)
		}
		return
	}
	if got.Addr() != want {
		t.Fatalf("%s got %s, want %s", owner, got, want)
	}
	model[owner] = want
}

// lowest is the model's answer: the first address of the pool nobody has.
func lowest(p *Pool, model map[string]netip.Addr) netip.Addr {
	taken := map[netip.Addr]bool{}
	for _, a := range model {
		taken[a] = true
	}
	for a := p.Prefix().Addr(); a.Compare(p.net.free[len(p.net.free)-1].To()) <= 0; a = a.Next() {
		if p.Contains(a) && !taken[a] {
			return a
		}
	}
	return netip.Addr{}
}

func claimSome(t *testing.T, p *Pool, model map[string]netip.Addr, owner string, a netip.Addr) {
	t.Helper()
	holder := p.Claims()[a]
	had, has := model[owner]
	allowed := !p.net.reserved[a] && (holder == "" || holder == owner) && (!has || had == a)
	if err := p.ClaimAddr(owner, a); (err == nil) != allowed {
		t.Fatalf("ClaimAddr(%s, %s): %v; holder %q, had %s", owner, a, err, holder, had)
	}
	if allowed {
		model[owner] = a
	}
}

func TestConcurrentClaims(t *testing.T) {
	p := newPool(t, "10.0.0.0/16", "10.0.1.0-10.0.4.255")
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				owner := fmt.Sprintf("%d/%d", w, i)
				if _, err := p.Claim(owner); err != nil {
					continue // more owners than addresses
				}
				if i%2 == 0 {
					p.Release(owner)
				}
				p.Claims()
			}
		})
	}
	wg.Wait()
	if got := p.Size() - p.Free(); got != 800 || len(p.Claims()) != 800 {
		t.Errorf("%d in use, %d claims, want 800", got, len(p.Claims()))
	}
}

func BenchmarkClaimRelease(b *testing.B) {
	for _, size := range []int{256, 65536, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p, err := New(PoolSpec{CIDR: "10.0.0.0/8", Ranges: []string{fmt.Sprintf("10.1.0.0-%s", nth(size))}})
			if err != nil {
				b.Fatal(err)
			}
			owners := make([]string, size)
			for i := range owners {
				owners[i] = fmt.Sprint("host/", i)
				if i%2 == 0 {
					claim(b, p, owners[i])
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				o := owners[(i*2+1)%size]
				if _, err := p.Claim(o); err != nil {
					b.Fatal(err)
				}
				p.Release(o)
			}
		})
	}
}

func BenchmarkFill(b *testing.B) {
	const size = 65536
	owners := make([]string, size)
	for i := range owners {
		owners[i] = fmt.Sprint("host/", i)
	}
	for b.Loop() {
		p, err := New(PoolSpec{CIDR: "10.0.0.0/8", Ranges: []string{fmt.Sprintf("10.1.0.0-%s", nth(size))}})
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range owners {
			claim(b, p, o)
		}
	}
	b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "claims/s")
}

func nth(size int) netip.Addr {
	last := 10<<24 | 1<<16 + uint32(size-1)
	return netip.AddrFrom4([4]byte{byte(last >> 24), byte(last >> 16), byte(last >> 8), byte(last)})
}
