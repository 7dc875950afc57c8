package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
)

// provision writes and boots hosts, all at the same time: workers wait for the
// API server by themselves. When the control plane fails the others are not
// waited for; when a worker fails they are, so that the next run finds them done.
func (r *run) provision(ctx context.Context, names []string) error {
	if err := r.prepareImage(ctx); err != nil {
		return err
	}
	if err := r.phase(PhaseProvisioning); err != nil {
		return err
	}
	all, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	problems := map[string]error{}
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			err := r.provisionOne(all, name)
			if err == nil {
				return
			}
			mu.Lock()
			problems[name] = err
			mu.Unlock()
			if name == r.spec.ControlPlane {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := problems[r.spec.ControlPlane]; err != nil {
		return err
	}
	return combine(problems)
}

func (r *run) provisionOne(ctx context.Context, name string) error {
	d, err := r.deployment(ctx, name)
	if err != nil {
		return err
	}
	if _, err := r.Hosts.Provision(ctx, name, d); err != nil {
		return fmt.Errorf("provisioning host %q: %w", name, err)
	}
	return r.change(func(rec *Record) {
		if m := rec.Members[name]; m.Booted.IsZero() {
			m.Booted = r.Now()
			rec.Members[name] = m
		}
	})
}

// deployment renders what goes to a host. It is the same each time for one
// record, but for what the facility says of the host.
func (r *run) deployment(ctx context.Context, name string) (host.Deployment, error) {
	rec := r.snapshot()
	facts, err := r.Hosts.Facts(ctx, name)
	if err != nil {
		return host.Deployment{}, fmt.Errorf("asking for the facts of host %q: %w", name, err)
	}
	first, err := firstBoot(rec, name, facts)
	if err != nil {
		return host.Deployment{}, err
	}
	seed, files, err := first.Render()
	if err != nil {
		return host.Deployment{}, err
	}
	return host.Deployment{ID: first.InstanceID, Owner: Owner(rec.Spec.Name), Image: r.image.image, Seed: seed, Files: files}, nil
}

// firstBoot is pure.
func firstBoot(rec Record, name string, facts Facts) (kubeadm.FirstBoot, error) {
	config, err := kubeadm.ParseUserConfig(rec.Spec.KubeadmConfig)
	if err != nil {
		return kubeadm.FirstBoot{}, err
	}
	version, err := kubeadm.ParseVersion(rec.Spec.KubernetesVersion)
	if err != nil {
		return kubeadm.FirstBoot{}, err
	}
	hash, err := rec.PKI.CAHash()
	if err != nil {
		return kubeadm.FirstBoot{}, err
	}
	u, err := url.Parse(rec.Endpoint)
	if err != nil {
		return kubeadm.FirstBoot{}, fmt.Errorf("reading the endpoint %q: %w", rec.Endpoint, err)
	}
	endpoint, err := netip.ParseAddrPort(u.Host)
	if err != nil {
		return kubeadm.FirstBoot{}, fmt.Errorf("reading the endpoint %q: %w", rec.Endpoint, err)
	}
	b := kubeadm.FirstBoot{
		Cluster: kubeadm.Cluster{
			Name: rec.Spec.Name, Version: version, Endpoint: endpoint,
			PodCIDR: rec.Spec.PodCIDR, ServiceCIDR: rec.Spec.ServiceCIDR,
			Config: config, Patches: rec.Spec.KubeadmPatches,
			Token: rec.Token, CAHash: hash,
			DiscoveryTimeout: time.Duration(rec.Spec.BootstrapTimeoutSeconds) * time.Second,
		},
		Node:       kubeadm.Node{Name: name, MAC: facts.MAC, Address: facts.Address, Gateway: facts.Gateway, DNS: facts.DNS},
		InstanceID: rec.Deployment(name), SSHAuthorizedKeys: rec.Spec.SSHAuthorizedKeys,
		Reporting: facts.Milestones,
	}
	if rec.Members[name].Role == RoleControlPlane {
		b.Node.ControlPlane, b.PKI = true, &rec.PKI
	}
	return b, nil
}

// retry prepares hosts whose first boot failed in an earlier run to be written
// again: wiped, and with a new deployment ID.
func (r *run) retry(ctx context.Context, names []string) error {
	for _, name := range names {
		r.log.Info("its first boot failed before: writing the host again", "host", name)
		if err := r.Hosts.Deprovision(ctx, name, Owner(r.spec.Name)); err != nil {
			return fmt.Errorf("taking back host %q: %w", name, err)
		}
		err := r.change(func(rec *Record) {
			m := rec.Members[name]
			rec.Members[name] = Member{Role: m.Role, Attempt: m.Attempt + 1}
		})
		if err != nil {
			return err
		}
		delete(r.failedBefore, name)
	}
	return nil
}

func (r *run) giveUp(ctx context.Context, name string, s host.Status) error {
	f := r.bootFault(ctx, name, s, fmt.Sprintf("the first boot failed %d times", maxAttempts))
	f.Advice = "find the reason in the evidence and on the host; replace the cluster, or name another worker"
	return f
}

func (r *run) lost(name string, s host.Status) error {
	return &fault.Error{
		Class: fault.NeedsPerson, Subject: hostSubject(name), Attribute: "control_plane", Phase: string(PhaseInitializing),
		Summary:  "the control plane's host does not carry the cluster any more",
		Seen:     fmt.Sprintf("state %q, deployment %q, and the API server does not answer", s.State, s.Deployment),
		Expected: fmt.Sprintf("state %q, deployment %q", host.Provisioned, r.snapshot().Deployment(name)),
		Advice:   "the host is not written again, because the cluster's data may be on it; bring it back, or replace the cluster",
	}
}

func (r *run) phase(p Phase) error {
	if r.snapshot().Phase == p {
		return nil
	}
	return r.change(func(rec *Record) { rec.Phase = p })
}

// combine makes one fault of several hosts': the first by name, with the others
// as evidence.
func combine(problems map[string]error) error {
	if len(problems) == 0 {
		return nil
	}
	names := make([]string, 0, len(problems))
	for name := range problems {
		names = append(names, name)
	}
	slices.Sort(names)
	first := *fault.From(problems[names[0]])
	if first.Subject == "" {
		first.Subject = hostSubject(names[0])
	}
	first.Evidence = slices.Clone(first.Evidence)
	for _, name := range names[1:] {
		text := strings.SplitN(problems[name].Error(), "\n", 2)[0]
		first.Evidence = append(first.Evidence, fmt.Sprintf("also failed: %s: %s", hostSubject(name), text))
	}
	return &first
}
