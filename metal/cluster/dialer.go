package cluster

import (
	"context"
	"errors"
	"net"
	"sync"
)

var errClosed = errors.New("the connection to the cluster was closed")

// dialer remembers what it dialled, so that closing leaves nothing behind: the
// HTTP transport keeps a connection that came up after its request was cancelled.
type dialer struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	open   map[*dialled]struct{}
	closed bool
}

type dialled struct {
	net.Conn
	from *dialer
}

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errors.Join(errClosed, conn.Close())
	}
	if d.open == nil {
		d.open = map[*dialled]struct{}{}
	}
	c := &dialled{conn, d}
	d.open[c] = struct{}{}
	return c, nil
}

// Close ends the connection and forgets it.
func (c *dialled) Close() error {
	c.from.mu.Lock()
	delete(c.from.open, c)
	c.from.mu.Unlock()
	return c.Conn.Close()
}

// closeAll ends all connections and lets no other come up.
func (d *dialer) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for c := range d.open {
		// The other side learns of it either way.
		_ = c.Conn.Close()
	}
	d.open = nil
}
