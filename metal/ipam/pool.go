package ipam

import (
	"container/heap"
	"fmt"
	"maps"
	"math"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"go4.org/netipx"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Pool hands out the addresses of one subnet. All methods may be called
// concurrently.
//
// Claim costs O(log n) at worst and its memory grows with the claims, not with
// the size of the pool, so an IPv6 /64 is as good as an IPv4 /24: addresses
// below the cursor are claimed or in the released heap, those above were never
// handed out by Claim.
type Pool struct {
	name string
	net  *subnet
	size int

	mu      sync.Mutex
	byAddr  map[netip.Addr]string
	byOwner map[string]netip.Addr
	inside  int // how many claims lie in the ranges
	// cursor is the lowest address that Claim has not yet passed, in
	// net.free[span]; span is len(net.free) at the end.
	cursor   netip.Addr
	span     int
	released addrHeap
	// queued are the addresses in released, so that none is there twice.
	queued map[netip.Addr]bool
}

// New gives an empty pool. A fault names the attribute that is wrong: "cidr",
// "pool[1]", "reserved[0]".
func New(spec PoolSpec) (*Pool, error) {
	s, err := spec.parse()
	if err != nil {
		f := fault.From(err)
		f.Subject = fmt.Sprintf("pool %q", spec.Name)
		return nil, f
	}
	return &Pool{
		name: spec.Name, net: s, size: count(s),
		byAddr: map[netip.Addr]string{}, byOwner: map[string]netip.Addr{}, queued: map[netip.Addr]bool{},
		cursor: s.free[0].From(),
	}, nil
}

// Restore adds claims that were kept from an earlier life of the pool, all or
// none of them. A claim outside the ranges (they were changed since) is kept:
// its owner uses the address. One that is reserved, or outside the subnet, is a
// fault, as is an owner with two addresses.
func (p *Pool) Restore(claims map[netip.Addr]string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	owners := maps.Clone(p.byOwner)
	for _, key := range slices.SortedFunc(maps.Keys(claims), netip.Addr.Compare) {
		a, owner := key.Unmap(), claims[key]
		if err := p.check(owner, a); err != nil {
			return err
		}
		if had, ok := owners[owner]; ok && had != a {
			return p.problem("an owner has two addresses", fmt.Sprintf("%s and %s of %q", had, a, owner), "one address for each owner")
		}
		owners[owner] = a
	}
	for a, owner := range claims {
		p.put(owner, a.Unmap())
	}
	return nil
}

// Claim gives owner its address with the subnet's prefix length: the one that
// it has, or else the lowest free one. A pool that is used up is a fault that
// lists up to ten of those who hold addresses.
func (p *Pool) Claim(owner string) (netip.Prefix, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.byOwner[owner]; ok {
		return p.prefix(a), nil
	}
	if owner == "" {
		return netip.Prefix{}, p.problem("a claim needs an owner", "an empty owner", "a name")
	}
	a, ok := p.next()
	if !ok {
		return netip.Prefix{}, p.exhausted(owner)
	}
	p.put(owner, a)
	return p.prefix(a), nil
}

// ClaimAddr claims a certain address for owner: any usable one of the subnet
// that is not reserved, also outside the ranges. Claiming what one has is no
// error; having another address is.
func (p *Pool) ClaimAddr(owner string, a netip.Addr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	a = a.Unmap()
	if err := p.check(owner, a); err != nil {
		return err
	}
	if had, ok := p.byOwner[owner]; ok && had != a {
		return p.problem("the owner has another address", fmt.Sprintf("%q has %s and asks for %s", owner, had, a), "one address for each owner")
	}
	p.put(owner, a)
	return nil
}

// Release frees the address of owner and tells whether it had one.
func (p *Pool) Release(owner string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.byOwner[owner]
	if !ok {
		return false
	}
	delete(p.byOwner, owner)
	delete(p.byAddr, a)
	if p.inRanges(a) {
		p.inside--
		if p.passed(a) && !p.queued[a] {
			p.queued[a] = true
			heap.Push(&p.released, a)
		}
	}
	return true
}

// ClaimOf gives the address of owner with the subnet's prefix length.
func (p *Pool) ClaimOf(owner string) (netip.Prefix, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.byOwner[owner]
	if !ok {
		return netip.Prefix{}, false
	}
	return p.prefix(a), true
}

// Claims gives a copy of all claims, address to owner: what Restore takes.
func (p *Pool) Claims() map[netip.Addr]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.byAddr)
}

// Size is how many addresses Claim can hand out at once; math.MaxInt when there
// are more than that.
func (p *Pool) Size() int { return p.size }

