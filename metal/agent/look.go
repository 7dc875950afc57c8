package agent

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// look is how a GET wants to see an object: as recorded, refreshed from the
// hardware, or once its revision is above after (wait > 0).
type look struct {
	refresh bool
	after   uint64
	wait    time.Duration
}

func (h *Handler) parseLook(r *http.Request) (look, error) {
	var l look
	if err := onlyQuery(r, "refresh", "after", "wait"); err != nil {
		return l, err
	}
	var err error
	if l.refresh, err = boolean(r, "refresh"); err != nil {
		return l, err
	}
	query := r.URL.Query()
	if !query.Has("after") {
		if query.Has("wait") {
			return l, badRequest("wait", "there is nothing to wait for", "wait without after", "after=REVISION&wait=SECONDS")
		}
		return l, nil
	}
	if l.refresh {
		return l, badRequest("refresh", "refresh and after exclude each other", "both", "one of them")
	}
	if l.after, err = strconv.ParseUint(query.Get("after"), 10, 64); err != nil {
		return l, badRequest("after", "not a revision", clip(query.Get("after"), 80), "a whole number from 0")
	}
	if l.wait, err = parseWait(query.Get("wait")); err != nil {
		return l, err
	}
	// A store that was lost counts from the beginning again: a revision that a
	// client has of another run is answered with what there is now.
	if known := r.Header.Get(instanceHeader); known != "" && known != h.instance {
		l.after = 0
	}
	return l, nil
}

// parseWait reads whole seconds; longer waits than maxWait are shortened to it,
// a client asks again anyway.
func parseWait(text string) (time.Duration, error) {
	if text == "" {
		return defaultWait, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil || seconds == 0 {
		return 0, badRequest("wait", "not a time to wait", clip(text, 80), fmt.Sprintf("whole seconds from 1, at most %d count", int(maxWait.Seconds())))
	}
	return min(time.Duration(seconds)*time.Second, maxWait), nil
}

// polling is the context of a long-poll: it ends with the request, after wait,
// and at once when the handler drains.
func (h *Handler) polling(r *http.Request, wait time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	stop := context.AfterFunc(h.drained, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
