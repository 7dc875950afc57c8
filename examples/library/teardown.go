package main

import (
	"context"
	"errors"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// teardown is bootstrap backwards: disks wiped, servers off or as they were,
// BMC settings put back and read back. It needs no configuration: the agent
// knows what it has.
func teardown(ctx context.Context, client *agent.Client) error {
	hosts, err := client.Hosts(ctx)
	if err != nil {
		return err
	}
	if err := offerFor(ctx, client, hosts); err != nil {
		return err
	}
	clusters, err := client.Clusters(ctx)
	if err != nil {
		return err
	}
	if err := forEach(clusters, func(s cluster.Status) error { return takeDown(ctx, client, s.Name) }); err != nil {
		return err
	}
	if err := forEach(hosts, func(s host.Status) error { return giveBack(ctx, client, s.Name) }); err != nil {
		return err
	}
	return client.ReleaseFacility(ctx)
}

// takeDown waits until the cluster is not found any more.
func takeDown(ctx context.Context, client *agent.Client, name string) error {
	if _, err := client.DeleteCluster(ctx, name); err != nil {
		return err
	}
	status, err := client.AwaitCluster(ctx, name, 0, func(s cluster.Status) bool { return !s.Busy && s.Failure != nil })
	return gone(status.Failure, err)
}

// giveBack waits until the host is not found any more.
func giveBack(ctx context.Context, client *agent.Client, name string) error {
	if _, err := client.ReleaseHost(ctx, name, false); err != nil {
		return err
	}
	status, err := client.AwaitHost(ctx, name, 0, func(s host.Status) bool { return !s.Busy && s.Failure != nil })
	return gone(status.Failure, err)
}

// gone makes the good end of waiting: not found.
func gone(failure *fault.Error, err error) error {
	if errors.Is(err, facility.ErrNotFound) {
		return nil
	}
	if err == nil && failure != nil {
		return failure
	}
	return err
}

// offerFor offers the credentials of hosts that an earlier process enrolled:
// the agent's state holds their names only.
func offerFor(ctx context.Context, client *agent.Client, hosts []host.Status) error {
	var specs []host.Spec
	for _, h := range hosts {
		spec, err := client.HostSpec(ctx, h.Name)
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	known, err := credentials(specs)
	if err != nil {
		return err
	}
	return client.OfferCredentials(ctx, known)
}
