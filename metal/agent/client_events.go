package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/event"
)

// Events calls each with every event whose ID is above after, in order and once,
// for as long as ctx lasts; then it gives the context's error. It reconnects
// when the stream breaks and gives up after Options.Patience without a
// connection. An agent that was restarted numbers its events anew, and all that
// it kept are given. An error of each ends it.
func (c *Client) Events(ctx context.Context, after uint64, each func(event.Event) error) error {
	last := ""
	if after > 0 {
		last = strconv.FormatUint(after, 10)
	}
	var away time.Time
	for {
		err := c.stream(ctx, nil, &last, each, func() { away = time.Time{} })
		if ctx.Err() != nil {
			return fmt.Errorf("watching events at agent %q: %w", c.url, context.Cause(ctx))
		}
		if err != nil && !isLost(err) {
			return err
		}
		if away.IsZero() {
			away = time.Now()
		}
		if err != nil && time.Since(away) >= c.patience {
			return err
		}
		if err := pause(ctx, lostPause); err != nil {
			return fmt.Errorf("watching events at agent %q: %w", c.url, err)
		}
	}
}

// RecentEvents gives the events with an ID above after that the agent still has.
func (c *Client) RecentEvents(ctx context.Context, after uint64) ([]event.Event, error) {
	last := ""
	if after > 0 {
		last = strconv.FormatUint(after, 10)
	}
	var list []event.Event
	err := c.stream(ctx, url.Values{"follow": {"false"}}, &last, func(e event.Event) error {
		list = append(list, e)
		return nil
	}, func() {})
	return list, err
}

// stream reads one connection's events; last is the id to continue after and
// follows the events. alive is called with each sign of life.
func (c *Client) stream(ctx context.Context, query url.Values, last *string, each func(event.Event) error, alive func()) error {
	const what = "watching events"
	watched, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// A dead connection shows by silence: no heartbeat either.
	silence := time.AfterFunc(c.quiet, func() { cancel(errSilent) })
	defer silence.Stop()
	header := http.Header{"Accept": {"text/event-stream"}}
	if *last != "" {
		header.Set("Last-Event-ID", *last)
	}
	response, err := c.send(watched, request{what: what, method: http.MethodGet, path: "/v1/events", query: query, header: header})
	if err != nil {
		return c.lost(ctx, what, err)
	}
	defer c.discard(response)
	if response.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(response.Body, maxEvent))
		if err != nil {
			return c.lost(ctx, what, err)
		}
		return c.failure(what, response.StatusCode, body)
	}
	alive()
	err = readEvents(response.Body, func(id string, data []byte) error {
		silence.Reset(c.quiet)
		alive()
		if len(data) == 0 {
			return nil
		}
		var e event.Event
		if err := json.Unmarshal(data, &e); err != nil {
			return c.strange(what, err.Error())
		}
		if err := each(e); err != nil {
			return err
		}
		*last = id
		return nil
	})
	var broken *brokenStream
	if errors.As(err, &broken) {
		return c.lost(ctx, what, broken.err)
	}
	return err
}

var errSilent = errors.New("no heartbeat")

// brokenStream is a failed read, as opposed to an error of the reader's user.
type brokenStream struct{ err error }

func (b *brokenStream) Error() string { return b.err.Error() }

// readEvents parses the part of server-sent events that this API uses: one id
// and one data line per event, and comments. each is called without data for a
// comment. The end of the stream is no error.
func readEvents(r io.Reader, each func(id string, data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxEvent)
	var id string
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		switch {
		case len(line) == 0:
			if len(data) > 0 {
				if err := each(id, data); err != nil {
					return err
				}
			}
			data = nil
		case line[0] == ':':
			if err := each("", nil); err != nil {
				return err
			}
		case bytes.HasPrefix(line, []byte("id: ")):
			id = string(line[len("id: "):])
		case bytes.HasPrefix(line, []byte("data: ")):
			data = bytes.Clone(line[len("data: "):])
		}
	}
	if err := lines.Err(); err != nil {
		return &brokenStream{err}
	}
	return nil
}
