// Package operation says how long work ended, and gives the time to save what
// is known when it was stopped.
//
// It knows neither resources nor agents.
package operation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// End is how work ended.
type End int

// The ends.
const (
	Done End = iota
	// Interrupted: OpenTofu was told to stop.
	Interrupted
	// Failed, a timeout of the resource included.
	Failed
)

// EndOf tells an interruption from a failure. ctx is the context that OpenTofu
// gave: plugin-go cancels it on Stop, and never gives it a deadline, so that a
// deadline is the resource's own timeout.
func EndOf(ctx context.Context, err error) End {
	switch {
	case err == nil:
		return Done
	case errors.Is(ctx.Err(), context.Canceled):
		return Interrupted
	default:
		return Failed
	}
}

// saveTime is how long a stopping provider may take to ask an agent once more:
// OpenTofu waits for it, and so does the person who pressed Ctrl-C.
const saveTime = 5 * time.Second

// Save gives a context that outlives the interruption of ctx for a moment.
func Save(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), saveTime)
}

// Explain turns a deadline of the resource's own timeout into a fault that
// says which timeout it was; other errors are left as they are.
func Explain(err error, subject, timeout string, after time.Duration, phase string) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &fault.Error{
		Class: fault.Retryable, Subject: subject, Phase: phase, Err: err,
		Summary: "the work took longer than its timeout", Seen: fmt.Sprintf("no end after %s", after),
		Advice: fmt.Sprintf("look at what is said of the phase, or allow more time in timeouts.%s", timeout),
	}
}
