package agent

import (
	"net"
	"net/http"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// freshConns are the connections that no request came on yet. A client's pool
// keeps such spares, and http.Server.Shutdown waits 5 s for each of them
// (net/http, Server.closeIdleConns); here they are closed at once instead.
type freshConns struct {
	logger hclog.Logger
	mu     sync.Mutex
	over   bool
	conns  map[net.Conn]struct{}
}

// track is the server's ConnState.
func (f *freshConns) track(conn net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case state != http.StateNew:
		delete(f.conns, conn)
	case f.over:
		f.cut(conn)
	default:
		f.conns[conn] = struct{}{}
	}
}

// close is called when shutting down begins.
func (f *freshConns) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	for conn := range f.conns {
		f.cut(conn)
	}
}

func (f *freshConns) cut(conn net.Conn) {
	if err := conn.Close(); err != nil {
		f.logger.Debug("closing an unused connection", "error", err)
	}
}
