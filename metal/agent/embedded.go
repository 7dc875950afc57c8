package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// embedded are this process's own agents by directory. It is the one state that
// a process has only once, as the directory's lock is: two clients that name a
// directory must meet in one agent.
var embedded = &registry{agents: map[string]*embeddedAgent{}}

type registry struct {
	mu     sync.Mutex
	agents map[string]*embeddedAgent
}

// embeddedAgent is opened and closed under its own lock, so that directories do
// not wait for each other. users counts clients, those that wait for it included.
type embeddedAgent struct {
	mu    sync.Mutex
	users int // guarded by the registry's mu

	listener *pipeListener // nil: not open
	server   *http.Server
	engines  io.Closer
	served   chan error
}

func dialEmbedded(ctx context.Context, url, rest string, opts Options) (*Client, error) {
	dir, err := directory(rest)
	if err != nil {
		return nil, err
	}
	agent, listener, err := embedded.acquire(ctx, dir, opts)
	if err != nil {
		var known *fault.Error
		if errors.As(err, &known) {
			return nil, err
		}
		return nil, &fault.Error{
			Class: fault.NeedsPerson, Subject: "agent " + quote(url), Attribute: "agent",
			Summary: "the embedded agent could not be started", Seen: err.Error(),
			Expected: fmt.Sprintf("a state directory %q that can be used", dir),
			Advice:   "see what was seen; another process that uses the directory has to end first", Err: err,
		}
	}
	client := newClient(url, func(ctx context.Context) (net.Conn, error) { return listener.Dial(ctx) }, opts)
	client.release = func() error { return embedded.drop(dir, agent) }
	if err := client.greet(ctx, opts.Version); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// acquire gives the agent of dir, opening it for the first user.
func (r *registry) acquire(ctx context.Context, dir string, opts Options) (*embeddedAgent, *pipeListener, error) {
	r.mu.Lock()
	agent := r.agents[dir]
	if agent == nil {
		agent = &embeddedAgent{}
		r.agents[dir] = agent
	}
	agent.users++
	r.mu.Unlock()

	agent.mu.Lock()
	var err error
	if agent.listener == nil {
		err = agent.open(ctx, dir, opts)
	}
	listener := agent.listener
	agent.mu.Unlock()
	if err != nil {
		return nil, nil, errors.Join(err, r.drop(dir, agent))
	}
	return agent, listener, nil
}

// drop takes one user away; the last one closes the agent. Whoever comes in
// between waits for the close and opens it anew.
func (r *registry) drop(dir string, agent *embeddedAgent) error {
	agent.mu.Lock()
	defer agent.mu.Unlock()
	r.mu.Lock()
	agent.users--
	last := agent.users == 0
	r.mu.Unlock()
	if !last {
		return nil
	}
	err := agent.shut()
	r.mu.Lock()
	defer r.mu.Unlock()
	if agent.users == 0 {
		delete(r.agents, dir)
	}
	return err
}

// open starts the engines and serves them. They live until the last client is
// closed, longer than the context of the call that opened them.
func (a *embeddedAgent) open(ctx context.Context, dir string, opts Options) error {
	open := opts.Open
	if open == nil {
		open = OpenFacility
	}
	logger := opts.logger()
	engines, closer, err := open(context.WithoutCancel(ctx), dir, opts.Version, logger)
	if err != nil {
		return err
	}
	listener := newPipeListener()
	a.listener, a.engines = listener, closer
	a.server = newHTTPServer(NewHandler(engines, logger), logger)
	a.served = make(chan error, 1)
	go func() { a.served <- a.server.Serve(listener) }()
	logger.Debug("embedded agent serves", "dir", dir)
	return nil
}

func (a *embeddedAgent) shut() error {
	if a.listener == nil {
		return nil
	}
	err := shutdown(a.server, 0)
	if served := <-a.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serving the embedded agent: %w", served))
	}
	err = errors.Join(err, a.engines.Close())
	a.listener = nil
	return err
}
