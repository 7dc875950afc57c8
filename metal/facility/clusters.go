package facility

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// clusters runs the work of each cluster in the background, one piece at a time.
type clusters struct {
	f       *Facility
	manager *cluster.Manager
	ctx     context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu   sync.Mutex
	runs map[string]*clusterRun
}

// clusterRun is what is known of a cluster in this process.
type clusterRun struct {
	status  cluster.Status
	changed chan struct{}
	// kind is "apply" or "delete" while work goes on, else "".
	kind   string
	cancel context.CancelFunc
	idle   chan struct{}
	gone   bool
}

func newClusters(f *Facility) *clusters {
	c := &clusters{f: f, runs: map[string]*clusterRun{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.manager = cluster.New(cluster.Config{Hosts: clusterHosts{f}, Records: clusterRecords{f.store}, Images: clusterImages{f},
		Logger: f.log.Named("cluster")})
	return c
}

func (c *clusters) close() {
	c.stop()
	c.work.Wait()
}

func (c *clusters) names() []string {
	names, err := clusterRecords{c.f.store}.List()
	if err != nil {
		c.f.log.Error("listing clusters", "error", err)
	}
	return names
}

// run gives the cluster's run, making one; the caller holds mu.
func (c *clusters) run(name string) *clusterRun {
	r := c.runs[name]
	if r == nil {
		r = &clusterRun{changed: make(chan struct{}), status: cluster.Status{Name: name}}
		c.runs[name] = r
	}
	return r
}

// set changes the status and wakes those who wait; the caller holds mu.
func (r *clusterRun) set(s cluster.Status) {
	revision := r.status.Revision + 1
	r.status = s
	r.status.Revision = revision
	r.status.Busy = r.kind != ""
	close(r.changed)
	r.changed = make(chan struct{})
}

// start runs work in the background. Work of the same kind goes on; a delete
// takes over from an apply.
func (c *clusters) start(name, kind string, work func(ctx context.Context, notify func(cluster.Status)) error) (cluster.Status, error) {
	for {
		c.mu.Lock()
		r := c.run(name)
		if r.kind == kind {
			defer c.mu.Unlock()
			return r.status, nil
		}
		if r.kind == "delete" {
			defer c.mu.Unlock()
			return r.status, onCluster(name, &fault.Error{Class: fault.Retryable, Summary: "the cluster is being deleted", Advice: "wait for the deletion to end, then apply again"})
		}
		if r.kind == "" {
			ctx, cancel := context.WithCancel(c.ctx)
			r.kind, r.cancel, r.idle = kind, cancel, make(chan struct{})
			r.status.Failure = nil
			r.set(r.status)
			c.work.Add(1)
			go c.carry(ctx, name, r, work)
			defer c.mu.Unlock()
			return r.status, nil
		}
		idle := r.idle
		r.cancel()
		c.mu.Unlock()
		<-idle
	}
}

func (c *clusters) carry(ctx context.Context, name string, r *clusterRun, work func(context.Context, func(cluster.Status)) error) {
	defer c.work.Done()
	err := work(ctx, func(s cluster.Status) {
		c.mu.Lock()
		moved := s.Phase != r.status.Phase
		r.set(s)
		c.mu.Unlock()
		if moved {
			c.f.events.Publish(event.Event{Kind: "cluster", Name: name, Phase: string(s.Phase)})
		}
	})
	if err != nil {
		c.f.events.Publish(event.Event{Kind: "cluster", Name: name, Phase: "failed", Message: err.Error()})
	}
	c.mu.Lock()
	kind, status := r.kind, r.status
	c.mu.Unlock()
	if err == nil && kind == "apply" {
		// Work that found nothing to do told nothing: the record has the state.
		status, err = c.manager.Status(c.ctx, name, false)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r.cancel()
	r.kind = ""
	if err != nil {
		status.Failure = fault.From(onCluster(name, err))
	}
	if kind == "delete" && err == nil {
		r.gone = true
		delete(c.runs, name)
	}
	r.set(status)
	close(r.idle)
}

// ApplyCluster makes spec the wanted state and starts the work towards it.
func (f *Facility) ApplyCluster(ctx context.Context, spec cluster.Spec) (cluster.Status, error) {
	if err := spec.Validate(); err != nil {
		return cluster.Status{}, onCluster(spec.Name, err)
	}
	if err := f.ensureServing(ctx); err != nil {
		return cluster.Status{}, onCluster(spec.Name, err)
	}
	return f.clusters.start(spec.Name, "apply", func(ctx context.Context, notify func(cluster.Status)) error {
		return f.clusters.manager.Reconcile(ctx, spec, notify)
	})
}

// Cluster gives a cluster's status; with refresh its API server is asked.
func (f *Facility) Cluster(ctx context.Context, name string, refresh bool) (cluster.Status, error) {
	c := f.clusters
	if _, found, err := (clusterRecords{f.store}).Load(name); err != nil {
		return cluster.Status{}, err
	} else if !found {
		return c.unrecorded(name)
	}
	c.mu.Lock()
	r := c.run(name)
	busy, fresh := r.kind != "", r.status.Phase == ""
	known := r.status
	c.mu.Unlock()
	if busy || (!refresh && !fresh) {
		return known, nil
	}
	s, err := c.manager.Status(ctx, name, refresh)
	if err != nil {
		return cluster.Status{}, onCluster(name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.kind == "" {
		s.Failure = r.status.Failure
		r.set(s)
	}
	return r.status, nil
}

// unrecorded is the status of a cluster that has no record: not found, unless
// its first apply has just begun or failed.
func (c *clusters) unrecorded(name string) (cluster.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.runs[name]; r != nil && (r.kind != "" || r.status.Failure != nil) {
		return r.status, nil
	}
	return cluster.Status{}, fmt.Errorf("cluster %q: %w", name, ErrNotFound)
}

// WaitCluster returns when the revision is another than after, or ctx is done.
func (f *Facility) WaitCluster(ctx context.Context, name string, after uint64) (cluster.Status, error) {
	c := f.clusters
	for {
		c.mu.Lock()
		r := c.runs[name]
		c.mu.Unlock()
		if r == nil {
			return f.Cluster(ctx, name, false)
		}
		c.mu.Lock()
		s, changed, gone := r.status, r.changed, r.gone
		c.mu.Unlock()
		if gone {
			return cluster.Status{}, fmt.Errorf("cluster %q: %w", name, ErrNotFound)
		}
		if s.Revision != after {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, nil
		case <-c.ctx.Done():
			return s, nil
		}
	}
}

// DeleteCluster starts taking a cluster down; afterwards it is not found.
func (f *Facility) DeleteCluster(ctx context.Context, name string) (cluster.Status, error) {
	if _, err := f.Cluster(ctx, name, false); err != nil {
		return cluster.Status{}, err
	}
	if f.known() != nil {
		if err := f.ensureServing(ctx); err != nil {
			return cluster.Status{}, onCluster(name, err)
		}
	}
	return f.clusters.start(name, "delete", func(ctx context.Context, notify func(cluster.Status)) error {
		return f.clusters.manager.Delete(ctx, name, notify)
	})
}

// Kubeconfig makes an administrator's kubeconfig that is valid for ttl.
func (f *Facility) Kubeconfig(ctx context.Context, name string, ttl time.Duration) ([]byte, error) {
	if _, err := f.Cluster(ctx, name, false); err != nil {
		return nil, err
	}
	out, err := f.clusters.manager.Kubeconfig(ctx, name, ttl)
	return out, onCluster(name, err)
}

// Clusters lists all clusters.
func (f *Facility) Clusters(ctx context.Context) ([]cluster.Status, error) {
	var out []cluster.Status
	for _, name := range f.clusters.names() {
		s, err := f.Cluster(ctx, name, false)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func onCluster(name string, err error) error { return about("cluster", name, err) }

// clusterRecords keeps clusters in the facility's store.
type clusterRecords struct{ store *store }

var _ cluster.Records = clusterRecords{}

// Load implements cluster.Records.
func (r clusterRecords) Load(name string) (cluster.Record, bool, error) {
	var rec cluster.Record
	found, err := r.store.get(bucketClusters, name, &rec)
	return rec, found, err
}

// Save implements cluster.Records.
func (r clusterRecords) Save(name string, rec cluster.Record) error {
	return r.store.put(bucketClusters, name, rec)
}

// Remove implements cluster.Records.
func (r clusterRecords) Remove(name string) error { return r.store.remove(bucketClusters, name) }

// List implements cluster.Records.
func (r clusterRecords) List() ([]string, error) {
	var names []string
	err := r.store.each(bucketClusters, func(key string, raw []byte) error {
		if !json.Valid(raw) {
			return fmt.Errorf("the record of cluster %q cannot be read", key)
		}
		names = append(names, key)
		return nil
	})
	return names, err
}
