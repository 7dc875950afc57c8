package sim

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
	client "github.com/nanometal/terraform-provider-metal/metal/bmc"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// hopeless are the quirks with which a server can't be driven: the client must
// say so, with advice, and not believe what the BMC says.
var hopeless = []string{"patch-200-not-stored", "always-on"}

// drive is what provisioning does with a BMC. As the engine does, it repeats
// what failed with a fault that may go away on its own.
func drive(ctx context.Context, s *Server, tries int) error {
	var c *client.Client
	power := func(want client.PowerAction) func() error {
		return func() error { return c.SetPower(ctx, want) }
	}
	steps := []func() error{
		func() (err error) {
			c, err = client.Connect(ctx, client.Config{URL: s.URL, Username: s.Username, Password: s.Password, Fingerprint: s.Fingerprint,
				PowerTimeout: 4 * time.Second, BootTimeout: 4 * time.Second})
			return err
		},
		func() error { _, err := c.System(ctx); return err },
		power(client.ForceOff),
		func() error {
			return c.SetBoot(ctx, client.Boot{Enabled: "Once", Target: "UefiHttp", Mode: "UEFI", HTTPBootURI: "http://127.0.0.1:1/x"})
		},
		power(client.On), power(client.ForceOff), power(client.On),
		func() error { return c.SetBoot(ctx, client.Boot{Enabled: "Disabled", Target: "None"}) },
		power(client.ForceOff),
		func() error { return c.Close(ctx) },
	}
	for _, step := range steps {
		if err := patiently(ctx, step, tries); err != nil {
			return err
		}
	}
	return nil
}

func patiently(ctx context.Context, step func() error, tries int) error {
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	for try := 1; ; try++ {
		err := step()
		if err == nil || try == tries || fault.ClassOf(err) != fault.Retryable {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-pause.C:
		}
	}
}

// TestClientSurvivesQuirks drives servers through the product's client, one
// with each quirk and each profile, all at once because most of it is waiting.
func TestClientSurvivesQuirks(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*testTimeout)
	defer cancel()
	outcome := map[string]chan error{}
	servers := map[string]*Server{}
	for name := range bmc.Quirks() {
		outcome[name] = make(chan error, 1)
	}
	for name := range bmc.Profiles() {
		outcome[name] = make(chan error, 1)
	}
	for name, done := range outcome {
		tries := 8
		if slices.Contains(hopeless, name) {
			tries = 1
		}
		servers[name] = newServer(t, Config{Name: name, Quirks: []string{name}, NICs: 2})
		server := servers[name]
		go func() { done <- drive(ctx, server, tries) }()
	}
	for _, name := range slices.Sorted(maps.Keys(outcome)) {
		t.Run(name, func(t *testing.T) {
			err := <-outcome[name]
			if !slices.Contains(hopeless, name) {
				if err != nil || servers[name].On() {
					t.Errorf("on %v, error %v", servers[name].On(), err)
				}
				return
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Advice == "" {
				t.Errorf("error %v, want a fault with advice", err)
			}
		})
	}
}
