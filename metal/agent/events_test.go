package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// errEnough ends a stream from inside.
var errEnough = errors.New("enough")

func publish(f *fakeEngine, from, to int) {
	for i := from; i <= to; i++ {
		f.bus.Publish(event.Event{Kind: "host", Name: "n1", Message: fmt.Sprintf("message %d\nline two", i), Elapsed: time.Second})
	}
}

// collect takes events until one has ID last.
func collect(got *[]event.Event, last uint64) func(event.Event) error {
	return func(e event.Event) error {
		*got = append(*got, e)
		if e.ID == last {
			return errEnough
		}
		return nil
	}
}

func wantIDs(t *testing.T, got []event.Event, first, last uint64) {
	t.Helper()
	if len(got) != int(last-first+1) {
		t.Fatalf("%d events, want %d to %d", len(got), first, last)
	}
	for i, e := range got {
		if e.ID != first+uint64(i) || e.Message != fmt.Sprintf("message %d\nline two", e.ID) || e.Elapsed != time.Second || e.Time.IsZero() {
			t.Fatalf("event %d is %+v", i, e)
		}
	}
}

func TestEventsResume(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		publish(h.fake, 1, 10)
		var got []event.Event
		if err := h.Events(t.Context(), 0, collect(&got, 10)); !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		wantIDs(t, got, 1, 10)
		got = nil
		first := make(chan struct{})
		go func() {
			<-first
			publish(h.fake, 11, 20)
		}()
		err := h.Events(t.Context(), 5, func(e event.Event) error {
			if e.ID == 6 {
				close(first)
			}
			return collect(&got, 20)(e)
		})
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		wantIDs(t, got, 6, 20)
		recent, err := h.RecentEvents(t.Context(), 15)
		if err != nil {
			t.Fatal(err)
		}
		wantIDs(t, recent, 16, 20)
		if none, err := h.RecentEvents(t.Context(), 20); err != nil || len(none) != 0 {
			t.Fatalf("after the last: %v, %v", none, err)
		}
	})
}

// The stream breaks again and again; each event is still given once.
func TestEventsSurviveBrokenConnections(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		cut := &cuttingTransport{RoundTripper: h.http.Transport, every: 1500}
		h.http.Transport = cut
		publish(h.fake, 1, 30)
		var got []event.Event
		if err := h.Events(t.Context(), 0, collect(&got, 30)); !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		wantIDs(t, got, 1, 30)
		if cut.times < 3 {
			t.Fatalf("the stream was cut %d times only", cut.times)
		}
	})
}

// cuttingTransport fails each answer's body after some bytes.
type cuttingTransport struct {
	http.RoundTripper
	every int
	times int
}

func (c *cuttingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		c.times++
		response.Body = &cutBody{ReadCloser: response.Body, left: c.every}
	}
	return response, err
}

func (c *cuttingTransport) CloseIdleConnections() {
	if t, ok := c.RoundTripper.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}

type cutBody struct {
	io.ReadCloser
	left int
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func TestEventsOfARestartedAgent(t *testing.T) {
	h, restart := restartable(t, time.Minute)
	publish(h.fake, 1, 30)
	var before, after []event.Event
	seen := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- h.Events(t.Context(), 0, func(e event.Event) error {
			if len(before) < 30 {
				before = append(before, e)
				if len(before) == 30 {
					close(seen)
				}
				return nil
			}
			return collect(&after, 5)(e)
		})
	}()
	<-seen
	next := newFake()
	publish(next, 1, 5)
	restart(next)
	if err := <-done; !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	wantIDs(t, before, 1, 30)
	wantIDs(t, after, 1, 5)
}

func TestEventsGiveUpOnADeadAgent(t *testing.T) {
	h, _ := restartable(t, 300*time.Millisecond)
	h.stop()
	wantFault(t, h.Events(t.Context(), 0, nil), fault.Retryable, "went away during watching events")
}

func TestSilentStreamIsLeft(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		h.quiet, h.patience = 50*time.Millisecond, time.Nanosecond
		err := h.stream(t.Context(), nil, new(string), nil, func() {})
		wantFault(t, err, fault.Retryable, "went away during watching events")
	})
}

func TestHeartbeatsKeepAQuietStream(t *testing.T) {
	fake := newFake()
	handler := NewHandler(fake.engines(), nil)
	handler.beat = 5 * time.Millisecond
	h := onHandler(t, handler)
	beats := 0
	err := h.stream(t.Context(), nil, new(string), func(event.Event) error { return errEnough }, func() {
		// The first sign of life is the answer itself.
		if beats++; beats == 5 {
			publish(fake, 1, 1)
		}
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("after %d signs of life: %v", beats, err)
	}
}

func TestStrangeEventIDs(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		publish(h.fake, 1, 3)
		for id, want := range map[string]int{"": 3, "0": 3, "2": 1, "other-2": 3, "99": 0, h.answeredBy() + "-2": 1} {
			last := id
			var got []event.Event
			err := h.stream(t.Context(), map[string][]string{"follow": {"false"}}, &last, collect(&got, 0), func() {})
			if err != nil || len(got) != want {
				t.Errorf("after id %q: %d events, %v, want %d", id, len(got), err, want)
			}
		}
		last := "x"
		err := h.stream(t.Context(), nil, &last, nil, func() {})
		wantFault(t, err, fault.NeedsPerson, "Last-Event-ID")
	})
}

func FuzzReadEvents(f *testing.F) {
	f.Add([]byte("id: a-1\ndata: {\"id\":1}\n\n: heartbeat\n\n"))
	f.Add([]byte("data: \n\nid: \n\n\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		err := readEvents(bytes.NewReader(stream), func(id string, data []byte) error {
			if strings.ContainsAny(id, "\n") || bytes.Contains(data, []byte("\n")) {
				t.Errorf("id %q, data %q", id, data)
			}
			return nil
		})
		var broken *brokenStream
		if err != nil && !errors.As(err, &broken) {
			t.Error(err)
		}
	})
}
