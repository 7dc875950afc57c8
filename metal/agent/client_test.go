package agent

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

func TestFacilityOverTheWire(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		ctx := t.Context()
		if _, err := h.Facility(ctx); !errors.Is(err, facility.ErrNotFound) {
			t.Fatalf("before apply: %v", err)
		}
		status, err := h.RecallFacility(ctx, facility.Spec{Name: "lab"})
		if err != nil || status.Name != "lab" || status.Serving {
			t.Fatalf("recall gave %+v, %v", status, err)
		}
		status, err = h.ApplyFacility(ctx, facility.Spec{Name: "lab"})
		if err != nil || status.Name != "lab" || !status.Serving {
			t.Fatalf("apply gave %+v, %v", status, err)
		}
		if again, err := h.Facility(ctx); err != nil || again.Name != "lab" {
			t.Fatalf("read gave %+v, %v", again, err)
		}
		if spec, err := h.FacilitySpec(ctx); err != nil || spec.Name != "lab" {
			t.Fatalf("specification %+v, %v", spec, err)
		}
		offered := map[string]facility.Credentials{"lab": {Username: "u", Password: "p"}}
		if err := h.OfferCredentials(ctx, offered); err != nil {
			t.Fatal(err)
		}
		if got := h.fake.credentials["lab"]; got != offered["lab"] {
			t.Fatal("the engine did not get the credentials")
		}
		if err := h.ReleaseFacility(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Facility(ctx); !errors.Is(err, facility.ErrNotFound) {
			t.Fatalf("after release: %v", err)
		}
		if v, err := h.Version(ctx); err != nil || v.Version != "test" || v.API != "v1" || v.Instance == "" {
			t.Fatalf("version %+v, %v", v, err)
		}
	})
}

func TestHostsOverTheWire(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		ctx := t.Context()
		if list, err := h.Hosts(ctx); err != nil || len(list) != 0 {
			t.Fatalf("no hosts: %v, %v", list, err)
		}
		recall := &host.Status{Name: "n2", State: host.Provisioned, Revision: 7}
		if s, err := h.RecallHost(ctx, hostSpec("n2"), recall); err != nil || s.State != host.Provisioned || s.Revision != 7 {
			t.Fatalf("recall gave %+v, %v", s, err)
		}
		s, err := h.ApplyHost(ctx, hostSpec("n1"), nil)
		if err != nil || !s.Busy || s.Revision != 1 {
			t.Fatalf("apply gave %+v, %v", s, err)
		}
		if spec, err := h.HostSpec(ctx, "n1"); err != nil || !reflect.DeepEqual(spec, hostSpec("n1")) {
			t.Fatalf("specification %+v, %v", spec, err)
		}
		if s, err = h.Host(ctx, "n1", true); err != nil || s.Name != "n1" {
			t.Fatalf("refresh gave %+v, %v", s, err)
		}
		if list, err := h.Hosts(ctx); err != nil || len(list) != 2 {
			t.Fatalf("hosts: %v, %v", list, err)
		}
		if s, err = h.ReleaseHost(ctx, "n1", true); err != nil || s.State != host.Releasing {
			t.Fatalf("release gave %+v, %v", s, err)
		}
		want := "Hosts\nRecallHost n2 recall=true\nApplyHost n1 recall=false\nHostSpec n1\nHost n1 refresh=true\nHosts\nReleaseHost n1 abandon=true"
		if got := h.fake.called(); got != want {
			t.Fatalf("the engine saw\n%s\nwant\n%s", got, want)
		}
		if _, err := h.Host(ctx, "n3", false); !errors.Is(err, facility.ErrNotFound) || !strings.Contains(err.Error(), `host "n3"`) {
			t.Fatalf("unknown host: %v", err)
		}
	})
}

func TestClustersOverTheWire(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		ctx := t.Context()
		s, err := h.ApplyCluster(ctx, cluster.Spec{Name: "c", KubernetesVersion: "v1.36.4"})
		if err != nil || !s.Busy {
			t.Fatalf("apply gave %+v, %v", s, err)
		}
		if spec, err := h.ClusterSpec(ctx, "c"); err != nil || spec.KubernetesVersion != "v1.36.4" {
			t.Fatalf("specification %+v, %v", spec, err)
		}
		if _, err := h.ClusterSpec(ctx, "d"); !errors.Is(err, facility.ErrNotFound) {
			t.Fatalf("specification of an unknown cluster: %v", err)
		}
		go func() {
			<-h.fake.waits
			h.fake.mu.Lock()
			defer h.fake.mu.Unlock()
			h.fake.clusterLocked("c", cluster.PhaseReady)
		}()
		if s, err = h.AwaitCluster(ctx, "c", s.Revision, func(s cluster.Status) bool { return s.Ready }); err != nil || !s.Ready {
			t.Fatalf("await gave %+v, %v", s, err)
		}
		if s, err = h.WaitCluster(ctx, "c", s.Revision-1); err != nil || !s.Ready {
			t.Fatalf("wait gave %+v, %v", s, err)
		}
		if s, err = h.Cluster(ctx, "c", false); err != nil || !s.Ready {
			t.Fatalf("read gave %+v, %v", s, err)
		}
		text, err := h.Kubeconfig(ctx, "c", 90*time.Minute)
		if err != nil || !strings.Contains(string(text), "kind: Config") || !strings.Contains(h.fake.called(), "Kubeconfig c ttl=1h30m0s") {
			t.Fatalf("kubeconfig %q, %v", text, err)
		}
		response, _ := h.raw(t, http.MethodGet, "/v1/clusters/c/kubeconfig", "")
		if got := response.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("a kubeconfig may be stored: Cache-Control %q", got)
		}
		if list, err := h.Clusters(ctx); err != nil || len(list) != 1 {
			t.Fatalf("clusters: %v, %v", list, err)
		}
		if s, err = h.DeleteCluster(ctx, "c"); err != nil || s.Phase != cluster.PhaseDeleting {
			t.Fatalf("delete gave %+v, %v", s, err)
		}
		h.fake.drop("c")
		if _, err = h.AwaitCluster(ctx, "c", s.Revision, func(cluster.Status) bool { return false }); !errors.Is(err, facility.ErrNotFound) {
			t.Fatalf("after delete: %v", err)
		}
	})
}

