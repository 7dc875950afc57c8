package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/operation"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

// Delete takes the cluster down and gives its hosts back to the facility. A
// cluster that the agent does not have is down: whatever an agent that lost its
// store forgot of it, the hosts' own destroy wipes. A failure keeps the state,
// and the next destroy continues.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	ctx = progress.Context(ctx)
	var m Model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	timeout, diags := m.Timeouts.Delete(ctx, workTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last, err := r.takeDown(bounded, m)
	switch doing := "Taking down " + m.subject(); operation.EndOf(ctx, err) {
	case operation.Done:
	case operation.Interrupted:
		resp.Diagnostics.AddError(doing, fmt.Sprintf("The run was interrupted at phase %q. The cluster is kept in the state; the next destroy continues.", last.Phase))
	case operation.Failed:
		err = operation.Explain(err, m.subject(), "delete", timeout, string(last.Phase))
		reporter(ctx).Error(ctx, &resp.Diagnostics, doing, err, "The cluster is kept in the state; the next destroy continues.")
	}
}

// takeDown starts the work, waits for its end and checks that nothing is left.
// The status is the last that was seen of the cluster.
func (r *Resource) takeDown(ctx context.Context, m Model) (cluster.Status, error) {
	var last cluster.Status
	client, err := r.pool.Agent(ctx, m.Facility.ValueString())
	if err != nil {
		return last, err
	}
	name := m.Name.ValueString()
	last, err = client.DeleteCluster(ctx, name)
	if err == nil {
		show := r.pool.Progress.Cluster(ctx)
		_, err = client.AwaitCluster(ctx, name, last.Revision, func(s cluster.Status) bool {
			show(s)
			last = s
			return failed(s)
		})
	}
	if err != nil && !errors.Is(err, facility.ErrNotFound) {
		return last, err
	}
	return last, gone(ctx, client, name)
}

// gone is the closing look: the agent has neither the cluster nor an address of it.
func gone(ctx context.Context, client connection.Client, name string) error {
	status, err := client.Cluster(ctx, name, false)
	if err == nil {
		if status.Failure != nil {
			return status.Failure
		}
		return remains(name, fmt.Sprintf("the cluster is still there in phase %q", status.Phase))
	}
	if !errors.Is(err, facility.ErrNotFound) {
		return err
	}
	site, err := client.Facility(ctx)
	if errors.Is(err, facility.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("checking that nothing of cluster %q is left: %w", name, err)
	}
	if slices.Contains(site.Clusters, name) {
		return remains(name, "the facility still lists it")
	}
	for address, owner := range site.Claims {
		if owner == "cluster/"+name {
			return remains(name, fmt.Sprintf("address %s is claimed for it", address))
		}
	}
	return nil
}

func remains(name, seen string) error {
	return &fault.Error{Class: fault.Retryable, Subject: fmt.Sprintf("cluster %q", name), Summary: "something of the cluster is left at its facility",
		Seen: seen, Expected: "nothing", Advice: "destroy again"}
}
