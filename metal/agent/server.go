package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Server serves a handler on a unix socket that only its owner and root may
// use. Socket and Handler are required.
type Server struct {
	// Socket is the path to listen on.
	Socket  string
	Handler *Handler
	Logger  hclog.Logger
	// Grace is how long requests in progress may take after the end was asked
	// for; long-polls and event streams end at once. Default 10 s.
	Grace time.Duration
	// Ready is called once the socket listens; optional.
	Ready func()
}

// Serve listens until ctx is done, then shuts down gracefully and removes the
// socket. A socket that a dead process left is replaced; a live one is a fault.
func (s *Server) Serve(ctx context.Context) error {
	logger := s.Logger
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	listener, err := listenUnix(ctx, s.Socket, logger)
	if err != nil {
		return err
	}
	server := newHTTPServer(s.Handler, logger)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	logger.Info("agent listens", "socket", s.Socket, "version", s.Handler.engines.Version)
	if s.Ready != nil {
		s.Ready()
	}
	select {
	case err := <-served:
		return errors.Join(fmt.Errorf("serving %q: %w", s.Socket, err), listener.Close())
	case <-ctx.Done():
	}
	logger.Info("agent shuts down", "reason", context.Cause(ctx))
	err = shutdown(server, s.Grace)
	return errors.Join(err, listener.Close())
}

// newHTTPServer has limits for everything before a handler runs. It has no
// ReadTimeout or WriteTimeout: they would end long-polls; decode and the event
// stream set their own deadlines.
func newHTTPServer(handler *Handler, logger hclog.Logger) *http.Server {
	fresh := &freshConns{logger: logger, conns: map[net.Conn]struct{}{}}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	server.ConnState = fresh.track
	server.RegisterOnShutdown(handler.Drain)
	server.RegisterOnShutdown(fresh.close)
	return server
}

// shutdown ends long-polls at once, gives other requests their grace, then cuts.
func shutdown(server *http.Server, grace time.Duration) error {
	if grace <= 0 {
		grace = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("shutting the agent's API down: %w", err), server.Close())
	}
	return nil
}
