package host

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/codec"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/member"
)

// Model is metal_host in OpenTofu's types.
type Model struct {
	ID               types.String   `tfsdk:"id"`
	Facility         types.String   `tfsdk:"facility"`
	Name             types.String   `tfsdk:"name"`
	BMC              types.Object   `tfsdk:"bmc"`
	BootMAC          types.String   `tfsdk:"boot_mac"`
	BootMethod       types.String   `tfsdk:"boot_method"`
	Network          types.String   `tfsdk:"network"`
	RootDevice       types.Object   `tfsdk:"root_device"`
	Labels           types.Map      `tfsdk:"labels"`
	Wipe             types.String   `tfsdk:"wipe"`
	PhaseTimeouts    types.Object   `tfsdk:"phase_timeouts"`
	AbandonOnDestroy types.Bool     `tfsdk:"abandon_on_destroy"`
	Timeouts         timeouts.Value `tfsdk:"timeouts"`
	Hardware         types.Object   `tfsdk:"hardware"`
	Addresses        types.List     `tfsdk:"addresses"`
	State            types.String   `tfsdk:"state"`
	Power            types.String   `tfsdk:"power"`
	Phase            types.String   `tfsdk:"phase"`
	Ready            types.Bool     `tfsdk:"ready"`
}

// Renamed are the attributes that the schema calls otherwise than the library:
// besides the common ones, "timeouts" is OpenTofu's own word for those of its
// operations.
var Renamed = map[string]string{"timeouts": "phase_timeouts", "agent": member.Renamed["agent"]}

func (m Model) identity() member.Identity {
	return member.Identity{Facility: m.Facility, Name: m.Name}
}

// subject names the host in messages.
func (m Model) subject() string { return fmt.Sprintf("host %q", m.Name.ValueString()) }

// spec is the library's form; what is unknown is left out.
func (m Model) spec(ctx context.Context) (host.Spec, error) {
	return codec.Decode[host.Spec](ctx, map[string]attr.Value{
		"name": m.Name, "bmc": m.BMC, "boot_mac": m.BootMAC, "boot_method": m.BootMethod, "network": m.Network,
		"root_device": m.RootDevice, "labels": m.Labels, "wipe": m.Wipe, "timeouts": m.PhaseTimeouts,
	})
}

// assume gives required values that are not known yet a valid form.
func (m Model) assume(ctx context.Context, spec *host.Spec) {
	if m.Name.IsUnknown() {
		spec.Name = "unknown"
	}
	if m.BootMAC.IsUnknown() {
		spec.BootMAC = "02:00:00:00:00:00"
	}
	if !codec.Known(ctx, m.BMC) {
		spec.BMC.URL = cmp.Or(spec.BMC.URL, "https://unknown.invalid")
		spec.BMC.Credentials = cmp.Or(spec.BMC.Credentials, "unknown")
	}
}

// adopt fills the configurable attributes from a spec, for import.
func (m *Model) adopt(ctx context.Context, spec host.Spec) (err error) {
	attributes := Schema(ctx).Attributes
	if m.BMC, err = codec.Encode[types.Object](ctx, attributes["bmc"].GetType(), spec.BMC); err != nil {
		return err
	}
	if m.RootDevice, err = codec.Encode[types.Object](ctx, attributes["root_device"].GetType(), spec.RootDevice); err != nil {
		return err
	}
	if m.Labels, err = codec.Encode[types.Map](ctx, attributes["labels"].GetType(), spec.Labels); err != nil {
		return err
	}
	var bounds *host.Timeouts
	if spec.Timeouts != (host.Timeouts{}) {
		bounds = &spec.Timeouts
	}
	if m.PhaseTimeouts, err = codec.Encode[types.Object](ctx, attributes["phase_timeouts"].GetType(), bounds); err != nil {
		return err
	}
	m.BootMAC = types.StringValue(spec.BootMAC)
	m.Network = member.Optional(spec.Network)
	m.BootMethod = types.StringValue(cmp.Or(spec.BootMethod, "auto"))
	m.Wipe = types.StringValue(cmp.Or(string(spec.Wipe), string(host.WipeOwn)))
	m.AbandonOnDestroy = types.BoolValue(false)
	return nil
}

// observe fills the observed attributes. What the last look could not see
// (power of an unreachable BMC, hardware before the first inspection) stays as
// it was known before.
func (m *Model) observe(ctx context.Context, s host.Status) error {
	m.ID = types.StringValue(member.ID(m.Facility.ValueString(), m.Name.ValueString()))
	m.State = types.StringValue(string(s.State))
	m.Ready = types.BoolValue(settled(s))
	m.Phase = types.StringNull()
	if !settled(s) {
		m.Phase = member.Optional(cmp.Or(string(s.Phase), string(s.State)))
	}
	if s.Power != "" || m.Power.IsUnknown() {
		m.Power = member.Optional(s.Power)
	}
	observed := Schema(ctx).Attributes
	var err error
	if s.Hardware != nil || m.Hardware.IsUnknown() || m.Hardware.IsNull() {
		if m.Hardware, err = codec.Encode[types.Object](ctx, observed["hardware"].GetType(), s.Hardware); err != nil {
			return err
		}
	}
	addresses := []string{}
	if s.Address != "" {
		addresses = append(addresses, s.Address)
	}
	m.Addresses, err = codec.Encode[types.List](ctx, observed["addresses"].GetType(), addresses)
	return err
}

// keepPlanned puts back what the plan promised: OpenTofu refuses any other
// value after apply. The next refresh shows what is seen.
func (m *Model) keepPlanned(plan Model) {
	if !plan.State.IsUnknown() {
		m.State = plan.State
	}
	if !plan.Hardware.IsUnknown() {
		m.Hardware = plan.Hardware
	}
	if !plan.Addresses.IsUnknown() {
		m.Addresses = plan.Addresses
	}
}

// recallable is the status as it is remembered in private state, with which an
// agent that lost its store knows the host again: above all the ledger. It
// leaves out what is of the moment.
func recallable(s host.Status) ([]byte, error) {
	s.Log, s.Progress, s.Failure, s.Timings = nil, nil, nil, nil
	s.Milestones, s.MilestoneTimes = nil, nil
	s.Busy, s.Unreachable = false, ""
	return json.Marshal(s)
}

func recalled(text []byte) (*host.Status, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var s host.Status
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("reading what was remembered of the host: %w", err)
	}
	return &s, nil
}
