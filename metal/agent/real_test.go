package agent

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// realSpec is a facility that is recalled, never served: no network is touched.
func realSpec() facility.Spec {
	return facility.Spec{
		Name: "lab",
		Networks: []facility.NetworkSpec{{
			Name: "boot", CIDR: "192.0.2.0/24", Pool: []string{"192.0.2.10-192.0.2.20"}, AgentAddress: "192.0.2.1",
		}},
		Services: facility.ServicesSpec{Installer: "/nonexistent"},
	}
}

// realHost has a BMC that refuses connections: nothing listens on port 1.
func realHost(name string) host.Spec {
	spec := hostSpec(name)
	spec.BMC.URL = "https://127.0.0.1:1"
	return spec
}

// realDial opens a client of the real engine on one transport; dialling again
// after closing finds the state that was left.
func realDial(t *testing.T, transport, dir string, log *logBuffer) *Client {
	t.Helper()
	opts := Options{Version: "test", Logger: log.logger(), Patience: 5 * time.Second}
	if transport == "embedded" {
		client, err := Dial(t.Context(), "embedded:"+dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	engines, closer, err := OpenFacility(t.Context(), dir, "test", log.logger())
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(shortDir(t), "s")
	stop := serveEngines(t, socket, engines, log.logger())
	client, err := Dial(t.Context(), "unix://"+socket, opts)
	if err != nil {
		t.Fatal(err)
	}
	client.release = func() error {
		stop()
		return closer.Close()
	}
	return client
}

func TestRealFacility(t *testing.T) {
	for _, transport := range []string{"unix", "embedded"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			dir, log := t.TempDir(), &logBuffer{}
			c := realDial(t, transport, dir, log)
			offered := map[string]facility.Credentials{"lab": {Username: "c4n4ry-user", Password: "c4n4ry"}}
			if err := c.OfferCredentials(t.Context(), offered); err != nil {
				t.Fatal(err)
			}
			beforeAnything(t, c)
			recallOne(t, c)
			closeClient(t, c)
			c = realDial(t, transport, dir, log)
			afterReopening(t, c)
			release(t, c)
			closeClient(t, c)
			if strings.Contains(log.String(), "c4n4ry") {
				t.Errorf("a credential is in the log:\n%s", log.String())
			}
		})
	}
}

func beforeAnything(t *testing.T, c *Client) {
	ctx := t.Context()
	_, siteErr := c.Facility(ctx)
	_, specErr := c.FacilitySpec(ctx)
	_, hostErr := c.Host(ctx, "n1", true)
	_, waitErr := c.WaitHost(ctx, "n1", 0)
	_, releaseErr := c.ReleaseHost(ctx, "n1", true)
	_, clusterErr := c.Cluster(ctx, "c", false)
	_, kubeconfigErr := c.Kubeconfig(ctx, "c", time.Minute)
	for i, err := range []error{siteErr, specErr, hostErr, waitErr, releaseErr, clusterErr, kubeconfigErr} {
		if !errors.Is(err, facility.ErrNotFound) {
			t.Errorf("empty facility, call %d: %v", i, err)
		}
	}
	hosts, err := c.Hosts(ctx)
	clusters, clustersErr := c.Clusters(ctx)
	if err := errors.Join(err, clustersErr); err != nil || len(hosts)+len(clusters) != 0 {
		t.Errorf("empty facility: hosts %v, clusters %v, %v", hosts, clusters, err)
	}
	wrong := realSpec()
	wrong.Networks[0].CIDR = "192.0.2.0/33"
	_, err = c.ApplyFacility(ctx, wrong)
	if f := wantFault(t, err, fault.NeedsPerson, "192.0.2.0/33", `facility "lab"`); f.Attribute != "networks[0].cidr" {
		t.Errorf("attribute %q", f.Attribute)
	}
	// Nothing on this machine has the agent's address.
	_, err = c.ApplyFacility(ctx, realSpec())
	wantFault(t, err, fault.NeedsPerson, "192.0.2.1")
}

func recallOne(t *testing.T, c *Client) {
	ctx := t.Context()
	status, err := c.RecallFacility(ctx, realSpec())
	if err != nil || status.Name != "lab" || status.Serving {
		t.Fatalf("recalled facility %+v, %v", status, err)
	}
	recalled, err := c.RecallHost(ctx, realHost("n1"), &host.Status{Name: "n1", State: host.Available, Address: "192.0.2.15/24", Revision: 9})
	if err != nil || recalled.State != host.Available || recalled.Address != "192.0.2.15/24" || recalled.Busy {
		t.Fatalf("recalled host %+v, %v", recalled, err)
	}
	twin := realHost("n2")
	twin.BootMAC = "52:54:00:00:00:02"
	_, err = c.RecallHost(ctx, twin, nil)
	if f := wantFault(t, err, fault.NeedsPerson, `host "n2"`, `host "n1"`); f.Attribute != "bmc.url" {
		t.Errorf("attribute %q", f.Attribute)
	}
	_, err = c.ApplyCluster(ctx, cluster.Spec{Name: "c"})
	wantFault(t, err, fault.NeedsPerson)
}

func afterReopening(t *testing.T, c *Client) {
	ctx := t.Context()
	status, err := c.Host(ctx, "n1", true)
	if err != nil || status.State != host.Available || status.Address != "192.0.2.15/24" || status.Unreachable == "" {
		t.Fatalf("host after reopening: %+v, %v", status, err)
	}
	if spec, err := c.HostSpec(ctx, "n1"); err != nil || spec.BMC.URL != "https://127.0.0.1:1" {
		t.Errorf("specification after reopening: %+v, %v", spec, err)
	}
	if site, err := c.Facility(ctx); err != nil || site.Claims["192.0.2.15"] == "" {
		t.Errorf("facility after reopening: %+v, %v", site, err)
	}
	wantFault(t, c.ReleaseFacility(ctx), fault.NeedsPerson, "n1", "in use")
}

func release(t *testing.T, c *Client) {
	ctx := t.Context()
	status, err := c.ReleaseHost(ctx, "n1", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.AwaitHost(ctx, "n1", status.Revision, func(s host.Status) bool { return !s.Busy }); !errors.Is(err, facility.ErrNotFound) {
		t.Fatalf("abandoned host: %v", err)
	}
	found := c.Events(ctx, 0, func(e event.Event) error {
		if e.Kind == "host" && e.Name == "n1" && e.Phase == "released" {
			return errEnough
		}
		return nil
	})
	if !errors.Is(found, errEnough) {
		t.Fatalf("events: %v", found)
	}
	if err := c.ReleaseFacility(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Facility(ctx); !errors.Is(err, facility.ErrNotFound) {
		t.Errorf("released facility: %v", err)
	}
}

// Two processes cannot have one directory; the second is told so.
func TestRealFacilityIsLocked(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), &logBuffer{}
	first := realDial(t, "unix", dir, log)
	_, err := Dial(t.Context(), "embedded:"+dir, Options{})
	if f := wantFault(t, err, fault.Retryable, "in use by another process"); f.Attribute != "agent" {
		t.Errorf("attribute %q", f.Attribute)
	}
	closeClient(t, first)
	second, err := Dial(t.Context(), "embedded:"+dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeClient(t, second)
}
