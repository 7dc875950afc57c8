package operation

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestEndOf(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	<-late.Done()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want End
	}{
		"success":              {t.Context(), nil, Done},
		"success at the last":  {stopped, nil, Done},
		"stopped":              {stopped, fmt.Errorf("waiting: %w", context.Canceled), Interrupted},
		"stopped, other error": {stopped, errors.New("connection closed"), Interrupted},
		"own timeout":          {t.Context(), late.Err(), Failed},
		"failure":              {t.Context(), errors.New("x"), Failed},
	} {
		if got := EndOf(c.ctx, c.err); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestExplainNamesTheTimeout(t *testing.T) {
	var f *fault.Error
	err := Explain(fmt.Errorf("waiting: %w", context.DeadlineExceeded), `host "n"`, "create", time.Hour, "inspect")
	if !errors.As(err, &f) || f.Phase != "inspect" || f.Seen != "no end after 1h0m0s" {
		t.Errorf("got %v", err)
	}
	if other := errors.New("x"); !errors.Is(Explain(other, "", "", 0, ""), other) {
		t.Error("another error was changed")
	}
}

// job is one whose status is a revision, and 10 the end.
func job(seen *[]int, apply, await, look error) Job[int] {
	return Job[int]{
		Apply: func(context.Context) (int, error) { return 1, apply },
		Await: func(_ context.Context, after uint64, over func(int) bool) (int, error) {
			if await != nil {
				return int(after), await
			}
			for s := int(after) + 1; ; s++ {
				if over(s) {
					return s, nil
				}
			}
		},
		Look:     func(context.Context) (int, error) { return 5, look },
		Revision: func(s int) uint64 { return uint64(s) },
		See:      func(_ context.Context, s int) { *seen = append(*seen, s) },
		Over:     func(s int) bool { return s == 10 },
	}
}

func TestJob(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		apply, await, look error
		accepted           bool
		last               int
	}{
		"to the end":             {nil, nil, nil, true, 10},
		"refused":                {broken, nil, facility.ErrNotFound, false, 0},
		"refused, but there":     {broken, nil, nil, true, 0},
		"refused, no answer":     {broken, nil, broken, true, 0},
		"wait broken, looked":    {nil, broken, nil, true, 5},
		"wait broken, no answer": {nil, broken, broken, true, 1},
	} {
		var seen []int
		accepted, err := job(&seen, c.apply, c.await, c.look).Run(t.Context())
		if accepted != c.accepted || (err != nil) != (c.apply != nil || c.await != nil) {
			t.Errorf("%s: accepted %t, %v", name, accepted, err)
		}
		last := 0
		if len(seen) > 0 {
			last = seen[len(seen)-1]
		}
		if last != c.last {
			t.Errorf("%s: saw %v, want %d last", name, seen, c.last)
		}
	}
}

func TestSaveOutlivesTheStop(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	late, cancel := Save(ctx)
	defer cancel()
	if late.Err() != nil {
		t.Errorf("the context to save with is over: %v", late.Err())
	}
	if _, ok := late.Deadline(); !ok {
		t.Error("the context to save with has no deadline")
	}
}
