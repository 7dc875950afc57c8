package agentcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/event"
)

const (
	// redraw is how often a terminal is drawn while something changes.
	redraw = 200 * time.Millisecond
	// clock is how often it is drawn for the time that passes.
	clock = time.Second
	// progressEvery is the least time between two lines about the same phase.
	progressEvery = 5 * time.Second
)

func eventsCommand(version string, socket *string) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "events", Short: "Show what the hosts are doing: phase, bytes, time", Args: cobra.NoArgs,
		Long: "Show one line per host with its phase, the bytes of its work and the time in the phase.\n" +
			"With --follow it goes on: a terminal is redrawn, anything else gets a line per change.",
		RunE: explained(func(cmd *cobra.Command) (err error) {
			client, err := dial(cmd, *socket, version)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, client.Close()) }()
			if !follow {
				return showOnce(cmd.Context(), client, cmd.OutOrStdout())
			}
			if file, ok := terminal(cmd); ok {
				return watch(cmd.Context(), client, onTerminal(file))
			}
			return log(cmd.Context(), client, cmd.OutOrStdout())
		}),
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on until interrupted")
	return cmd
}

// showOnce prints where everything is.
func showOnce(ctx context.Context, client *agent.Client, out io.Writer) error {
	events, err := client.RecentEvents(ctx, 0)
	if err != nil {
		return err
	}
	b := newBoard()
	for _, e := range events {
		b.take(e)
	}
	for _, l := range b.sorted() {
		if _, err := fmt.Fprintln(out, l); err != nil {
			return err
		}
	}
	return nil
}

// log prints a line for each change of phase, and for progress now and then.
func log(ctx context.Context, client *agent.Client, out io.Writer) error {
	b := newBoard()
	err := client.Events(ctx, 0, func(e event.Event) error { return logEvent(b, e, out) })
	return untilInterrupted(ctx, err)
}

func logEvent(b *board, e event.Event, out io.Writer) error {
	l, entered := b.take(e)
	if !entered && !l.due(progressEvery) {
		return nil
	}
	l.printed = l.last
	_, err := fmt.Fprintln(out, e.Time.UTC().Format("15:04:05"), l)
	return err
}

// watch redraws the screen until ctx is done.
func watch(ctx context.Context, client *agent.Client, s *screen) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	events, ended := make(chan event.Event), make(chan error, 1)
	go func() {
		ended <- client.Events(ctx, 0, func(e event.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	return paint(ctx, s, events, ended)
}

// paint draws at a bounded rate, however fast events come.
func paint(ctx context.Context, s *screen, events <-chan event.Event, ended <-chan error) error {
	b := newBoard()
	changed := false
	fast, slow := time.NewTicker(redraw), time.NewTicker(clock)
	defer fast.Stop()
	defer slow.Stop()
	for {
		select {
		case e := <-events:
			b.take(e)
			changed = true
			continue
		case <-fast.C:
			if !changed {
				continue
			}
		case <-slow.C:
		case err := <-ended:
			return errors.Join(s.draw(b, time.Now()), untilInterrupted(ctx, err))
		}
		changed = false
		if err := s.draw(b, time.Now()); err != nil {
			return fmt.Errorf("drawing: %w", err)
		}
	}
}

// untilInterrupted makes an interrupt the good end of following.
func untilInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
