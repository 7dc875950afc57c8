package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// testManifest has its parts in the wrong order, on purpose.
const testManifest = `
apiVersion: example.org/v1
kind: Widget
metadata: {name: w, namespace: net}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: plugin, namespace: net}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: b}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
---
apiVersion: v1
kind: Namespace
metadata: {name: net}
---
`

func testSpec(workers ...string) Spec {
	return Spec{
		Name: "mgmt", KubernetesVersion: "v1.36.4", ControlPlane: "cp", Workers: workers, NetworkManifest: testManifest,
		Image: image.Source{URL: "https://images.example.org/node.raw.zst", SHA256: strings.Repeat("ab", 32)},
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestReconcile(t *testing.T) {
	w := newWorld(t, "cp", "w1", "w2")
	var phases []Phase
	err := w.manager().Reconcile(within(t), testSpec("w2", "w1"), func(s Status) {
		if len(phases) == 0 || phases[len(phases)-1] != s.Phase {
			phases = append(phases, s.Phase)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []Phase{PhasePreflight, PhaseProvisioning, PhaseInitializing, PhaseJoining, PhaseReady}; !slices.Equal(phases, want) {
		t.Errorf("phases %v, want %v", phases, want)
	}
	for _, name := range []string{"cp", "w1", "w2"} {
		if n := len(w.writes(name)); n != 1 {
			t.Errorf("%s was written %d times", name, n)
		}
		if got, want := w.phases[name], []host.Phase{host.PhaseFirstBoot, host.PhaseBootstrap, host.PhaseReady}; !slices.Equal(got, want) {
			t.Errorf("%s has phases %v, want %v", name, got, want)
		}
	}
	want := []string{
		"/api/v1/namespaces/default/configmaps/c", "/api/v1/namespaces/net", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.org",
		"/apis/apps/v1/namespaces/net/daemonsets/plugin", "/apis/example.org/v1/namespaces/net/widgets/w",
	}
	got := slices.DeleteFunc(w.api.paths("/"), func(p string) bool { return strings.Contains(p, "/nodes/") || strings.Contains(p, "kube-system") })
	if !slices.Equal(got, want) {
		t.Errorf("applied %v, want %v", got, want)
	}
	s, err := w.manager().Status(within(t), "mgmt", true)
	if err != nil || !s.Ready || s.Busy || s.Endpoint != "https://172.30.0.11:6443" || len(s.Nodes) != 3 || s.Unreachable != "" {
		t.Fatalf("status %+v, %v", s, err)
	}
	if n := s.Nodes[0]; n != (Node{Name: "cp", Host: "cp", Role: RoleControlPlane, Address: "addr-of-cp", Version: "v1.36.4", Ready: true}) {
		t.Errorf("node %+v", n)
	}
}

// A second Reconcile of a cluster that is as wanted looks, and touches nothing.
func TestReconcileAgain(t *testing.T) {
	w := newWorld(t, "cp", "w1")
	if err := w.manager().Reconcile(within(t), testSpec("w1"), nil); err != nil {
		t.Fatal(err)
	}
	before := len(w.effects())
	if err := w.manager().Reconcile(within(t), testSpec("w1"), nil); err != nil {
		t.Fatal(err)
	}
	if extra := w.effects()[before:]; len(extra) > 0 {
		t.Errorf("the second run did %v", extra)
	}
}

// Killed after each effect in turn, before and after it took place, a new
// Manager brings the cluster to its end, and no host is written twice.
func TestKillAtEveryStep(t *testing.T) {
	for n := 1; ; n++ {
		w := newWorld(t, "cp", "w1")
		if killed := reconcileKilledAt(t, w, n); !killed {
			if n < 20 {
				t.Errorf("only %d steps were seen", n)
			}
			t.Logf("%d kills", n-1)
			return
		}
		w.onStep(nil)
		if err := w.manager().Reconcile(within(t), testSpec("w1"), nil); err != nil {
			t.Fatalf("after a kill at step %d (%s): %v", n, w.effects()[n-1], err)
		}
		for _, name := range []string{"cp", "w1"} {
			if writes := w.writes(name); len(writes) != 1 {
				t.Fatalf("killed at step %d: %s was written as %v", n, name, writes)
			}
		}
	}
}

func reconcileKilledAt(t *testing.T, w *world, n int) bool {
	t.Helper()
	ctx, kill := context.WithCancel(within(t))
	defer kill()
	steps := 0
	w.onStep(func(string) {
		w.mu.Lock()
		steps++
		hit := steps == n
		w.mu.Unlock()
		if hit {
			kill()
		}
	})
	err := w.manager().Reconcile(ctx, testSpec("w1"), nil)
	if err == nil {
		return ctx.Err() != nil
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("killed at step %d: %v", n, err)
	}
	return true
}

func TestScale(t *testing.T) {
	w := newWorld(t, "cp", "w1", "w2", "w3")
	if err := w.manager().Reconcile(within(t), testSpec("w1", "w2"), nil); err != nil {
		t.Fatal(err)
	}
	web := "/api/v1/namespaces/default/pods/"
	w.api.put(web+"web", pod("default", "web", "w1", "Running", nil))
	w.api.put(web+"done", pod("default", "done", "w1", "Succeeded", nil))
	w.api.put(web+"other", pod("default", "other", "w2", "Running", nil))
	w.api.put(web+"ds", pod("default", "ds", "w1", "Running", map[string]any{"ownerReferences": []any{map[string]any{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x", "uid": "1", "controller": true}}}))
	w.api.put(web+"mirror", pod("default", "mirror", "w1", "Running", map[string]any{"annotations": map[string]any{"kubernetes.io/config.mirror": "1"}}))
	if err := w.manager().Reconcile(within(t), testSpec("w2", "w3"), nil); err != nil {
		t.Fatal(err)
	}
	if got, want := w.api.paths("/api/v1/nodes/"), []string{"/api/v1/nodes/cp", "/api/v1/nodes/w2", "/api/v1/nodes/w3"}; !slices.Equal(got, want) {
		t.Errorf("nodes %v, want %v", got, want)
	}
	if got, want := w.api.paths(web), []string{web + "done", web + "ds", web + "mirror", web + "other"}; !slices.Equal(got, want) {
		t.Errorf("pods %v, want %v", got, want)
	}
	for name, want := range map[string]host.State{"cp": host.Provisioned, "w1": host.Available, "w2": host.Provisioned, "w3": host.Provisioned} {
		if s, _ := w.Host(t.Context(), name); s.State != want || len(w.writes(name)) != 1 {
			t.Errorf("%s is %s and was written %v, want %s", name, s.State, w.writes(name), want)
		}
	}
}

func TestDrainIsBounded(t *testing.T) {
	w := newWorld(t, "cp", "w1")
	if err := w.manager().Reconcile(within(t), testSpec("w1"), nil); err != nil {
		t.Fatal(err)
	}
	path := "/api/v1/namespaces/default/pods/held"
	w.api.put(path, pod("default", "held", "w1", "Running", nil))
	w.api.heldPods[path] = true
	err := w.manager().Reconcile(within(t), testSpec(), nil)
	f := fault.From(err)
	if f.Class != fault.NeedsPerson || !strings.Contains(f.Detail(), "default/held") {
		t.Fatalf("got %v\n%s", err, f.Detail())
	}
	if s, _ := w.Host(t.Context(), "w1"); s.State != host.Provisioned || len(w.api.paths("/api/v1/nodes/w1")) != 1 {
		t.Error("the node was removed although its pods were held")
	}
}

// A worker that is added when the bootstrap token has long ended joins.
func TestTokenIsRenewed(t *testing.T) {
	w := newWorld(t, "cp", "w1")
	if err := w.manager().Reconcile(within(t), testSpec(), nil); err != nil {
		t.Fatal(err)
	}
	for _, path := range w.api.paths("/api/v1/namespaces/kube-system/secrets/") {
		w.api.mu.Lock()
		delete(w.api.objects, path)
		w.api.mu.Unlock()
	}
	if err := w.manager().Reconcile(within(t), testSpec("w1"), nil); err != nil {
		t.Fatal(err)
	}
	if n := len(w.api.paths("/api/v1/namespaces/kube-system/secrets/bootstrap-token-")); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

func TestFailedFirstBoot(t *testing.T) {
	w := newWorld(t, "cp", "w1")
	w.boot["w1"] = func(name string, _ host.Deployment) {
		w.milestone(name, order.MilestoneBooted, "")
		w.milestone(name, order.MilestoneFailed, "line one\nkubeadm join failed")
	}
	for attempt := 1; attempt <= maxAttempts; attempt++ {
		err := w.manager().Reconcile(within(t), testSpec("w1"), nil)
		f := fault.From(err)
		if f.Class != fault.NeedsPerson || f.Subject != `host "w1"` || f.Attribute != "workers[0]" {
			t.Fatalf("got %v", err)
		}
		for _, want := range []string{"kubeadm join failed", "console: login:", "milestones booted, failed"} {
			if !strings.Contains(f.Detail(), want) {
				t.Errorf("the fault lacks %q:\n%s", want, f.Detail())
			}
		}
		if s, _ := w.manager().Status(t.Context(), "mgmt", false); s.Failure == nil || s.Ready {
			t.Errorf("status %+v", s)
		}
		if n := len(w.writes("w1")); n != attempt {
			t.Errorf("written %d times at attempt %d", n, attempt)
		}
	}
	if err := w.manager().Reconcile(within(t), testSpec("w1"), nil); !strings.Contains(err.Error(), "failed 3 times") || len(w.writes("w1")) != maxAttempts {
		t.Errorf("got %v after %d writes", err, len(w.writes("w1")))
	}
	if len(w.writes("cp")) != 1 {
		t.Errorf("the control plane was written %v", w.writes("cp"))
	}
}

func TestFailedFirstBootIsMadeGood(t *testing.T) {
	w := newWorld(t, "cp", "w1")
	w.boot["cp"] = func(name string, _ host.Deployment) { w.milestone(name, order.MilestoneFailed, "out of memory") }
	err := w.manager().Reconcile(within(t), testSpec("w1"), nil)
	if f := fault.From(err); f.Subject != `host "cp"` || !strings.Contains(f.Detail(), "out of memory") {
		t.Fatalf("got %v", err)
	}
	delete(w.boot, "cp")
	if err := w.manager().Reconcile(within(t), testSpec("w1"), nil); err != nil {
		t.Fatal(err)
	}
	if len(w.writes("cp")) != 2 || len(w.writes("w1")) != 1 {
		t.Errorf("writes: %v, %v", w.writes("cp"), w.writes("w1"))
	}
}

func TestPowerOffEndsTheWait(t *testing.T) {
	w := newWorld(t, "cp")
	w.boot["cp"] = func(name string, _ host.Deployment) { w.milestone(name, order.MilestoneBooted, "") }
	m := w.manager()
	m.recheck = 10 * time.Millisecond
	// Switched off by hand: nothing tells of it but the next look.
	err := m.Reconcile(within(t), testSpec(), func(s Status) {
		if s.Phase == PhaseInitializing {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.hosts["cp"].status.Power = "off"
		}
	})
	if err == nil || !strings.Contains(err.Error(), "powered off") {
		t.Errorf("got %v", err)
	}
}

func TestDeadline(t *testing.T) {
	w := newWorld(t, "cp")
	w.boot["cp"] = func(name string, _ host.Deployment) { w.milestone(name, order.MilestoneBooted, "") }
	m := w.manager()
	r := &run{Manager: m, spec: testSpec().WithDefaults(), log: m.Logger, deadline: time.Now().Add(300 * time.Millisecond)}
	defer r.close()
	f := fault.From(r.converge(within(t)))
	if f.Class != fault.Retryable || !strings.Contains(f.Summary, "waiting for the API server took longer") || !strings.Contains(f.Seen, "connection refused") {
		t.Errorf("got %s", f.Detail())
	}
	if detail := f.Detail(); !strings.Contains(detail, `host "cp": milestones booted`) || !strings.Contains(detail, "console: login:") {
		t.Errorf("evidence:\n%s", detail)
	}
}

func TestWithoutManifest(t *testing.T) {
	w := newWorld(t, "cp", "w1")
	s := testSpec("w1")
	s.NetworkManifest = ""
	if err := w.manager().Reconcile(within(t), s, nil); err != nil {
		t.Fatal(err)
	}
	status, err := w.manager().Status(within(t), "mgmt", false)
	if err != nil || !status.Ready || len(status.Nodes) != 2 || status.Nodes[0].Ready {
		t.Errorf("status %+v, %v", status, err)
	}
}

func TestPreflightRefusals(t *testing.T) {
	for _, tt := range []struct {
		name, attribute, want string
		prepare               func(*world, *Spec)
	}{
		{"foreign owner", "workers[0]", "belongs to somebody else", func(w *world, _ *Spec) {
			w.set("w1", func(s *host.Status) { s.State, s.Owner, s.Deployment = host.Provisioned, "cluster/other", "x" })
		}},
		{"not available", "control_plane", "cannot be used", func(w *world, _ *Spec) { w.set("cp", func(s *host.Status) { s.State = host.Enrolling }) }},
		{"other version", "kubernetes_version", "another Kubernetes version", func(w *world, _ *Spec) { w.metadata.Kubernetes = "v1.35.3" }},
		{"overlap", "pod_cidr", "networks overlap: pod_cidr and control_plane", func(_ *world, s *Spec) { s.PodCIDR = "172.30.0.0/16" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, "cp", "w1")
			s := testSpec("w1")
			tt.prepare(w, &s)
			f := fault.From(w.manager().Reconcile(within(t), s, nil))
			if f == nil || f.Class != fault.NeedsPerson || f.Attribute != tt.attribute || !strings.Contains(f.Error(), tt.want) {
				t.Errorf("got %+v", f)
			}
			if names, _ := w.List(); len(names)+len(w.writes("cp"))+len(w.writes("w1")) > 0 {
				t.Error("something was changed")
			}
		})
	}
}

// Every call of the facility fails: nothing hangs, and the reason is told.
func TestBrokenFacility(t *testing.T) {
	w := newWorld(t, "cp")
	w.broken = errors.New("the store is on fire")
	for what, err := range map[string]error{
		"reconcile": w.manager().Reconcile(within(t), testSpec(), nil),
		"delete":    w.manager().Delete(within(t), "mgmt", nil),
		"status":    func() error { _, err := w.manager().Status(t.Context(), "mgmt", true); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "on fire") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	empty := newWorld(t)
	if err := empty.manager().Reconcile(within(t), testSpec(), nil); err == nil || !strings.Contains(err.Error(), `host "cp" is not enrolled`) {
		t.Errorf("empty facility: got %v", err)
	}
	if _, err := empty.manager().Kubeconfig(t.Context(), "mgmt", time.Hour); !errors.Is(err, ErrNotFound) {
		t.Errorf("empty facility: got %v", err)
	}
}

func TestStatusOfUnreachableCluster(t *testing.T) {
	w := newWorld(t, "cp")
	if err := w.manager().Reconcile(within(t), testSpec(), nil); err != nil {
		t.Fatal(err)
	}
	w.api.mu.Lock()
	w.api.endAt = "nowhere"
	w.api.mu.Unlock()
	s, err := w.manager().Status(within(t), "mgmt", true)
	if err != nil || !strings.Contains(s.Unreachable, "connection refused") || len(s.Nodes) != 1 {
		t.Errorf("status %+v, %v", s, err)
	}
}

// The control plane's host lost what it carries: its data is never overwritten.
func TestLostControlPlane(t *testing.T) {
	w := newWorld(t, "cp")
	if err := w.manager().Reconcile(within(t), testSpec(), nil); err != nil {
		t.Fatal(err)
	}
	w.set("cp", func(s *host.Status) { s.State, s.Deployment, s.Owner = host.Available, "", "" })
	if err := w.manager().Reconcile(within(t), testSpec(), nil); err != nil {
		t.Errorf("the API server answers, so all is well, but: %v", err)
	}
	w.api.mu.Lock()
	w.api.endAt = "nowhere"
	w.api.mu.Unlock()
	f := fault.From(w.manager().Reconcile(within(t), testSpec(), nil))
	if f == nil || !strings.Contains(f.Error(), "does not carry the cluster any more") || len(w.writes("cp")) != 1 {
		t.Errorf("got %v after %v", f, w.writes("cp"))
	}
}

func TestNoSecretIsShown(t *testing.T) {
	w := newWorld(t, "cp", "w1")
	var shown strings.Builder
	if err := w.manager().Reconcile(within(t), testSpec("w1"), func(s Status) { fmt.Fprintf(&shown, "%+v", s) }); err != nil {
		t.Fatal(err)
	}
	rec, _, err := w.Load("mgmt")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&shown, "%v %+v %#v", rec, rec, rec)
	for _, secret := range []string{rec.Token.Reveal(), string(rec.PKI.CA.Key)[40:80], string(rec.PKI.ServiceAccount.Key)[40:80]} {
		if strings.Contains(shown.String(), secret) {
			t.Error("a secret is shown")
		}
	}
}
