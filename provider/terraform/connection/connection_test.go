package connection

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/credential"
)

// fakeClient counts; calls that it does not have panic on the nil Client.
type fakeClient struct {
	Client
	mu      sync.Mutex
	offers  []map[string]facility.Credentials
	refuse  error
	entered chan struct{}
	leave   chan struct{}
	closed  bool
}

func (c *fakeClient) OfferCredentials(_ context.Context, offered map[string]facility.Credentials) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offers = append(c.offers, offered)
	return c.refuse
}

func (c *fakeClient) Host(context.Context, string, bool) (host.Status, error) {
	c.entered <- struct{}{}
	<-c.leave
	return host.Status{}, nil
}

func (c *fakeClient) AwaitHost(context.Context, string, uint64, func(host.Status) bool) (host.Status, error) {
	return host.Status{Name: "awaited"}, nil
}

func (c *fakeClient) Close() error {
	c.closed = true
	return nil
}

func environment() credential.Source {
	return credential.Source{Environment: []string{"METAL_BMC_LAB_USERNAME=u", "METAL_BMC_LAB_PASSWORD=p"}}
}

// TestTF10SlotsBoundRequestsNotWaits fills all slots of a facility.
func TestTF10SlotsBoundRequestsNotWaits(t *testing.T) {
	const slots, calls = 4, 50
	client := &fakeClient{entered: make(chan struct{}, calls), leave: make(chan struct{})}
	pool := &Pool{Dial: func(context.Context, string) (Client, error) { return client, nil }, Parallel: slots}
	agent, err := pool.Agent(t.Context(), "unix:///a")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			if _, err := agent.Host(t.Context(), "h", false); err != nil {
				t.Error(err)
			}
		})
	}
	for range slots {
		<-client.entered
	}
	if status, err := agent.AwaitHost(t.Context(), "h", 0, nil); err != nil || status.Name != "awaited" {
		t.Errorf("a wait while all slots are taken gave %v, %v", status, err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := agent.Host(canceled, "h", false); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled request that waits for a slot gave %v", err)
	}
	for done := slots; done < calls; done++ {
		select {
		case <-client.entered:
			t.Fatalf("more than %d requests were under way", slots)
		default:
		}
		client.leave <- struct{}{}
		<-client.entered
	}
	close(client.leave)
	all.Wait()
}

func TestOneConnectionPerAgentWithCredentialsOffered(t *testing.T) {
	clients := map[string]*fakeClient{}
	var mu sync.Mutex
	dials := 0
	pool := &Pool{Credentials: environment(), Dial: func(_ context.Context, url string) (Client, error) {
		mu.Lock()
		defer mu.Unlock()
		dials++
		clients[url] = &fakeClient{}
		return clients[url], nil
	}}
	var all sync.WaitGroup
	for _, url := range []string{"unix:///a", "unix:///b", "unix:///a", "unix:///b", "unix:///a"} {
		all.Go(func() {
			if _, err := pool.AgentFor(t.Context(), url, "lab"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if dials != 2 {
		t.Errorf("dialled %d times, want once per agent", dials)
	}
	for url, c := range clients {
		if len(c.offers) != 1 || c.offers[0]["lab"].Password != "p" {
			t.Errorf("%s: credentials were offered %d times, want once", url, len(c.offers))
		}
	}
	// A name in another spelling is offered as the host spells it, once.
	for range 2 {
		if _, err := pool.AgentFor(t.Context(), "unix:///a", "Lab"); err != nil {
			t.Error(err)
		}
	}
	if offers := clients["unix:///a"].offers; len(offers) != 2 || offers[1]["Lab"].Username != "u" {
		t.Errorf("offers are %d, want a second one for the other spelling", len(offers))
	}
	// A name that nobody resolves here may be known to the agent.
	if _, err := pool.AgentFor(t.Context(), "unix:///a", "agents-own"); err != nil {
		t.Error(err)
	}
	if err := pool.Close(); err != nil {
		t.Error(err)
	}
	for url, c := range clients {
		if !c.closed {
			t.Errorf("%s was not closed", url)
		}
	}
}

func TestFailedDialsAreTriedAgain(t *testing.T) {
	refused, client := errors.New("refused"), &fakeClient{refuse: errors.New("no")}
	fail := true
	pool := &Pool{Credentials: environment(), Dial: func(context.Context, string) (Client, error) {
		if fail {
			return nil, refused
		}
		return client, nil
	}}
	if _, err := pool.Agent(t.Context(), "unix:///a"); !errors.Is(err, refused) || !strings.Contains(err.Error(), "unix:///a") {
		t.Errorf("a refused dial gave %v", err)
	}
	fail = false
	if _, err := pool.Agent(t.Context(), "unix:///a"); err == nil || !client.closed {
		t.Errorf("a refused offer gave %v, closed %t", err, client.closed)
	}
	client.refuse = nil
	if _, err := pool.Agent(t.Context(), "unix:///a"); err != nil {
		t.Error(err)
	}
}

func TestFrom(t *testing.T) {
	if pool, err := From(nil); pool != nil || err != nil {
		t.Errorf("From(nil) = %v, %v", pool, err)
	}
	if _, err := From("something else"); err == nil {
		t.Error("something else was taken for a pool")
	}
	want := &Pool{}
	if got, err := From(want); got != want || err != nil {
		t.Errorf("From(pool) = %v, %v", got, err)
	}
}
