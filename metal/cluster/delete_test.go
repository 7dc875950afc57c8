package cluster

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"sigs.k8s.io/yaml"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

func gone(t *testing.T, w *world) {
	t.Helper()
	for name := range w.hosts {
		if s, _ := w.Host(t.Context(), name); s.State != host.Available || s.Owner != "" {
			t.Errorf("%s is %s of %q", name, s.State, s.Owner)
		}
	}
	if names, _ := w.List(); len(names) > 0 {
		t.Errorf("records %v are left", names)
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t, "cp", "w1", "w2")
	m := w.manager()
	if err := m.Reconcile(within(t), testSpec("w1", "w2"), nil); err != nil {
		t.Fatal(err)
	}
	var seen []Phase
	if err := m.Delete(within(t), "mgmt", func(s Status) { seen = append(seen, s.Phase) }); err != nil {
		t.Fatal(err)
	}
	gone(t, w)
	if len(seen) == 0 || seen[0] != PhaseDeleting {
		t.Errorf("phases %v", seen)
	}
	log := w.effects()
	if last := log[len(log)-1]; last != "remove record" {
		t.Errorf("the last effect is %q", last)
	}
	if err := m.Delete(within(t), "mgmt", nil); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestDeleteKilledAtEveryStep(t *testing.T) {
	for n := 1; ; n++ {
		w := newWorld(t, "cp", "w1")
		if err := w.manager().Reconcile(within(t), testSpec("w1"), nil); err != nil {
			t.Fatal(err)
		}
		ctx, kill := context.WithCancel(within(t))
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
		err := w.manager().Delete(ctx, "mgmt", nil)
		killed := ctx.Err() != nil
		kill()
		w.onStep(nil)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("killed at step %d: %v", n, err)
		}
		if _, stays, _ := w.Load("mgmt"); stays {
			// Begun is begun: it is not quietly made whole again.
			f := fault.From(w.manager().Reconcile(within(t), testSpec("w1"), nil))
			if f == nil || f.Phase != string(PhaseDeleting) {
				t.Fatalf("killed at step %d, then reconciled: %v", n, f)
			}
		}
		if err := w.manager().Delete(within(t), "mgmt", nil); err != nil {
			t.Fatalf("after a kill at step %d: %v", n, err)
		}
		gone(t, w)
		if !killed {
			return
		}
	}
}

// Delete does not wait for the end of a bootstrap that will never come.
func TestDeleteEndsReconcile(t *testing.T) {
	w := newWorld(t, "cp")
	waiting := make(chan struct{})
	w.boot["cp"] = func(name string, _ host.Deployment) {
		w.milestone(name, order.MilestoneBooted, "")
		close(waiting)
	}
	m := w.manager()
	result := make(chan error, 1)
	go func() { result <- m.Reconcile(within(t), testSpec(), nil) }()
	<-waiting
	if s, err := m.Status(t.Context(), "mgmt", false); err != nil || !s.Busy {
		t.Errorf("status %+v, %v", s, err)
	}
	if err := m.Delete(within(t), "mgmt", nil); err != nil {
		t.Fatal(err)
	}
	if err := <-result; !errors.Is(err, errSuperseded) {
		t.Errorf("the reconcile ended with %v", err)
	}
	gone(t, w)
}

func TestChangeInPlaceIsRefused(t *testing.T) {
	w := newWorld(t, "cp")
	if err := w.manager().Reconcile(within(t), testSpec(), nil); err != nil {
		t.Fatal(err)
	}
	s := testSpec()
	s.KubernetesVersion = "v1.36.5"
	f := fault.From(w.manager().Reconcile(within(t), s, nil))
	if f == nil || f.Attribute != "kubernetes_version" || f.Class != fault.NeedsPerson || !strings.Contains(f.Advice, "replace the cluster") {
		t.Errorf("got %+v", f)
	}
}

// Known secrets are looked for in everything that leaves the manager, also in
// the most talkative log and in the errors of a cluster that fails.
func TestCanaries(t *testing.T) {
	w := newWorld(t, "cp", "w1")
	var out bytes.Buffer
	m := w.manager()
	m.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: &out})
	note := func(s Status) {
		raw, err := yaml.Marshal(s)
		if err != nil {
			t.Error(err)
		}
		out.Write(raw)
	}
	w.boot["w1"] = func(name string, _ host.Deployment) { w.milestone(name, order.MilestoneFailed, "x") }
	if err := m.Reconcile(within(t), testSpec("w1"), note); err != nil {
		out.WriteString(err.Error() + fault.From(err).Detail())
	}
	rec, ok, err := w.Load("mgmt")
	if err != nil || !ok {
		t.Fatal(err)
	}
	delete(w.boot, "w1")
	if err := m.Reconcile(within(t), testSpec("w1"), note); err != nil {
		t.Fatal(err)
	}
	if err := m.Delete(within(t), "mgmt", note); err != nil {
		t.Fatal(err)
	}
	for name, canary := range map[string]string{
		"token": rec.Token.SecretHalf(), "CA key": string(rec.PKI.CA.Key)[40:80], "etcd key": string(rec.PKI.EtcdCA.Key)[40:80],
		"front proxy key": string(rec.PKI.FrontProxyCA.Key)[40:80], "service account key": string(rec.PKI.ServiceAccount.Key)[40:80],
	} {
		if canary == "" || strings.Contains(out.String(), canary) {
			t.Errorf("the %s is shown", name)
		}
	}
	if !strings.Contains(out.String(), "BEGIN CERTIFICATE") {
		t.Error("nothing was recorded")
	}
}

func TestKubeconfig(t *testing.T) {
	w := newWorld(t, "cp")
	if err := w.manager().Reconcile(within(t), testSpec(), nil); err != nil {
		t.Fatal(err)
	}
	raw, err := w.manager().Kubeconfig(t.Context(), "mgmt", time.Hour)
	if err != nil || !bytes.Contains(raw, []byte("server: https://172.30.0.11:6443")) {
		t.Errorf("got %s, %v", raw, err)
	}
}
