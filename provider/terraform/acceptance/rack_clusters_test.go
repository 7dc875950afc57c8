package acceptance

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// building are the phases of a cluster from nothing to ready.
var building = []cluster.Phase{cluster.PhasePreflight, cluster.PhaseProvisioning, cluster.PhaseInitializing, cluster.PhaseJoining}

// canaryKey stands for a client key: it must be found nowhere but where it is asked for.
const canaryKey = "canary-client-key-3f1c"

func (r *rack) ApplyCluster(_ context.Context, spec cluster.Spec) (cluster.Status, error) {
	defer r.enter()()
	k, ok := r.clusters[spec.Name]
	if !ok {
		k = &kubernetes{status: cluster.Status{Name: spec.Name}}
		r.clusters[spec.Name] = k
	}
	k.spec = spec
	if k.status.Busy {
		return k.status, nil
	}
	k.status.Failure, k.status.Ready = nil, false
	r.work(k, building, func() {
		k.status.Ready, k.status.Phase = true, cluster.PhaseReady
		k.status.Endpoint, k.status.CACertificate = "https://172.30.0.20:6443", "CA"
		k.status.Nodes = nil
		for _, name := range append([]string{spec.ControlPlane}, spec.Workers...) {
			role := "worker"
			if name == spec.ControlPlane {
				role = "control-plane"
			}
			k.status.Nodes = append(k.status.Nodes, cluster.Node{Name: name, Host: name, Role: role, Version: spec.KubernetesVersion, Ready: true})
			if h := r.hosts[name]; h != nil {
				r.change(h, func(s *host.Status) { s.State, s.Power, s.Owner = host.Provisioned, "on", "cluster/"+spec.Name })
			}
		}
	})
	return k.status, nil
}

// work does the phases, then finish; the lock is held.
func (r *rack) work(k *kubernetes, phases []cluster.Phase, finish func()) {
	r.advance(k, func(s *cluster.Status) { s.Busy, s.Phase = true, phases[0] })
	name := k.status.Name
	go func() {
		for _, phase := range phases {
			r.mu.Lock()
			r.advance(k, func(s *cluster.Status) { s.Phase = phase })
			r.mu.Unlock()
			if failure := r.step(name, string(phase)); failure != nil {
				r.mu.Lock()
				r.advance(k, func(s *cluster.Status) { s.Busy, s.Failure = false, failure })
				r.mu.Unlock()
				return
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		finish()
		r.advance(k, func(s *cluster.Status) { s.Busy = false })
	}()
}

func (r *rack) advance(k *kubernetes, do func(*cluster.Status)) {
	do(&k.status)
	k.status.Revision++
	r.wake()
}

func (r *rack) Cluster(_ context.Context, name string, _ bool) (cluster.Status, error) {
	defer r.enter()()
	k, ok := r.clusters[name]
	if !ok {
		return cluster.Status{}, facility.ErrNotFound
	}
	return k.status, nil
}

func (r *rack) WaitCluster(ctx context.Context, name string, after uint64) (cluster.Status, error) {
	return wait(ctx, r, func() (cluster.Status, uint64, bool) {
		k, ok := r.clusters[name]
		if !ok {
			return cluster.Status{}, 0, false
		}
		return k.status, k.status.Revision, true
	}, after)
}

func (r *rack) DeleteCluster(_ context.Context, name string) (cluster.Status, error) {
	defer r.enter()()
	k, ok := r.clusters[name]
	if !ok {
		return cluster.Status{}, facility.ErrNotFound
	}
	k.status.Ready, k.status.Failure = false, nil
	r.work(k, []cluster.Phase{cluster.PhaseDeleting}, func() {
		delete(r.clusters, name)
		for _, h := range r.hosts {
			if h.status.Owner == "cluster/"+name {
				r.change(h, func(s *host.Status) { s.State, s.Power, s.Owner = host.Available, "off", "" })
			}
		}
	})
	return k.status, nil
}

func (r *rack) Clusters(context.Context) ([]cluster.Status, error) {
	defer r.enter()()
	var out []cluster.Status
	for _, k := range r.clusters {
		out = append(out, k.status)
	}
	return out, nil
}

func (r *rack) Kubeconfig(_ context.Context, name string, ttl time.Duration) ([]byte, error) {
	defer r.enter()()
	k, ok := r.clusters[name]
	if !ok {
		return nil, facility.ErrNotFound
	}
	r.count[name+"/kubeconfig"]++
	data := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: %[1]s, cluster: {server: %[2]q, certificate-authority-data: %[3]s}}]
users: [{name: admin, user: {client-certificate-data: %[4]s, client-key-data: %[5]s}}]
# valid for %[6]s
`, name, k.status.Endpoint, data("CA"), data("certificate"), data(canaryKey), ttl), nil
}
