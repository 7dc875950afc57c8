// Package fault is the one shape of an error that a person has to read: what
// was seen, what was expected, on which subject, which attribute of the
// configuration is concerned, and what to do next.
//
// It knows nothing of hosts, BMCs, OpenTofu or Kubernetes; every other package
// may import it.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Class says what can be expected of trying again.
type Class string

const (
	// Retryable faults may go away on their own; retries are bounded.
	Retryable Class = "retryable"
	// NeedsPerson faults stay until somebody changes the configuration or the
	// hardware; the same apply then continues.
	NeedsPerson Class = "needs-person"
	// Final faults never go away for this object.
	Final Class = "final"
)

// Error is a classed error with its evidence. It travels as JSON between an
// agent and its clients, so it must never carry a secret.
type Error struct {
	Class Class `json:"class"`
	// Subject is what the error is about, kind first: `host "node-1"`.
	Subject string `json:"subject,omitempty"`
	// Attribute is the path of the configuration attribute at fault in the
	// library's JSON names, dotted: "bmc.credentials". Empty when none is.
	Attribute string `json:"attribute,omitempty"`
	// Phase is the lifecycle phase in which it happened.
	Phase string `json:"phase,omitempty"`
	// Summary is one short sentence without a full stop.
	Summary string `json:"summary"`
	// Seen and Expected are what was observed and what it should have been.
	Seen     string `json:"seen,omitempty"`
	Expected string `json:"expected,omitempty"`
	// Advice is what to do next.
	Advice string `json:"advice,omitempty"`
	// Evidence holds raw lines: the last BMC answer, the tail of the console.
	Evidence []string `json:"evidence,omitempty"`
	// Err is the cause; it does not travel, its text is part of Seen.
	Err error `json:"-"`
}

// Error renders one line; Detail renders the whole.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Subject != "" {
		b.WriteString(e.Subject + ": ")
	}
	b.WriteString(e.Summary)
	if e.Seen != "" {
		fmt.Fprintf(&b, ": %s", e.Seen)
	}
	if e.Err != nil && !strings.Contains(e.Seen, e.Err.Error()) {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Detail is the text below the summary of a diagnostic: several lines.
func (e *Error) Detail() string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-10s%s\n", name+":", value)
		}
	}
	line("On", e.Subject)
	line("Phase", e.Phase)
	seen := e.Seen
	if e.Err != nil && !strings.Contains(seen, e.Err.Error()) {
		seen = strings.TrimPrefix(seen+": "+e.Err.Error(), ": ")
	}
	line("Seen", seen)
	line("Expected", e.Expected)
	line("Do next", e.Advice)
	if len(e.Evidence) > 0 {
		b.WriteString("Evidence:\n")
		for _, l := range e.Evidence {
			b.WriteString("  | " + l + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n")
}

// ClassOf gives the class of err: that of the first *Error in its chain,
// otherwise Retryable, because an unknown failure is tried again (bounded)
// rather than given up.
func ClassOf(err error) Class {
	var e *Error
	if errors.As(err, &e) && e.Class != "" {
		return e.Class
	}
	return Retryable
}

// From gives the *Error in the chain of err, or wraps err in a Retryable one.
// From(nil) is nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Class: Retryable, Summary: "unexpected failure", Seen: err.Error(), Err: err}
}

// Invalid is the fault of a bad input: it names the attribute.
func Invalid(attribute, summary, seen, expected string) *Error {
	return &Error{Class: NeedsPerson, Attribute: attribute, Summary: summary, Seen: seen, Expected: expected,
		Advice: fmt.Sprintf("correct %q in the configuration and apply again; nothing was changed", attribute)}
}
