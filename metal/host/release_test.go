package host

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestWaitEndsWithRelease: whoever waits for a host learns at once that it is
// gone, and does not sit out its long-poll.
func TestWaitEndsWithRelease(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for range 300 { // each meets another moment of the release
		if _, err := f.m.Recall(ctx, oneHost, nil); err != nil {
			t.Fatal(err)
		}
		s, err := f.m.Release(ctx, "node-1", false)
		for err == nil && ctx.Err() == nil {
			s, err = f.m.Wait(ctx, "node-1", s.Revision)
		}
		if !errors.Is(err, ErrUnknown) {
			t.Fatalf("waiting ended with %+v, %v, want %v", s, err, ErrUnknown)
		}
	}
}