func TestFaultsSurviveTheWire(t *testing.T) {
	cases := []struct {
		name   string
		engine error
		status int
		want   fault.Error
	}{
		{"needs a person", &fault.Error{Class: fault.NeedsPerson, Subject: `host "n1"`, Attribute: "bmc.url", Phase: "connect", Summary: "s", Seen: "a", Expected: "b", Advice: "c", Evidence: []string{"d"}},
			422, fault.Error{Class: fault.NeedsPerson, Subject: `host "n1"`, Attribute: "bmc.url", Phase: "connect", Summary: "s", Seen: "a", Expected: "b", Advice: "c", Evidence: []string{"d"}}},
		{"final", &fault.Error{Class: fault.Final, Summary: "s"}, 409, fault.Error{Class: fault.Final, Summary: "s", Subject: `host "n1"`}},
		{"retryable, wrapped", errors.Join(&fault.Error{Class: fault.Retryable, Summary: "s"}), 503, fault.Error{Class: fault.Retryable, Summary: "s", Subject: `host "n1"`}},
		{"unclassed", errors.New("disk full"), 500, fault.Error{Class: fault.Retryable, Summary: "unexpected failure", Seen: "disk full", Subject: `host "n1"`}},
		{"too late", context.DeadlineExceeded, 504, fault.Error{Class: fault.Retryable, Summary: "unexpected failure", Seen: "context deadline exceeded", Subject: `host "n1"`}},
		{"not found", facility.ErrNotFound, 404, fault.Error{Class: fault.Final, Summary: "no such object", Subject: `host "n1"`, Expected: "an object that was applied and not released"}},
	}
	eachTransport(t, func(t *testing.T, h *harness) {
		for _, c := range cases {
			h.fake.fail = c.engine
			_, err := h.ApplyHost(t.Context(), hostSpec("n1"), nil)
			got := wantFault(t, err, c.want.Class)
			if got.Error() != c.want.Error() && !errors.Is(err, facility.ErrNotFound) || got.Detail() != c.want.Detail() && !errors.Is(err, facility.ErrNotFound) || got.Attribute != c.want.Attribute {
				t.Errorf("%s: got\n%v\n%s\nwant\n%v\n%s", c.name, got, got.Detail(), &c.want, c.want.Detail())
			}
			if is := errors.Is(err, facility.ErrNotFound); is != (c.status == 404) {
				t.Errorf("%s: errors.Is(ErrNotFound) is %t", c.name, is)
			}
			if response, body := h.raw(t, http.MethodGet, "/v1/hosts/n1", ""); response.StatusCode != c.status {
				t.Errorf("%s: status %d, want %d: %s", c.name, response.StatusCode, c.status, body)
			}
		}
	})
}

// A path that another version of the agent does not have must not look like a
// missing object: a front end would forget it.
func TestMissingRouteIsNotAMissingObject(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		err := h.call(t.Context(), request{what: "trying", method: http.MethodGet, path: "/v1/racks/r1"})
		wantFault(t, err, fault.Final, "no such path", "same version")
		if errors.Is(err, facility.ErrNotFound) {
			t.Fatal("a missing route counts as a missing object")
		}
		for _, name := range []string{"", ".", "..", "a/b", "A", "a b", "-a", strings.Repeat("a", 64), "a%2fb", "a?x=y"} {
			_, err := h.Host(t.Context(), name, false)
			wantFault(t, err, fault.NeedsPerson, "name")
			if errors.Is(err, facility.ErrNotFound) {
				t.Errorf("name %q counts as a missing object", name)
			}
		}
	})
}

// Boot services are started by a request and must outlive it.
func TestWorkOutlivesItsRequest(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		ctx, cancel := context.WithCancel(t.Context())
		_, facilityErr := h.ApplyFacility(ctx, facility.Spec{Name: "lab"})
		_, recallErr := h.RecallFacility(ctx, facility.Spec{Name: "lab"})
		_, hostErr := h.ApplyHost(ctx, hostSpec("n1"), nil)
		_, releaseErr := h.ReleaseHost(ctx, "n1", false)
		_, clusterErr := h.ApplyCluster(ctx, cluster.Spec{Name: "c"})
		_, deleteErr := h.DeleteCluster(ctx, "c")
		if err := errors.Join(facilityErr, recallErr, hostErr, releaseErr, clusterErr, deleteErr, h.ReleaseFacility(ctx)); err != nil {
			t.Fatal(err)
		}
		cancel()
		h.stop()
		if len(h.fake.contexts) != 7 {
			t.Fatalf("%d calls", len(h.fake.contexts))
		}
		for i, used := range h.fake.contexts {
			if used.Err() != nil || used.Done() != nil {
				t.Errorf("the context of call %d ends with its request", i)
			}
		}
	})
}
