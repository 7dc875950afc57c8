package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/operation"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/progress"
)

// Delete gives the host back as it was found. A host that was given back
// already is a success; a failure keeps the state, and the next destroy
// continues.
func (r *Resource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	ctx = progress.Context(ctx)
	var m Model
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	text, diags := req.Private.GetKey(ctx, recallKey)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	timeout, diags := m.Timeouts.Delete(ctx, workTimeout)
	resp.Diagnostics.Append(diags...)
	recall, err := recalled(text)
	if err != nil {
		resp.Diagnostics.AddError("Giving back "+m.subject(), err.Error())
		return
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	last, err := r.release(bounded, m, recall)
	doing := "Giving back " + m.subject()
	switch operation.EndOf(ctx, err) {
	case operation.Done:
		if left := leftBehind(last.Ledger); m.AbandonOnDestroy.ValueBool() && len(left) > 0 {
			resp.Diagnostics.AddWarning(fmt.Sprintf("%s was abandoned", member.Sentence(m.subject())),
				"Not put back, to be done by hand:\n  "+strings.Join(left, "\n  "))
		}
	case operation.Interrupted:
		resp.Diagnostics.AddError(doing, fmt.Sprintf("The run was interrupted at phase %q. The host is kept in the state; the next destroy continues.", last.Phase))
	case operation.Failed:
		err = operation.Explain(err, m.subject(), "delete", timeout, string(last.Phase))
		reporter(ctx).Error(ctx, &resp.Diagnostics, doing, err, notPutBack(last), phaseTable(last.Timings),
			"The host is kept in the state, and the next destroy continues. If it can never be given back, set abandon_on_destroy = true and apply, then destroy.")
	}
}

func notPutBack(s host.Status) string {
	left := leftBehind(s.Ledger)
	if len(left) == 0 {
		return ""
	}
	return "Not yet put back:\n  " + strings.Join(left, "\n  ")
}

// release starts the work, waits for its end and checks that nothing is left.
// The status is the last that was seen of the host.
func (r *Resource) release(ctx context.Context, m Model, recall *host.Status) (host.Status, error) {
	var last host.Status
	spec, err := m.spec(ctx)
	if err != nil {
		return last, err
	}
	client, err := r.pool.AgentFor(ctx, m.Facility.ValueString(), spec.BMC.Credentials)
	if err != nil {
		return last, err
	}
	// An agent that lost its store must not pass for one that gave the host back.
	if err := remind(ctx, client, m, recall); err != nil {
		if errors.Is(err, errReleased) {
			return last, nil
		}
		return last, err
	}
	last, err = client.ReleaseHost(ctx, spec.Name, m.AbandonOnDestroy.ValueBool())
	if err == nil {
		show := r.pool.Progress.Host(ctx)
		_, err = client.AwaitHost(ctx, spec.Name, last.Revision, func(s host.Status) bool {
			show(s)
			last = s
			return failed(s)
		})
	}
	if err != nil && !errors.Is(err, facility.ErrNotFound) {
		return last, err
	}
	return last, gone(ctx, client, spec.Name)
}

// gone is the closing look: the agent has neither the host nor an address of it.
func gone(ctx context.Context, client connection.Client, name string) error {
	status, err := client.Host(ctx, name, false)
	if err == nil {
		if status.Failure != nil {
			return status.Failure
		}
		return fmt.Errorf("host %q is still there as %q after it was given back", name, status.State)
	}
	if !errors.Is(err, facility.ErrNotFound) {
		return err
	}
	site, err := client.Facility(ctx)
	if err != nil {
		return fmt.Errorf("checking that nothing of host %q is left: %w", name, err)
	}
	if slices.Contains(site.Hosts, name) {
		return remains(name, "the facility still lists it")
	}
	for address, owner := range site.Claims {
		if owner == "host/"+name {
			return remains(name, fmt.Sprintf("address %s is claimed for it", address))
		}
	}
	return nil
}

func remains(name, seen string) error {
	return &fault.Error{Class: fault.Retryable, Subject: fmt.Sprintf("host %q", name), Summary: "something of the host is left at its facility",
		Seen: seen, Expected: "nothing", Advice: "destroy again"}
}
