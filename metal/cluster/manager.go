package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
)

// ErrNotFound says that there is no record of a cluster.
var ErrNotFound = errors.New("no such cluster")

// Config is what a Manager works with.
type Config struct {
	Hosts   Hosts
	Records Records
	Images  Images
	// Logger may be nil.
	Logger hclog.Logger
	// Now and Rand default to the system's.
	Now  func() time.Time
	Rand io.Reader
	// Dial reaches API servers; default: net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Poll is the shortest time between two looks at an API server; it grows to
	// five times that. Default 1 s.
	Poll time.Duration
	// DrainTimeout bounds the eviction of the pods of a node that is removed.
	// Default 5 minutes.
	DrainTimeout time.Duration
}

// Manager carries clusters through their lives. It is safe for concurrent use;
// work on one cluster is done one after the other.
type Manager struct {
	Config
	mu    sync.Mutex
	turns map[string]chan struct{}
	// working holds what ends the work that is going on, by cluster.
	working map[string]context.CancelCauseFunc
	// recheck is how often a host that is waited for is looked at without news.
	recheck time.Duration
}

// New makes a Manager.
func New(c Config) *Manager {
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	if c.Poll <= 0 {
		c.Poll = time.Second
	}
	if c.DrainTimeout <= 0 {
		c.DrainTimeout = 5 * time.Minute
	}
	return &Manager{Config: c, turns: map[string]chan struct{}{}, working: map[string]context.CancelCauseFunc{}, recheck: 30 * time.Second}
}

// Reconcile brings the cluster to what the specification says and blocks until
// it is Ready or that failed. It can be cancelled or killed at any point and
// called again: what was done is not done twice. notify, which may be nil, is
// called with each change of the status. Errors are *fault.Error, or ctx's.
func (m *Manager) Reconcile(ctx context.Context, s Spec, notify func(Status)) error {
	if err := Validate(s); err != nil {
		return err
	}
	s = s.WithDefaults()
	ctx, done, err := m.turn(ctx, s.Name)
	if err != nil {
		return err
	}
	defer done()
	r := &run{Manager: m, spec: s, notify: notify, log: m.Logger.With("cluster", s.Name)}
	defer r.close()
	if err := r.load(ctx); err != nil {
		return err
	}
	err = r.converge(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("reconciling cluster %q: %w", s.Name, context.Cause(ctx))
	}
	return r.fail(err)
}

// Status gives what is known of the cluster. With refresh its API server is
// asked for its nodes, bounded; an API server that does not answer is a fact of
// the status and not an error.
func (m *Manager) Status(ctx context.Context, name string, refresh bool) (Status, error) {
	rec, ok, err := m.Records.Load(name)
	if err != nil {
		return Status{}, fmt.Errorf("loading the record of cluster %q: %w", name, err)
	}
	if !ok {
		return Status{}, fmt.Errorf("looking for cluster %q: %w", name, ErrNotFound)
	}
	s := rec.Status()
	s.Busy = m.isBusy(name)
	if refresh && rec.Initialized {
		m.refresh(ctx, rec, &s)
	}
	return s, nil
}

const refreshTimeout = 10 * time.Second

func (m *Manager) refresh(ctx context.Context, rec Record, s *Status) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	api, err := m.connect(rec)
	if err == nil {
		defer api.close()
		var nodes map[string]Node
		if nodes, err = api.nodes(ctx); err == nil {
			s.Nodes = rec.listNodes(nodes)
			return
		}
	}
	s.Unreachable = err.Error()
}

// Kubeconfig makes an administrator's kubeconfig, valid for ttl. It needs no
// answer from the cluster. The result is a secret.
func (m *Manager) Kubeconfig(_ context.Context, name string, ttl time.Duration) ([]byte, error) {
	rec, ok, err := m.Records.Load(name)
	if err != nil {
		return nil, fmt.Errorf("loading the record of cluster %q: %w", name, err)
	}
	if !ok {
		return nil, fmt.Errorf("looking for cluster %q: %w", name, ErrNotFound)
	}
	return kubeadm.AdminKubeconfig(rec.PKI, rec.Endpoint, name, ttl, m.Now(), kubeadm.AdminOptions{Rand: m.Rand})
}

// errSuperseded ends a Reconcile that a Delete takes the place of.
var errSuperseded = errors.New("the cluster is being deleted")

// turn waits until no other work on the cluster is going on. The context that
// it gives ends when supersede is called.
func (m *Manager) turn(ctx context.Context, name string) (context.Context, func(), error) {
	m.mu.Lock()
	turn, ok := m.turns[name]
	if !ok {
		turn = make(chan struct{}, 1)
		m.turns[name] = turn
	}
	m.mu.Unlock()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("waiting for other work on cluster %q: %w", name, ctx.Err())
	}
	ctx, cancel := context.WithCancelCause(ctx)
	m.setWorking(name, cancel)
	return ctx, func() {
		m.setWorking(name, nil)
		cancel(nil)
		<-turn
	}, nil
}

func (m *Manager) setWorking(name string, cancel context.CancelCauseFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cancel == nil {
		delete(m.working, name)
		return
	}
	m.working[name] = cancel
}

// supersede ends the work on the cluster that is going on.
func (m *Manager) supersede(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if cancel := m.working[name]; cancel != nil {
		cancel(errSuperseded)
	}
}

func (m *Manager) isBusy(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.working[name] != nil
}

// asFault makes sure that an error says which cluster and phase it is about.
func asFault(err error, name string, phase Phase) *fault.Error {
	f := *fault.From(err)
	if f.Subject == "" {
		f.Subject = subject(name)
	}
	if f.Phase == "" {
		f.Phase = string(phase)
	}
	return &f
}
