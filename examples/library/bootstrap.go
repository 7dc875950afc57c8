package main

import (
	"context"
	"errors"
	"sync"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// bootstrap makes what cfg describes. All of it can be repeated: what is as
// wanted is left alone, and what an earlier run began is continued.
func bootstrap(ctx context.Context, client *agent.Client, cfg config) (cluster.Status, error) {
	known, err := credentials(cfg.Hosts)
	if err != nil {
		return cluster.Status{}, err
	}
	if err := client.OfferCredentials(ctx, known); err != nil {
		return cluster.Status{}, err
	}
	if _, err := client.ApplyFacility(ctx, cfg.Facility); err != nil {
		return cluster.Status{}, err
	}
	if err := forEach(cfg.Hosts, func(spec host.Spec) error { return enrol(ctx, client, spec) }); err != nil {
		return cluster.Status{}, err
	}
	return build(ctx, client, cfg.Cluster)
}

// enrol inspects a server and leaves it off, or leaves it alone when it belongs
// to a cluster already. Apply only starts the work: the agent does it by
// itself, and Await follows it.
func enrol(ctx context.Context, client *agent.Client, spec host.Spec) error {
	if _, err := client.ApplyHost(ctx, spec, nil); err != nil {
		return err
	}
	status, err := client.AwaitHost(ctx, spec.Name, 0, func(s host.Status) bool {
		return !s.Busy && (s.Failure != nil || s.State == host.Available || s.Owner != "")
	})
	if err == nil && status.Failure != nil {
		return status.Failure
	}
	return err
}

// build turns hosts into a cluster and waits until its nodes are Ready.
func build(ctx context.Context, client *agent.Client, spec cluster.Spec) (cluster.Status, error) {
	if _, err := client.ApplyCluster(ctx, spec); err != nil {
		return cluster.Status{}, err
	}
	status, err := client.AwaitCluster(ctx, spec.Name, 0, func(s cluster.Status) bool {
		return !s.Busy && (s.Failure != nil || s.Ready)
	})
	if err == nil && status.Failure != nil {
		return status, status.Failure
	}
	return status, err
}

// forEach does one thing to all items at the same time; an item that fails does
// not keep the others from it.
func forEach[T any](items []T, do func(T) error) error {
	errs := make([]error, len(items))
	var work sync.WaitGroup
	for i, item := range items {
		work.Go(func() { errs[i] = do(item) })
	}
	work.Wait()
	return errors.Join(errs...)
}
