// Package diagnosis turns faults of the library into diagnostics of OpenTofu:
// what happened, on what, which attribute is concerned, how far the work had
// come, what to do next.
//
// It knows neither resources nor agents.
package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Reporter reports for one resource.
type Reporter struct {
	// Schema is the resource's: an attribute that it does not have is not named.
	Schema schema.Schema
	// Renamed are the library's names of attributes that the schema calls otherwise.
	Renamed map[string]string
}

// Error appends err under the summary "doing": what was being done, without
// full stop. notes are paragraphs below the fault's own detail.
func (r Reporter) Error(ctx context.Context, diags *diag.Diagnostics, doing string, err error, notes ...string) {
	// Validation joins its findings: each is a diagnostic of its own.
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 && allFaults(joined.Unwrap()) {
		for _, one := range joined.Unwrap() {
			r.Error(ctx, diags, doing, one, notes...)
		}
		return
	}
	f := fault.From(err)
	detail := text(f, err, append([]string{againSays(f.Class)}, notes...))
	if at, ok := r.attribute(ctx, f.Attribute); ok {
		diags.AddAttributeError(at, doing, detail)
		return
	}
	diags.AddError(doing, detail)
}

// Warning is Error as a warning.
func (r Reporter) Warning(ctx context.Context, diags *diag.Diagnostics, doing string, err error, notes ...string) {
	f := fault.From(err)
	detail := text(f, err, notes)
	if at, ok := r.attribute(ctx, f.Attribute); ok {
		diags.AddAttributeWarning(at, doing, detail)
		return
	}
	diags.AddWarning(doing, detail)
}

// allFaults is false for an error that wraps a cause and a sentinel.
func allFaults(errs []error) bool {
	for _, err := range errs {
		var f *fault.Error
		var nested interface{ Unwrap() []error }
		if !errors.As(err, &f) && !errors.As(err, &nested) {
			return false
		}
	}
	return true
}

func text(f *fault.Error, err error, notes []string) string {
	var parts []string
	var classed *fault.Error
	if errors.As(err, &classed) {
		parts = append(parts, sentence(f.Summary))
	}
	if detail := f.Detail(); detail != "" {
		parts = append(parts, detail)
	}
	for _, note := range notes {
		if note != "" {
			parts = append(parts, note)
		}
	}
	return strings.Join(parts, "\n\n")
}

// againSays is what can be expected of trying again; what it continues from is
// the caller's to say.
func againSays(c fault.Class) string {
	switch c {
	case fault.Retryable:
		return "This may go away on its own."
	case fault.NeedsPerson:
		return "This needs a person: without a change, trying again will end here again."
	case fault.Final:
		return "Trying again will not help for this object."
	}
	return ""
}

func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

// attribute is the schema path of a dotted path in the library's JSON names;
// false when the schema has no such attribute.
func (r Reporter) attribute(ctx context.Context, dotted string) (path.Path, bool) {
	if dotted == "" {
		return path.Empty(), false
	}
	steps := strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(dotted), ".")
	if name, ok := r.Renamed[steps[0]]; ok {
		steps[0] = name
	}
	at := path.Empty()
	for i, step := range steps {
		index, err := strconv.Atoi(step)
		switch {
		case i == 0:
			at = path.Root(step)
		case err == nil:
			at = at.AtListIndex(index)
		default:
			at = at.AtName(step)
		}
	}
	if _, diags := r.Schema.TypeAtPath(ctx, at); diags.HasError() {
		return path.Empty(), false
	}
	return at, true
}

// Interrupted is the text for work that was stopped by the user.
func Interrupted(subject, how string) (summary, detail string) {
	return fmt.Sprintf("%s is not finished", subject),
		fmt.Sprintf("The run was interrupted. %s What is known is kept in the state with ready = false, and nothing has to be "+
			"cleaned up: the next apply continues where this one stopped, in place.", how)
}
