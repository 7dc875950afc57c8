package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/event"
)

// events streams the bus as server-sent events (WHATWG HTML, section 9.2). An
// event's id is "<instance>-<number>": numbers begin anew when an agent starts,
// so a Last-Event-ID of another run is answered with all that is kept.
func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	follow, after, err := h.parseEvents(r)
	if err != nil {
		h.refuse(w, "events", err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	stream := &eventStream{w: w, control: http.NewResponseController(w), instance: h.instance}
	defer stream.rest(h.logger)
	bus := h.engines.Site.Events()
	beat := time.NewTicker(h.beat)
	defer beat.Stop()
	for {
		batch, changed := bus.After(after)
		if err := stream.send(batch); err != nil {
			h.logger.Debug("a watcher of events went away", "error", err)
			return
		}
		if len(batch) > 0 {
			after = batch[len(batch)-1].ID
			continue
		}
		if !follow {
			return
		}
		select {
		case <-changed:
		case <-beat.C:
			err = stream.comment("heartbeat")
		case <-r.Context().Done():
			return
		case <-h.drained.Done():
			return
		}
		if err != nil {
			h.logger.Debug("a watcher of events went away", "error", err)
			return
		}
	}
}

func (h *Handler) parseEvents(r *http.Request) (follow bool, after uint64, err error) {
	if err := onlyQuery(r, "follow"); err != nil {
		return false, 0, err
	}
	follow = true
	if r.URL.Query().Has("follow") {
		if follow, err = boolean(r, "follow"); err != nil {
			return false, 0, err
		}
	}
	after, err = h.lastEvent(r.Header.Get("Last-Event-ID"))
	return follow, after, err
}

// lastEvent reads "<instance>-<number>", or a bare number of this run.
func (h *Handler) lastEvent(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	number := text
	if instance, rest, found := strings.Cut(text, "-"); found {
		if instance != h.instance {
			return 0, nil
		}
		number = rest
	}
	id, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return 0, badRequest("Last-Event-ID", "not the id of an event", clip(text, 80), "an id as the stream gave it")
	}
	return id, nil
}

// eventStream writes server-sent events, each batch flushed, and gives up on a
// reader that takes nothing for a while.
type eventStream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	instance string
}

func (s *eventStream) send(batch []event.Event) error {
	if len(batch) == 0 {
		return s.flush(nil)
	}
	var b bytes.Buffer
	for _, e := range batch {
		// JSON has no raw line breaks, so it is one data line.
		data, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encoding event %d: %w", e.ID, err)
		}
		fmt.Fprintf(&b, "id: %s-%d\ndata: %s\n\n", s.instance, e.ID, data)
	}
	return s.flush(b.Bytes())
}

func (s *eventStream) comment(text string) error {
	return s.flush([]byte(": " + text + "\n\n"))
}

// rest lifts the deadline: net/http does not, and the connection may serve on.
func (s *eventStream) rest(logger hclog.Logger) {
	if err := s.control.SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		logger.Debug("lifting the time limit of a connection", "error", err)
	}
}

func (s *eventStream) flush(data []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(bodyTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(data); err != nil {
		return err
	}
	return s.control.Flush()
}
