package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/ipam"
)

// ipamSpans are how many addresses are claimed already, from and to.
var ipamSpans = []struct {
	name     string
	from, to int
}{{"first 100", 0, 100}, {"100 to 1,000", 100, 1000}, {"1,000 to 10,000", 1000, 10000}, {"10,000 to 60,000", 10000, 60000}}

// ipamRates are claims per second by the name of the span, and the heap bytes
// per address after the last claim. The module peers prints the same.
type ipamRates struct {
	Rates map[string]float64 `json:"rates"`
	Heap  float64            `json:"heap"`
}

func benchIPAM(ctx context.Context, o options) error {
	heading("Addresses: claims per second")
	rows := []string{"metal, IPv4 /16", "metal, IPv6 /64"}
	programs := map[string][]string{rows[0]: {"", "10.1.0.0/16"}, rows[1]: {"", "fd00:1::/64"}}
	if o.peers != "" {
		for _, cidr := range []string{"10.1.0.0/16", "fd00:1::/64"} {
			row := "go-ipam v1.14.8 in memory, " + map[bool]string{true: "IPv4 /16", false: "IPv6 /64"}[netip.MustParsePrefix(cidr).Addr().Is4()]
			rows = append(rows, row)
			programs[row] = []string{o.peers, cidr}
		}
	}
	s := samples{}
	for round := range o.runs {
		for _, row := range rows {
			progress("addresses: round %d, %s", round+1, row)
			if err := ipamRound(ctx, s, row, programs[row]); err != nil {
				return err
			}
		}
	}
	var columns []column
	for _, span := range ipamSpans {
		columns = append(columns, column{span.name, "%.0f"})
	}
	s.print(os.Stdout, "addresses claimed already", rows, append(columns, column{"heap bytes per address", "%.0f"}))
	note("Each claim has an owner of its own. A span that takes longer than 6 s is cut short and its rate is that of the claims made; \"-\" was not reached within that time. The addresses live in memory on both sides; durable claims are the agent's and are not measured here.")
	if o.peers == "" {
		note("Not measured: go-ipam (the module peers could not be built).")
	}
	return nil
}

func ipamRound(ctx context.Context, s samples, row string, program []string) error {
	var c *exec.Cmd
	if program[0] == "" {
		var err error
		if c, err = command(ctx, "ipam-claims", program[1]); err != nil {
			return err
		}
	} else {
		c = exec.CommandContext(ctx, program[0], "ipam-claims", program[1])
	}
	var got ipamRates
	if err := output(c, &got); err != nil {
		return err
	}
	for name, rate := range got.Rates {
		s.add(row, name, rate)
	}
	s.add(row, "heap bytes per address", got.Heap)
	return nil
}

// ipamClaims fills one pool, as a process of its own.
func ipamClaims(_ context.Context, args []string) error {
	prefix, err := netip.ParsePrefix(args[0])
	if err != nil {
		return fmt.Errorf("parsing %q: %w", args[0], err)
	}
	// Neither the network address (for IPv6 the routers' anycast address) nor the last can be handed out.
	spec := ipam.PoolSpec{CIDR: args[0], Ranges: []string{fmt.Sprintf("%s-%s", prefix.Masked().Addr().Next(), last(prefix).Prev())}}
	pool, err := ipam.New(spec)
	if err != nil {
		return err
	}
	most := ipamSpans[len(ipamSpans)-1].to
	owners := make([]string, most) // the caller's, not the pool's
	for i := range owners {
		owners[i] = fmt.Sprintf("host/%d", i)
	}
	got := ipamRates{Rates: map[string]float64{}}
	before := heap()
	for _, span := range ipamSpans {
		began := time.Now()
		for i := span.from; i < span.to; i++ {
			if _, err := pool.Claim(owners[i]); err != nil {
				return err
			}
		}
		got.Rates[span.name] = float64(span.to-span.from) / time.Since(began).Seconds()
	}
	got.Heap = float64(heap()-before) / float64(most)
	runtime.KeepAlive(pool)
	runtime.KeepAlive(owners)
	return json.NewEncoder(os.Stdout).Encode(got)
}

// last is the last address of a subnet.
func last(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(a); bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(a) // it has an address's length
	return addr
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
