package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

func idle(s host.Status) bool { return !s.Busy }

func TestLongPoll(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		rev := h.fake.change("n1", func(s *host.Status) { s.Busy = true }).Revision
		// An older revision is answered at once.
		if s, err := h.WaitHost(t.Context(), "n1", rev-1); err != nil || s.Revision != rev {
			t.Fatalf("wait for what is there gave %+v, %v", s, err)
		}
		<-h.fake.waits
		go func() {
			<-h.fake.waits
			h.fake.change("n1", func(s *host.Status) { s.Busy = false })
		}()
		if s, err := h.WaitHost(t.Context(), "n1", rev); err != nil || s.Revision != rev+1 || s.Busy {
			t.Fatalf("wait for a change gave %+v, %v", s, err)
		}
		// A wait that ends without news gives the present status.
		response, body := h.raw(t, http.MethodGet, fmt.Sprintf("/v1/hosts/n1?after=%d&wait=1", rev+1), "")
		if response.StatusCode != http.StatusOK {
			t.Fatalf("wait without news: %d %s", response.StatusCode, body)
		}
	})
}

func TestEndedContextIsTheCallersError(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		h.fake.change("n1", func(s *host.Status) { s.Busy = true })
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-h.fake.waits
			cancel()
		}()
		if _, err := h.AwaitHost(ctx, "n1", 1, idle); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
	})
}

func TestAwaitGivesEngineFailures(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		if _, err := h.AwaitHost(t.Context(), "gone", 0, idle); !errors.Is(err, facility.ErrNotFound) {
			t.Fatalf("unknown host: %v", err)
		}
		h.fake.fail = &fault.Error{Class: fault.NeedsPerson, Summary: "the store is full"}
		_, err := h.AwaitHost(t.Context(), "gone", 0, idle)
		wantFault(t, err, fault.NeedsPerson, "the store is full")
	})
}

// 300 hosts are waited for at the same time, each from two sides.
func TestHerd(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		const hosts = 300
		for i := range hosts {
			h.fake.change(fmt.Sprintf("n%d", i), func(s *host.Status) { s.Busy = true })
		}
		var waiting sync.WaitGroup
		failed := make(chan error, hosts)
		for i := range hosts {
			waiting.Go(func() {
				s, err := h.AwaitHost(t.Context(), fmt.Sprintf("n%d", i), 1, idle)
				if err == nil && s.Power != "off" {
					err = fmt.Errorf("status %+v", s)
				}
				if err != nil {
					failed <- err
				}
			})
		}
		for range hosts {
			<-h.fake.waits
		}
		// The agent still answers others.
		if list, err := h.Hosts(t.Context()); err != nil || len(list) != hosts {
			t.Fatalf("listing beside the herd: %d, %v", len(list), err)
		}
		for i := range hosts {
			h.fake.change(fmt.Sprintf("n%d", i), func(s *host.Status) { s.Busy, s.Power = false, "off" })
		}
		waiting.Wait()
		close(failed)
		for err := range failed {
			t.Error(err)
		}
	})
}

func TestShutdownEndsLongPollsAtOnce(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		h.patience = time.Millisecond
		h.fake.change("n1", func(s *host.Status) { s.Busy = true })
		waited, watched := make(chan error, 1), make(chan error, 1)
		go func() {
			_, err := h.AwaitHost(t.Context(), "n1", 1, idle)
			waited <- err
		}()
		go func() { watched <- h.Events(t.Context(), 0, nil) }()
		<-h.fake.waits
		began := time.Now()
		h.stop()
		if took := time.Since(began); took > defaultWait/3 {
			t.Errorf("shutting down took %s", took)
		}
		for _, ended := range []chan error{waited, watched} {
			if err := <-ended; err == nil {
				t.Error("a wait on a stopped agent ended without an error")
			}
		}
	})
}

// restartable is an agent on a socket that can be killed and started again.
func restartable(t *testing.T, patience time.Duration) (*harness, func(*fakeEngine)) {
	fake := newFake()
	log := &logBuffer{}
	socket := shortDir(t) + "/s"
	h := &harness{fake: fake, log: log, stop: serve(t, socket, fake, log.logger())}
	client, err := Dial(t.Context(), "unix://"+socket, Options{Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeClient(t, client) })
	h.Client = client
	return h, func(next *fakeEngine) {
		h.stop()
		h.fake, h.stop = next, serve(t, socket, next, log.logger())
	}
}

func TestAwaitBridgesARestart(t *testing.T) {
	h, restart := restartable(t, time.Minute)
	if err := h.OfferCredentials(t.Context(), map[string]facility.Credentials{"lab": {Username: "u", Password: "p"}}); err != nil {
		t.Fatal(err)
	}
	h.fake.change("n1", func(s *host.Status) { s.Busy = true })
	done := make(chan error, 1)
	go func() {
		s, err := h.AwaitHost(t.Context(), "n1", 1, idle)
		if err == nil && s.State != host.Available {
			err = fmt.Errorf("status %+v", s)
		}
		done <- err
	}()
	<-h.fake.waits
	next := newFake()
	// The next run found the work in its journal and goes on with it.
	next.change("n1", func(s *host.Status) { s.Busy = true })
	restart(next)
	<-next.waits
	<-next.waits
	next.change("n1", func(s *host.Status) { s.Busy, s.State = false, host.Available })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	next.mu.Lock()
	defer next.mu.Unlock()
	if next.credentials["lab"].Password != "p" {
		t.Error("the restarted agent was not offered the credentials again")
	}
}

func TestAwaitTellsOfLostWork(t *testing.T) {
	h, restart := restartable(t, time.Minute)
	h.fake.change("n1", func(s *host.Status) { s.Busy = true })
	done := make(chan error, 1)
	go func() {
		_, err := h.AwaitHost(t.Context(), "n1", 1, func(s host.Status) bool { return s.State == host.Available })
		done <- err
	}()
	<-h.fake.waits
	next := newFake()
	next.change("n1", func(s *host.Status) { s.State = host.Enrolling })
	next.change("n1", func(*host.Status) {})
	restart(next)
	wantFault(t, <-done, fault.Retryable, "the agent at unix://", `went away during waiting for host "n1"`, "run the same command again")
}

func TestAwaitGivesUpOnADeadAgent(t *testing.T) {
	h, _ := restartable(t, 300*time.Millisecond)
	h.fake.change("n1", func(s *host.Status) { s.Busy = true })
	done := make(chan error, 1)
	go func() {
		_, err := h.AwaitHost(t.Context(), "n1", 1, idle)
		done <- err
	}()
	<-h.fake.waits
	h.stop()
	wantFault(t, <-done, fault.Retryable, "the agent at unix://", `went away during waiting for host "n1"`, "run the same command again")
	_, err := h.ApplyHost(t.Context(), hostSpec("n1"), nil)
	wantFault(t, err, fault.Retryable, `went away during applying host "n1"`)
}
