package operation

import (
	"context"
	"errors"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
)

// Job is work that an agent starts at once and goes on with by itself; S is the
// status of what it works on.
type Job[S any] struct {
	// Apply starts it.
	Apply func(ctx context.Context) (S, error)
	// Await gives the first status after a revision for which over holds.
	Await func(ctx context.Context, after uint64, over func(S) bool) (S, error)
	// Look gives the present status without asking any hardware.
	Look     func(ctx context.Context) (S, error)
	Revision func(S) uint64
	// See is told of each status that comes by.
	See func(ctx context.Context, status S)
	// Over says that waiting longer brings nothing.
	Over func(S) bool
}

// Run starts the work and waits for its end. accepted tells whether the agent
// has taken it: something may have been changed then, also by a Run that failed.
func (j Job[S]) Run(ctx context.Context) (accepted bool, err error) {
	status, err := j.Apply(ctx)
	if err != nil {
		return j.known(ctx), err
	}
	see := func(s S) bool {
		j.See(ctx, s)
		return j.Over(s)
	}
	if see(status) {
		return true, nil
	}
	if _, err = j.Await(ctx, j.Revision(status), see); err == nil {
		return true, nil
	}
	// Whatever ended the wait, the last status says how far the work is.
	late, cancel := Save(ctx)
	defer cancel()
	if last, lookErr := j.Look(late); lookErr == nil {
		j.See(late, last)
	}
	return true, err
}

// known tells whether the agent has the object all the same. Where it can't be
// asked, it may have.
func (j Job[S]) known(ctx context.Context) bool {
	late, cancel := Save(ctx)
	defer cancel()
	_, err := j.Look(late)
	return !errors.Is(err, facility.ErrNotFound)
}
