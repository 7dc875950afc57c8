package bmc

import (
	"context"
	"testing"
)

// sequence is what is done most: read the power, boot from the network once,
// power on.
func sequence(t testing.TB, c *Client, verified bool) {
	t.Helper()
	ctx := context.Background()
	boot, power := c.RequestBoot, c.RequestPower
	if verified {
		boot, power = c.SetBoot, c.SetPower
	}
	if _, err := c.Power(ctx); err != nil {
		t.Fatal(err)
	}
	if err := boot(ctx, pxeOnce); err != nil {
		t.Fatal(err)
	}
	if err := power(ctx, On); err != nil {
		t.Fatal(err)
	}
}

// TestRequestBudget holds the number of requests and connections.
func TestRequestBudget(t *testing.T) {
	for _, vendor := range []string{"generic", "idrac", "ilo", "supermicro", "openbmc"} {
		for _, tc := range []struct {
			name              string
			verified          bool
			first, cold, kept int64
			connections       int64
		}{
			{"commands", false, 7, 5, 3, 1},
			{"with read-back", true, 9, 7, 5, 1},
		} {
			t.Run(vendor+" "+tc.name, func(t *testing.T) {
				f := newFake(t, vendor)
				cfg := f.config()
				cfg.Cache = &Paths{}
				for i, want := range []int64{tc.first, tc.cold} {
					f.set(func(s map[string]any) { s["PowerState"] = "Off" })
					c, err := Connect(context.Background(), cfg)
					if err != nil {
						t.Fatal(err)
					}
					sequence(t, c, tc.verified)
					if i == 1 {
						before, _ := c.Requests()
						f.set(func(s map[string]any) { s["PowerState"] = "Off" })
						sequence(t, c, tc.verified)
						after, _ := c.Requests()
						if after-before != tc.kept {
							t.Errorf("kept connection: %d requests, want %d", after-before, tc.kept)
						}
						want += tc.kept
					}
					if err := c.Close(context.Background()); err != nil {
						t.Fatal(err)
					}
					requests, connections := c.Requests()
					if requests != want || connections != tc.connections {
						t.Errorf("contact %d: %d requests on %d connections, want %d on 1: %v", i+1, requests, connections, want, f.log)
					}
				}
				f.mu.Lock()
				defer f.mu.Unlock()
				if f.conns != 2 || len(f.sessions) != 0 {
					t.Errorf("the BMC saw %d connections for 2 contacts, %d sessions left", f.conns, len(f.sessions))
				}
			})
		}
	}
}
