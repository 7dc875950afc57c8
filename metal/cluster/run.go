package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// maxSteps bounds the actions of one run: a cluster takes about ten, and one
// that flaps must not be chased for ever.
const maxSteps = 100

// lookTimeout bounds one look at an API server between two steps.
const lookTimeout = 15 * time.Second

// run is one Reconcile.
type run struct {
	*Manager
	spec   Spec
	notify func(Status)
	log    hclog.Logger

	mu           sync.Mutex
	record       *Record
	failedBefore map[string]bool
	connection   *connection
	// deadline of the waits; set when the first of them begins.
	deadline time.Time
	// readyAt is when each node was first seen to be what is waited for.
	readyAt map[string]time.Time
	image   *prepared
}

// load takes up where an earlier run ended.
func (r *run) load(ctx context.Context) error {
	rec, ok, err := r.Records.Load(r.spec.Name)
	if err != nil {
		return fmt.Errorf("loading the record of cluster %q: %w", r.spec.Name, err)
	}
	if !ok {
		return nil
	}
	if rec.Phase == PhaseDeleting {
		return &fault.Error{
			Class: fault.NeedsPerson, Subject: subject(r.spec.Name), Phase: string(PhaseDeleting), Summary: "cluster is being deleted",
			Seen: "its deletion was begun and has not come to its end", Advice: "destroy it again, then apply",
		}
	}
	if err := refuseReplacing(rec.Spec, r.spec); err != nil {
		return err
	}
	r.record = &rec
	hosts, err := r.observeHosts(ctx)
	if err != nil {
		return err
	}
	r.failedBefore = map[string]bool{}
	for name, status := range hosts {
		r.failedBefore[name] = failed(status, rec.Deployment(name))
	}
	if rec.Failure == nil {
		return nil
	}
	return r.change(func(rec *Record) { rec.Failure = nil })
}

// converge observes, decides and acts until there is nothing to do.
func (r *run) converge(ctx context.Context) error {
	for range maxSteps {
		o, err := r.observe(ctx)
		if err != nil {
			return err
		}
		a := next(o)
		r.log.Debug("next", "action", a.Kind, "hosts", a.Hosts)
		if a.Kind == actNone {
			return nil
		}
		if err := r.act(ctx, o, a); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return &fault.Error{
		Class: fault.Retryable, Subject: subject(r.spec.Name), Summary: "cluster does not come to rest",
		Seen: fmt.Sprintf("%d steps", maxSteps), Advice: "look at the hosts and nodes that change all the time, and apply again",
	}
}

func (r *run) act(ctx context.Context, o observed, a action) error {
	switch a.Kind {
	case actRecord:
		return r.makeRecord(ctx)
	case actAdmit:
		return r.admit(ctx, a.Hosts)
	case actRetry:
		return r.retry(ctx, a.Hosts)
	case actGiveUp:
		return r.giveUp(ctx, a.Hosts[0], o.Hosts[a.Hosts[0]])
	case actLost:
		return r.lost(a.Hosts[0], o.Hosts[a.Hosts[0]])
	case actProvision:
		return r.provision(ctx, a.Hosts)
	case actAwaitAPI:
		return r.awaitAPI(ctx)
	case actToken:
		return r.renewToken(ctx)
	case actApply:
		return r.applyManifest(ctx)
	case actAwaitJoin:
		return r.awaitJoin(ctx, a.Hosts)
	case actRemove:
		return r.remove(ctx, a.Hosts)
	case actAwaitPods:
		return r.awaitPods(ctx)
	case actFinish:
		return r.finish(ctx, o)
	}
	return fmt.Errorf("acting on cluster %q: unknown action %q", r.spec.Name, a.Kind)
}

func (r *run) observe(ctx context.Context) (observed, error) {
	o := observed{Now: r.Now(), Spec: r.spec, FailedBefore: r.failedBefore}
	if r.record == nil {
		return o, nil
	}
	rec := r.snapshot()
	o.Record = &rec
	var err error
	if o.Hosts, err = r.observeHosts(ctx); err != nil {
		return o, err
	}
	// Before the control plane was booted there is nobody to ask. A run that was
	// killed may have booted it and not written that down.
	controlPlane := r.spec.ControlPlane
	if rec.Members[controlPlane].Booted.IsZero() && !carries(o.Hosts[controlPlane], rec.Deployment(controlPlane)) {
		return o, nil
	}
	api, err := r.api()
	if err != nil {
		return o, err
	}
	lookCtx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	view, err := api.look(lookCtx, rec)
	if err != nil {
		r.log.Debug("the API server does not answer", "error", err)
		return o, ctx.Err()
	}
	o.API = view
	r.showNodes(view.Nodes)
	return o, nil
}

func (r *run) observeHosts(ctx context.Context) (map[string]host.Status, error) {
	names := make([]string, 0, len(r.record.Members))
	for name := range r.record.Members {
		names = append(names, name)
	}
	return r.statuses(ctx, names)
}

func (r *run) statuses(ctx context.Context, names []string) (map[string]host.Status, error) {
	out := make(map[string]host.Status, len(names))
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for _, name := range names {
		g.Go(func() error {
			status, err := r.Hosts.Host(ctx, name)
			if err != nil {
				return fmt.Errorf("looking at host %q: %w", name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			out[name] = status
			return nil
		})
	}
	return out, g.Wait()
}

// change edits the record, saves it and tells whoever watches.
func (r *run) change(edit func(*Record)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.record.clone()
	edit(&rec)
	rec.Revision++
	if err := r.Records.Save(r.spec.Name, rec); err != nil {
		return fmt.Errorf("saving the record of cluster %q: %w", r.spec.Name, err)
	}
	r.record = &rec
	if r.notify != nil {
		s := rec.Status()
		s.Busy = true
		r.notify(s)
	}
	return nil
}

func (r *run) snapshot() Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.record.clone()
}

// fail writes the failure down; the record then shows it until the next run.
func (r *run) fail(err error) error {
	phase := PhasePreflight
	if r.record != nil {
		phase = r.snapshot().Phase
	}
	f := asFault(err, r.spec.Name, phase)
	if r.record != nil {
		if saveErr := r.change(func(rec *Record) { rec.Failure = f }); saveErr != nil {
			return errors.Join(f, saveErr)
		}
	}
	return f
}
