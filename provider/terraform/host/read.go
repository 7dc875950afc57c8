package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

// Read looks at the host. It drops the host from the state only when its
// facility's agent says that it gave the host back; whatever can't be reached
// is kept, because "gone" would make OpenTofu build over a running server.
func (r *Resource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	ctx = progress.Context(ctx)
	var m Model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	text, diags := req.Private.GetKey(ctx, recallKey)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	timeout, diags := m.Timeouts.Read(ctx, readTimeout)
	resp.Diagnostics.Append(diags...)
	recall, err := recalled(text)
	if err != nil {
		resp.Diagnostics.AddError("Reading "+m.subject(), err.Error())
		return
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	imported := m.BMC.IsNull()
	status, err := r.look(bounded, &m, recall, imported)
	switch {
	case errors.Is(err, errReleased):
		resp.State.RemoveResource(ctx)
		return
	case err != nil && imported:
		reporter(ctx).Error(ctx, &resp.Diagnostics, "Importing "+m.subject(), err)
		return
	case err != nil:
		reporter(ctx).Warning(ctx, &resp.Diagnostics, fmt.Sprintf("The state of %s could not be checked", m.subject()), err,
			"What was known of it is kept.")
		return
	}
	if err := m.observe(ctx, status); err != nil {
		resp.Diagnostics.AddError("The host's status could not be translated", err.Error())
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, m.identity())...)
	resp.Diagnostics.Append(resp.State.Set(ctx, m)...)
	resp.Diagnostics.Append(remember(ctx, resp.Private, status)...)
	warn(resp, m, status)
}

// errReleased is the one authoritative absence.
var errReleased = errors.New("the host was given back")

// look asks the agent, which asks the BMC. An agent without the host is given
// what is remembered of it, unless it says that it gave the host back.
func (r *Resource) look(ctx context.Context, m *Model, recall *host.Status, imported bool) (host.Status, error) {
	client, err := r.agent(ctx, m, imported)
	if err != nil {
		return host.Status{}, err
	}
	name := m.Name.ValueString()
	status, err := client.Host(ctx, name, true)
	if err == nil || imported || !errors.Is(err, facility.ErrNotFound) {
		return status, err
	}
	if err := remind(ctx, client, *m, recall); err != nil {
		return host.Status{}, err
	}
	return client.Host(ctx, name, true)
}

// agent connects; for an import it first learns the configuration.
func (r *Resource) agent(ctx context.Context, m *Model, imported bool) (connection.Client, error) {
	url := m.Facility.ValueString()
	if imported {
		client, err := r.pool.Agent(ctx, url)
		if err != nil {
			return nil, err
		}
		spec, err := client.HostSpec(ctx, m.Name.ValueString())
		if err != nil {
			return nil, err
		}
		if err := m.adopt(ctx, spec); err != nil {
			return nil, err
		}
	}
	spec, err := m.spec(ctx)
	if err != nil {
		return nil, err
	}
	return r.pool.AgentFor(ctx, url, spec.BMC.Credentials)
}

// remind gives the agent what is remembered of the host. errReleased: the
// agent, which knows the facility, knows that the host was given back.
func remind(ctx context.Context, client connection.Client, m Model, recall *host.Status) error {
	spec, err := m.spec(ctx)
	if err != nil {
		return err
	}
	_, err = client.RecallHost(ctx, spec, recall)
	if !errors.Is(err, facility.ErrNotFound) {
		return err
	}
	if _, lookErr := client.Facility(ctx); lookErr != nil {
		return fmt.Errorf("the agent %q does not know its facility; refresh or apply metal_facility first: %w", m.Facility.ValueString(), lookErr)
	}
	return errReleased
}

func warn(resp *resource.ReadResponse, m Model, s host.Status) {
	if s.Unreachable != "" {
		resp.Diagnostics.AddWarning(fmt.Sprintf("The BMC of %s could not be asked", m.subject()),
			fmt.Sprintf("Seen:     %s\nDo next:  check the way to the BMC and its credentials.\n\nWhat was known of the host is kept.", s.Unreachable))
	}
	if foundOff(s) {
		resp.Diagnostics.AddWarning(fmt.Sprintf("%s was found powered off", member.Sentence(m.subject())),
			fmt.Sprintf("%s was found powered off, though something is installed on it. The next apply powers it on.", member.Sentence(m.subject())))
	}
}
