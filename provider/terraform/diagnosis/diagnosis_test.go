package diagnosis

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

var reporter = Reporter{
	Renamed: map[string]string{"timeouts": "phase_timeouts"},
	Schema: schema.Schema{Attributes: map[string]schema.Attribute{
		"bmc":            schema.SingleNestedAttribute{Required: true, Attributes: map[string]schema.Attribute{"url": schema.StringAttribute{Required: true}}},
		"phase_timeouts": schema.SingleNestedAttribute{Optional: true, Attributes: map[string]schema.Attribute{"boot_seconds": schema.Int64Attribute{Optional: true}}},
		"networks": schema.ListNestedAttribute{Required: true, NestedObject: schema.NestedAttributeObject{
			Attributes: map[string]schema.Attribute{"cidr": schema.StringAttribute{Required: true}}}},
	}},
}

func TestAttributesOfTheLibraryBecomePaths(t *testing.T) {
	for dotted, want := range map[string]string{
		"bmc.url": "bmc.url", "bmc": "bmc", "timeouts.boot_seconds": "phase_timeouts.boot_seconds",
		"networks.1.cidr": "networks[1].cidr", "networks[1].cidr": "networks[1].cidr",
		// Paths that the schema does not have name nothing.
		"": "", "bmc.password": "", "bmc.url.x": "", "elsewhere": "", "networks.cidr": "", "..": "", "bmc.": "",
	} {
		var diags diag.Diagnostics
		reporter.Error(t.Context(), &diags, "Doing", fault.Invalid(dotted, "wrong", "a", "b"))
		got := ""
		if at, ok := diags[0].(diag.DiagnosticWithPath); ok {
			got = at.Path().String()
		}
		if got != want {
			t.Errorf("%q became %q, want %q", dotted, got, want)
		}
	}
}

func TestDetailIsForThePersonAtNight(t *testing.T) {
	var diags diag.Diagnostics
	err := fmt.Errorf("applying: %w", &fault.Error{Class: fault.NeedsPerson, Subject: `host "n"`, Attribute: "bmc.url", Phase: "connect",
		Summary: "the BMC refuses the password", Seen: "401", Expected: "200", Advice: "correct it", Evidence: []string{"last line"}})
	reporter.Error(t.Context(), &diags, `Creating host "n"`, err, "", "Phases so far: none")
	want := diag.NewAttributeErrorDiagnostic(path.Root("bmc").AtName("url"), `Creating host "n"`, `The BMC refuses the password.

On:       host "n"
Phase:    connect
Seen:     401
Expected: 200
Do next:  correct it
Evidence:
  | last line

This needs a person: without a change, trying again will end here again.

Phases so far: none`)
	if len(diags) != 1 || !diags[0].Equal(want) {
		t.Errorf("got\n%v\nwant\n%v", diags, want)
	}
}

func TestJoinedFindingsAreOneDiagnosticEach(t *testing.T) {
	var diags diag.Diagnostics
	err := errors.Join(fault.Invalid("bmc.url", "one", "", ""), errors.Join(fault.Invalid("networks.0.cidr", "two", "", ""), fault.Invalid("bmc", "three", "", "")))
	reporter.Error(t.Context(), &diags, "Doing", err)
	if len(diags) != 3 {
		t.Fatalf("got %d diagnostics, want 3: %v", len(diags), diags)
	}
	// An error beside its sentinel is one.
	diags = nil
	reporter.Error(t.Context(), &diags, "Doing", fmt.Errorf("%w (%w)", errors.New("x"), errors.New("not found")))
	if len(diags) != 1 {
		t.Errorf("got %d diagnostics, want 1: %v", len(diags), diags)
	}
}

func TestWarningsDoNotSpeakOfTryingAgain(t *testing.T) {
	var diags diag.Diagnostics
	reporter.Warning(t.Context(), &diags, "Looking", errors.New("no route to host"), "It is kept.")
	if len(diags) != 1 || diags[0].Severity() != diag.SeverityWarning || strings.Contains(diags[0].Detail(), "again") ||
		!strings.Contains(diags[0].Detail(), "no route to host") || !strings.HasSuffix(diags[0].Detail(), "It is kept.") {
		t.Errorf("got %v", diags)
	}
}
