package bmc

import (
	"context"
	"testing"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/redfish"
)

// BenchmarkSequence runs connect, read power, network boot once, power on and
// close against a BMC that takes 50 ms per request, with this package and with
// plain gofish. It reports seconds, requests and TLS connections per run.
func BenchmarkSequence(b *testing.B) {
	ours := func(verified, kept bool) func(*testing.B, *fake) func() {
		return func(b *testing.B, f *fake) func() {
			cfg := f.config()
			cfg.Cache = &Paths{}
			open := func() *Client {
				c, err := Connect(context.Background(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				return c
			}
			closed := func(c *Client) {
				if err := c.Close(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			c := open()
			sequence(b, c, verified) // the first contact
			if kept {
				b.Cleanup(func() { closed(c) })
				return func() { sequence(b, c, verified) }
			}
			closed(c)
			return func() {
				c := open()
				sequence(b, c, verified)
				closed(c)
			}
		}
	}
	theirs := func(reuse bool) func(*testing.B, *fake) func() {
		return func(b *testing.B, f *fake) func() {
			return func() {
				if err := gofishSequence(f, reuse); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	for _, tc := range []struct {
		name    string
		prepare func(*testing.B, *fake) func()
	}{
		{"gofish", theirs(false)},
		{"gofish-reuse", theirs(true)},
		{"metal-cold", ours(false, false)},
		{"metal-cold-read-back", ours(true, false)},
		{"metal-kept", ours(false, true)},
		{"metal-kept-read-back", ours(true, true)},
	} {
		b.Run(tc.name, func(b *testing.B) {
			f := newFake(b, "generic")
			f.delay = 50 * time.Millisecond
			run := tc.prepare(b, f)
			requests, conns := len(f.log), f.conns
			for b.Loop() {
				f.set(func(s map[string]any) { s["PowerState"] = "Off" })
				run()
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			b.ReportMetric(float64(len(f.log)-requests)/float64(b.N), "requests/op")
			b.ReportMetric(float64(f.conns-conns)/float64(b.N), "conns/op")
			b.ReportMetric(float64(len(f.log)-requests)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

func gofishSequence(f *fake, reuse bool) error {
	c, err := gofish.Connect(gofish.ClientConfig{Endpoint: f.URL, Username: testUser, Password: testPassword, Insecure: true, ReuseConnections: reuse})
	if err != nil {
		return err
	}
	defer c.Logout()
	first := func() (*redfish.ComputerSystem, error) {
		all, err := c.Service.Systems()
		if err != nil {
			return nil, err
		}
		return all[0], nil
	}
	if _, err := first(); err != nil { // its power
		return err
	}
	s, err := first()
	if err != nil {
		return err
	}
	if err := s.SetBoot(redfish.Boot{BootSourceOverrideEnabled: redfish.OnceBootSourceOverrideEnabled,
		BootSourceOverrideTarget: redfish.PxeBootSourceOverrideTarget}); err != nil {
		return err
	}
	if s, err = first(); err != nil {
		return err
	}
	return s.Reset(redfish.OnResetType)
}
