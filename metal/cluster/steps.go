package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// awaitAPI waits for the first control plane's API server.
func (r *run) awaitAPI(ctx context.Context) error {
	if !r.snapshot().Initialized {
		if err := r.phase(PhaseInitializing); err != nil {
			return err
		}
	}
	api, err := r.api()
	if err != nil {
		return err
	}
	err = r.await(ctx, "the API server", []string{r.spec.ControlPlane}, func(ctx context.Context) (bool, string) {
		if _, err := api.look(ctx, r.snapshot()); err != nil {
			return false, err.Error()
		}
		return true, ""
	})
	if err != nil || r.snapshot().Initialized {
		return err
	}
	return r.change(func(rec *Record) { rec.Initialized, rec.Phase = true, PhaseJoining })
}

// awaitJoin waits until hosts are nodes: registered, and Ready where a network
// plugin makes that possible.
func (r *run) awaitJoin(ctx context.Context, names []string) error {
	if err := r.phase(PhaseJoining); err != nil {
		return err
	}
	api, err := r.api()
	if err != nil {
		return err
	}
	what := "nodes to be Ready"
	if r.spec.NetworkManifest == "" {
		what = "nodes to be registered"
	}
	return r.await(ctx, what, names, func(ctx context.Context) (bool, string) {
		nodes, err := api.nodes(ctx)
		if err != nil {
			return false, err.Error()
		}
		r.showNodes(nodes)
		var missing []string
		for _, name := range names {
			node, registered := nodes[name]
			switch {
			case !registered:
				missing = append(missing, name+" (not registered)")
			case !node.Ready && r.spec.NetworkManifest != "":
				missing = append(missing, name+" (not Ready)")
			}
		}
		return len(missing) == 0, "missing: " + strings.Join(missing, ", ")
	})
}

// awaitPods waits for the pods of the namespace kube-system to run.
func (r *run) awaitPods(ctx context.Context) error {
	api, err := r.api()
	if err != nil {
		return err
	}
	return r.await(ctx, "the system's pods to run", nil, func(ctx context.Context) (bool, string) {
		pending, err := api.pendingPods(ctx)
		if err != nil {
			return false, err.Error()
		}
		return len(pending) == 0, strings.Join(pending, ", ")
	})
}

func (r *run) renewToken(ctx context.Context) error {
	api, err := r.api()
	if err != nil {
		return err
	}
	r.log.Info("the bootstrap token has ended: making it again")
	return api.apply(ctx, tokenSecret(r.snapshot().Token, r.Now()))
}

// applyManifest applies the network plugin.
func (r *run) applyManifest(ctx context.Context) error {
	objects, err := parseManifest(r.spec.NetworkManifest)
	if err != nil {
		return err
	}
	api, err := r.api()
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := api.applyPatiently(ctx, object, r.Poll); err != nil {
			return err
		}
	}
	return r.change(func(rec *Record) { rec.Manifest = manifestDigest(r.spec.NetworkManifest) })
}

// finish writes down that all is as wanted, and the hosts' phase tables.
func (r *run) finish(ctx context.Context, o observed) error {
	for name, member := range o.Record.Members {
		if member.Timed {
			continue
		}
		for _, s := range phases(bootTimes(o.Hosts[name], member.Booted, r.readyAt[name])) {
			r.Hosts.MarkPhase(ctx, name, s.Phase, s.Started, s.Took)
		}
	}
	return r.change(func(rec *Record) {
		for name, member := range rec.Members {
			member.Timed = true
			rec.Members[name] = member
		}
		rec.Spec, rec.Phase, rec.Failure = r.spec, PhaseReady, nil
	})
}

// showNodes keeps what the API server shows, and when a node was first seen to
// be what is waited for.
func (r *run) showNodes(nodes map[string]Node) {
	now := r.Now()
	r.mu.Lock()
	if r.readyAt == nil {
		r.readyAt = map[string]time.Time{}
	}
	for name, node := range nodes {
		if _, seen := r.readyAt[name]; !seen && (node.Ready || r.spec.NetworkManifest == "") {
			r.readyAt[name] = now
		}
	}
	list := r.record.listNodes(nodes)
	same := fmt.Sprint(list) == fmt.Sprint(r.record.Nodes)
	r.mu.Unlock()
	if same {
		return
	}
	if err := r.change(func(rec *Record) { rec.Nodes = list }); err != nil {
		r.log.Warn("the nodes were not written down", "error", err)
	}
}

// api gives the run's connection to the API server.
func (r *run) api() (*connection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.connection == nil {
		c, err := r.connect(*r.record)
		if err != nil {
			return nil, err
		}
		r.connection = c
	}
	return r.connection, nil
}

func (r *run) close() {
	if r.connection != nil {
		r.connection.close()
	}
}
