// Package event carries progress from the engine to whoever watches: one
// record per change of phase or progress of a host or cluster.
//
// It knows nothing of transport: the agent serves events, front ends show them.
package event

import (
	"sync"
	"time"
)

// Event is one observation worth showing to a person.
type Event struct {
	// ID grows by one per event of one bus; it is the SSE event id.
	ID uint64 `json:"id"`
	// Time is when it happened.
	Time time.Time `json:"time"`
	// Kind is "facility", "host" or "cluster".
	Kind string `json:"kind"`
	// Name is the object's name.
	Name string `json:"name"`
	// Phase is the object's lifecycle phase.
	Phase string `json:"phase,omitempty"`
	// Message is one line for a person; never a secret.
	Message string `json:"message,omitempty"`
	// Done and Total are bytes of the work of this phase; Total 0 is unknown.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
	// Elapsed is the time since the phase began.
	Elapsed time.Duration `json:"elapsed_ns,omitempty"`
}

// kept is how many events a late watcher can still be given.
const kept = 4096

// Bus distributes events. The zero value is ready.
type Bus struct {
	mu      sync.Mutex
	last    uint64
	ring    []Event
	changed chan struct{}
}

// Publish gives e the next ID (and the current time, if it has none) and hands
// it to all watchers. It never blocks.
func (b *Bus) Publish(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	e.ID = b.last
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	b.ring = append(b.ring, e)
	if len(b.ring) > kept {
		b.ring = append(b.ring[:0:0], b.ring[len(b.ring)-kept:]...)
	}
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
}

// After gives the kept events with an ID above id, and a channel that is closed
// at the next Publish: a watcher that reads in a loop misses nothing that is
// still kept and cannot slow the publisher.
func (b *Bus) After(id uint64) ([]Event, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	i := len(b.ring)
	for i > 0 && b.ring[i-1].ID > id {
		i--
	}
	return append([]Event(nil), b.ring[i:]...), b.changed
}
