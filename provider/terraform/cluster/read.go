package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

// Read looks at the cluster. It never drops it from the state: an agent that
// does not know it may have lost its store, and "gone" would make OpenTofu
// build over a running cluster.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	ctx = progress.Context(ctx)
	var m Model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	timeout, diags := m.Timeouts.Read(ctx, readTimeout)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	imported := m.Image.IsNull()
	status, err := r.look(bounded, &m, imported)
	switch {
	case err != nil && imported:
		reporter(ctx).Error(ctx, &resp.Diagnostics, "Importing "+m.subject(), err)
		return
	case errors.Is(err, facility.ErrNotFound):
		resp.Diagnostics.AddWarning(fmt.Sprintf("The agent does not know %s", m.subject()),
			"It may have lost its store. What was known of the cluster is kept, and the next apply tells the agent of it again, in place.")
		m.Ready, m.Phase = types.BoolValue(false), types.StringValue("unknown")
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
		return
	case err != nil:
		reporter(ctx).Warning(ctx, &resp.Diagnostics, fmt.Sprintf("The state of %s could not be checked", m.subject()), err,
			"What was known of it is kept.")
		return
	}
	if err := m.observe(ctx, status); err != nil {
		resp.Diagnostics.AddError("The cluster's status could not be translated", err.Error())
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, m.identity())...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	if status.Unreachable != "" {
		resp.Diagnostics.AddWarning(fmt.Sprintf("The API server of %s could not be asked", m.subject()),
			fmt.Sprintf("Seen:     %s\nDo next:  check the way to %s, and whether the control plane's host runs.\n\nWhat was known of the cluster is kept.",
				status.Unreachable, m.Endpoint.ValueString()))
	}
	if status.Failure != nil {
		reporter(ctx).Warning(ctx, &resp.Diagnostics, fmt.Sprintf("%s is not as it should be", member.Sentence(m.subject())), status.Failure)
	}
}

func (r *Resource) look(ctx context.Context, m *Model, imported bool) (cluster.Status, error) {
	client, err := r.pool.Agent(ctx, m.Facility.ValueString())
	if err != nil {
		return cluster.Status{}, err
	}
	if imported {
		spec, err := client.ClusterSpec(ctx, m.Name.ValueString())
		if err != nil {
			return cluster.Status{}, err
		}
		if err := m.adopt(ctx, spec); err != nil {
			return cluster.Status{}, err
		}
	}
	return client.Cluster(ctx, m.Name.ValueString(), true)
}
