package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// Pauses between attempts.
const (
	// pollPause keeps a wait from spinning when an agent ends long-polls early,
	// as it does while it shuts down.
	pollPause = 100 * time.Millisecond
	// lostPause is between attempts to reach an agent that went away.
	lostPause = 250 * time.Millisecond
)

// AwaitHost waits until done says so of a status, beginning with the first whose
// revision is above after, and gives that status. done should look at State and
// Failure, not at Busy alone: an agent that was killed may have left its work.
//
// It bridges an agent that goes away for Options.Patience, and offers the
// credentials again to one that was restarted. Errors: a fault with the advice
// to run the same command again when the agent stays away, or when it came back
// and no longer works on the host; facility.ErrNotFound when the host was
// released; the context's error.
func (c *Client) AwaitHost(ctx context.Context, name string, after uint64, done func(host.Status) bool) (host.Status, error) {
	return await(ctx, c, awaited[host.Status]{
		what:     "waiting for " + subject("host", name),
		poll:     func(after uint64, run string) (host.Status, error) { return c.pollHost(ctx, name, after, run) },
		revision: hostRevision, busy: func(s host.Status) bool { return s.Busy }, done: done,
	}, after)
}

// AwaitCluster behaves like AwaitHost.
func (c *Client) AwaitCluster(ctx context.Context, name string, after uint64, done func(cluster.Status) bool) (cluster.Status, error) {
	return await(ctx, c, awaited[cluster.Status]{
		what:     "waiting for " + subject("cluster", name),
		poll:     func(after uint64, run string) (cluster.Status, error) { return c.pollCluster(ctx, name, after, run) },
		revision: clusterRevision, busy: func(s cluster.Status) bool { return s.Busy }, done: done,
	}, after)
}

func hostRevision(s host.Status) uint64 { return s.Revision }

func clusterRevision(s cluster.Status) uint64 { return s.Revision }

// awaited is what await needs to know of a kind of object.
type awaited[S any] struct {
	what     string
	poll     func(after uint64, run string) (S, error)
	revision func(S) uint64
	busy     func(S) bool
	done     func(S) bool
}

// await keeps asking. A status that is not newer is judged as well, when a
// long-poll ended without news or another run of the agent answers.
func await[S any](ctx context.Context, c *Client, a awaited[S], after uint64) (S, error) {
	began := c.answeredBy()
	run := began
	var last S
	var away time.Time
	for {
		status, err := a.poll(after, run)
		switch {
		case err == nil:
			away, last, run = time.Time{}, status, c.answeredBy()
		case !isLost(err):
			return last, err
		case away.IsZero():
			away = time.Now()
			fallthrough
		default:
			if time.Since(away) >= c.patience {
				return last, err
			}
			if err := pause(ctx, lostPause); err != nil {
				return last, fmt.Errorf("%s at agent %q: %w", a.what, c.url, err)
			}
			continue
		}
		if a.done(status) {
			return status, nil
		}
		if run != began {
			if err := c.resumed(ctx, a.what, a.busy(status)); err != nil {
				return status, err
			}
			began = run
		}
		if a.revision(status) == after {
			if err := pause(ctx, pollPause); err != nil {
				return status, fmt.Errorf("%s at agent %q: %w", a.what, c.url, err)
			}
		}
		after = a.revision(status)
	}
}

// resumed is asked when another run of the agent answers: it is an error unless
// that one works on the object too.
func (c *Client) resumed(ctx context.Context, what string, busy bool) error {
	if !busy {
		return &fault.Error{
			Class: fault.Retryable, Subject: "agent " + quote(c.url),
			Summary: fmt.Sprintf("the agent at %s went away during %s", c.url, what),
			Seen:    "it was restarted and no longer works on it", Expected: "one agent from begin to end",
			Advice: "run the same command again: it continues where it was",
		}
	}
	err := c.offerAgain(ctx)
	if err != nil && !isLost(err) {
		return err
	}
	return nil
}

// wait polls until the revision is another than after.
func wait[S any](ctx context.Context, after uint64, poll func(after uint64) (S, error), revision func(S) uint64) (S, error) {
	for {
		status, err := poll(after)
		if err != nil || revision(status) != after {
			return status, err
		}
		if err := pause(ctx, pollPause); err != nil {
			return status, err
		}
	}
}

// pause waits, or gives the context's error at once.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