// Free is how many addresses Claim can still hand out.
func (p *Pool) Free() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size - p.inside
}

// Contains tells whether a is one of the addresses that Claim hands out.
func (p *Pool) Contains(a netip.Addr) bool { return p.inRanges(a.Unmap()) }

// Prefix is the subnet.
func (p *Pool) Prefix() netip.Prefix { return p.net.prefix }

func (p *Pool) prefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, p.net.prefix.Bits()) }

// next gives the lowest free address. Released addresses lie below the cursor,
// so they come first; some of them may have been claimed by ClaimAddr since.
func (p *Pool) next() (netip.Addr, bool) {
	for len(p.released) > 0 {
		a := heap.Pop(&p.released).(netip.Addr)
		delete(p.queued, a)
		if _, taken := p.byAddr[a]; !taken {
			return a, true
		}
	}
	for p.span < len(p.net.free) {
		a := p.cursor
		if a == p.net.free[p.span].To() {
			p.span++
			if p.span < len(p.net.free) {
				p.cursor = p.net.free[p.span].From()
			}
		} else {
			p.cursor = a.Next()
		}
		if _, taken := p.byAddr[a]; !taken {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// passed tells whether the cursor is beyond a.
func (p *Pool) passed(a netip.Addr) bool {
	return p.span == len(p.net.free) || a.Less(p.cursor)
}

func (p *Pool) put(owner string, a netip.Addr) {
	if _, had := p.byAddr[a]; !had && p.inRanges(a) {
		p.inside++
	}
	p.byAddr[a], p.byOwner[owner] = owner, a
}

// inRanges is a binary search: the ranges are sorted and disjoint.
func (p *Pool) inRanges(a netip.Addr) bool {
	i, found := slices.BinarySearchFunc(p.net.free, a, func(r netipx.IPRange, a netip.Addr) int { return r.From().Compare(a) })
	return found || i > 0 && p.net.free[i-1].Contains(a)
}

// check tells whether owner may have a, apart from what else it has.
func (p *Pool) check(owner string, a netip.Addr) error {
	network, broadcast := unusable(p.net.prefix)
	holder, taken := p.byAddr[a]
	switch {
	case owner == "":
		return p.problem("a claim needs an owner", fmt.Sprintf("an empty owner for %s", a), "a name")
	case !p.net.prefix.Contains(a):
		return p.problem("address outside the subnet", fmt.Sprintf("%s for %q", a, owner), "an address in "+p.net.prefix.String())
	case a == network || a == broadcast:
		return p.problem("network or broadcast address", fmt.Sprintf("%s for %q", a, owner), "an address of "+usable(p.net.prefix))
	case p.net.reserved[a]:
		return p.problem("reserved address", fmt.Sprintf("%s for %q", a, owner), "an address that is not the gateway's or the agent's")
	case taken && holder != owner:
		return p.problem("address in use", fmt.Sprintf("%s is claimed by %q; asked for by %q", a, holder, owner), "an address that is free")
	}
	return nil
}

func (p *Pool) problem(summary, seen, expected string) *fault.Error {
	return &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("pool %q", p.name), Attribute: "pool", Summary: summary, Seen: seen, Expected: expected,
		Advice: "choose another address, or release the owner that holds it"}
}

// listed is how many holders a message names.
const listed = 10

func (p *Pool) exhausted(owner string) *fault.Error {
	holders := slices.SortedFunc(maps.Keys(p.byAddr), netip.Addr.Compare)
	more := len(holders) - listed
	if more > 0 {
		holders = holders[:listed]
	}
	names := make([]string, len(holders))
	for i, a := range holders {
		names[i] = fmt.Sprintf("%s %s", a, p.byAddr[a])
	}
	if more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("pool %q", p.name), Attribute: "pool",
		Summary:  fmt.Sprintf("the pool is too small: no address is free for %q", owner),
		Seen:     fmt.Sprintf("all %d addresses are in use (%s)", p.size, strings.Join(names, ", ")),
		Expected: "one address for every host and endpoint",
		Advice:   fmt.Sprintf("add a range of %s to the pool, or release what is not needed any more", p.net.prefix)}
}

// count saturates at math.MaxInt.
func count(s *subnet) int {
	sum := new(big.Int)
	for _, r := range s.free {
		from, to := new(big.Int).SetBytes(r.From().AsSlice()), new(big.Int).SetBytes(r.To().AsSlice())
		sum.Add(sum, to.Sub(to, from).Add(to, big.NewInt(1)))
	}
	if !sum.IsInt64() || sum.Int64() > math.MaxInt {
		return math.MaxInt
	}
	return int(sum.Int64())
}
