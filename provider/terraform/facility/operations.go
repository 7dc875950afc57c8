package facility

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/diagnosis"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/operation"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

// Create opens the facility at its agent.
func (r *Resource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	ctx = progress.Context(ctx)
	var m Model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	m.ID, m.Version = m.Agent, types.StringNull()
	resp.Diagnostics.Append(resp.Identity.Set(ctx, Identity{Agent: m.Agent})...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	accepted, err := r.apply(ctx, &m)
	if err != nil && !accepted {
		// Nothing was begun: an object that was never made is not kept.
		resp.State.RemoveResource(ctx)
		reporter().Error(ctx, &resp.Diagnostics, doing("Opening", m), err, member.NotBegun)
		return
	}
	switch operation.EndOf(ctx, err) {
	case operation.Done:
		resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	case operation.Interrupted:
		summary, detail := diagnosis.Interrupted(m.subject(), "Its services may not run yet.")
		resp.Diagnostics.AddWarning(summary, detail)
	case operation.Failed:
		reporter().Error(ctx, &resp.Diagnostics, doing("Opening", m), err)
	}
}

// Update applies a changed configuration, or continues an interrupted Create.
func (r *Resource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	ctx = progress.Context(ctx)
	var m, before Model
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &before)...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, before)...)
	if _, err := r.apply(ctx, &m); err != nil {
		reporter().Error(ctx, &resp.Diagnostics, doing("Updating", m), err)
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

// apply also tells whether the agent has the facility after a failure; where it
// can't be asked it may have.
func (r *Resource) apply(ctx context.Context, m *Model) (accepted bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	spec, err := m.spec(bounded)
	if err != nil {
		return false, err
	}
	client, err := r.pool.Agent(bounded, m.Agent.ValueString())
	if err != nil {
		return false, err
	}
	status, err := client.ApplyFacility(bounded, spec)
	if err != nil {
		late, cancel := operation.Save(ctx)
		defer cancel()
		_, lookErr := client.Facility(late)
		return !errors.Is(lookErr, facility.ErrNotFound), err
	}
	m.Version = types.StringValue(status.Version)
	return true, nil
}

// Read looks at the facility, and seeds an agent that lost its store. A
// facility is never "gone": whoever answers at its URL is its agent.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	ctx = progress.Context(ctx)
	var m Model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	imported := m.Name.IsNull()
	status, err := r.look(bounded, &m, imported)
	switch {
	case err != nil && imported:
		reporter().Error(ctx, &resp.Diagnostics, fmt.Sprintf("Importing the facility of agent %q", m.Agent.ValueString()), err)
		return
	case err != nil:
		reporter().Warning(ctx, &resp.Diagnostics, fmt.Sprintf("The state of %s could not be checked", m.subject()), err,
			"What was known of it is kept.")
		return
	}
	// A version that is not known marks an unfinished Create: it stays.
	if imported || !m.Version.IsNull() {
		m.Version = types.StringValue(status.Version)
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, Identity{Agent: m.Agent})...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
}

func (r *Resource) look(ctx context.Context, m *Model, imported bool) (facility.Status, error) {
	client, err := r.pool.Agent(ctx, m.Agent.ValueString())
	if err != nil {
		return facility.Status{}, err
	}
	if !imported {
		return recall(ctx, client, *m)
	}
	spec, err := client.FacilitySpec(ctx)
	if err != nil {
		return facility.Status{}, err
	}
	if err := m.adopt(ctx, spec); err != nil {
		return facility.Status{}, err
	}
	return client.Facility(ctx)
}

// recall is Facility, after giving the agent the specification if it has none.
func recall(ctx context.Context, client connection.Facilities, m Model) (facility.Status, error) {
	status, err := client.Facility(ctx)
	if !errors.Is(err, facility.ErrNotFound) {
		return status, err
	}
	spec, err := m.spec(ctx)
	if err != nil {
		return facility.Status{}, err
	}
	return client.RecallFacility(ctx, spec)
}

// Delete closes the facility. One that the agent does not have is closed.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	ctx = progress.Context(ctx)
	var m Model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := r.pool.Agent(bounded, m.Agent.ValueString())
	if err == nil {
		err = client.ReleaseFacility(bounded)
	}
	if err != nil && !errors.Is(err, facility.ErrNotFound) {
		reporter().Error(ctx, &resp.Diagnostics, doing("Closing", m), err)
	}
}
