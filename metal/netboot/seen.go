package netboot

import (
	"net/netip"
	"sync"
)

// seen remembers who has been seen, within bounds that a hostile segment can't
// exceed.
type seen struct {
	mu       sync.Mutex
	once     map[string]bool
	byRemote map[netip.Addr]Client
}

// seenLimit bounds each of the maps of seen. When one is full it is emptied:
// the price is a repeated log line, or a TFTP transfer without a name.
const seenLimit = 4096

func newSeen() *seen {
	return &seen{once: map[string]bool{}, byRemote: map[netip.Addr]Client{}}
}

// first tells whether this is the first time that key is asked for.
func (s *seen) first(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.once[key] {
		return false
	}
	if len(s.once) >= seenLimit {
		clear(s.once)
	}
	s.once[key] = true
	return true
}

// confirmed remembers whose address it is.
func (s *seen) confirmed(c Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byRemote) >= seenLimit {
		clear(s.byRemote)
	}
	c.Boot = nil // a name and a MAC are all that is wanted of it
	s.byRemote[c.Addr.Addr()] = c
}

// who has the address, as far as DHCP has told.
func (s *seen) who(a netip.Addr) (Client, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.byRemote[a.Unmap()]
	return c, ok
}
