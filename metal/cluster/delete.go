package cluster

import (
	"context"
	"fmt"
	"sync"
)

// Delete gives all hosts of the cluster back and forgets it. It ends a Reconcile
// of the same cluster that is going on. It can be repeated, and does nothing when
// there is no such cluster. The cluster itself is not asked. The record goes
// last, so that a Delete that was killed can be called again.
func (m *Manager) Delete(ctx context.Context, name string, notify func(Status)) error {
	m.supersede(name)
	ctx, done, err := m.turn(ctx, name)
	if err != nil {
		return err
	}
	defer done()
	rec, ok, err := m.Records.Load(name)
	if err != nil {
		return fmt.Errorf("loading the record of cluster %q: %w", name, err)
	}
	if !ok {
		return nil
	}
	r := &run{Manager: m, spec: rec.Spec, notify: notify, log: m.Logger.With("cluster", name), record: &rec}
	if err := r.change(func(rec *Record) { rec.Phase, rec.Failure = PhaseDeleting, nil }); err != nil {
		return err
	}
	if err := r.giveBack(ctx); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("deleting cluster %q: %w", name, context.Cause(ctx))
		}
		return r.fail(err)
	}
	if err := m.Records.Remove(name); err != nil {
		return fmt.Errorf("removing the record of cluster %q: %w", name, err)
	}
	return nil
}

// giveBack deprovisions all members at the same time; one that fails does not
// keep the others.
func (r *run) giveBack(ctx context.Context) error {
	var mu sync.Mutex
	problems := map[string]error{}
	var wg sync.WaitGroup
	for name := range r.snapshot().Members {
		wg.Go(func() {
			err := r.giveBackOne(ctx, name)
			if err == nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			problems[name] = err
		})
	}
	wg.Wait()
	return combine(problems)
}

func (r *run) giveBackOne(ctx context.Context, name string) error {
	if err := r.Hosts.Deprovision(ctx, name, Owner(r.spec.Name)); err != nil {
		return fmt.Errorf("deprovisioning host %q: %w", name, err)
	}
	return r.change(func(rec *Record) { delete(rec.Members, name) })
}
