package installer

import (
	"context"
	"sync"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// inventoryStore holds the last inventory and whether the agent has it.
type inventoryStore struct {
	mu       sync.Mutex
	current  *order.Inventory
	version  uint64
	reported uint64
}

func (s *inventoryStore) set(inv order.Inventory) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.version = &inv, s.version+1
}

// amend changes a copy: the old one may be on its way to the agent.
func (s *inventoryStore) amend(f func(*order.Inventory)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || f == nil {
		return
	}
	inv := *s.current
	inv.Disks = append([]order.Disk(nil), inv.Disks...)
	inv.NICs = append([]order.NIC(nil), inv.NICs...)
	f(&inv)
	s.current, s.version = &inv, s.version+1
}

// due gives the inventory when the agent does not have it yet, and its version.
func (s *inventoryStore) due() (*order.Inventory, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reported == s.version {
		return nil, s.version
	}
	return s.current, s.version
}

func (s *inventoryStore) sent(version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reported = version
}

// resend makes the next report carry the inventory: the session is new.
func (s *inventoryStore) resend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reported = 0
}

func (r *runner) inspect(ctx context.Context) error {
	inv, err := r.machine.Inspector.Inspect(ctx)
	if err != nil {
		return err
	}
	r.store.set(inv)
	return nil
}
