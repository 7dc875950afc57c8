package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
)

// prepared is an image that installers can fetch.
type prepared struct {
	image    host.DeploymentImage
	metadata image.Metadata
}

// makeRecord checks all that can be checked before anything is changed, and then
// makes what the cluster has once: identity, PKI, token.
func (r *run) makeRecord(ctx context.Context) error {
	r.announce(PhasePreflight)
	wanted := observed{Spec: r.spec}.wanted()
	facts, err := r.preflight(ctx, wanted)
	if err != nil {
		return err
	}
	uid, err := newUID(r.spec.Name, r.Rand)
	if err != nil {
		return err
	}
	pki, err := kubeadm.NewPKI(r.Rand, r.Now())
	if err != nil {
		return err
	}
	token, err := kubeadm.NewToken(r.Rand)
	if err != nil {
		return err
	}
	endpoint := netip.AddrPortFrom(facts[r.spec.ControlPlane].Address.Addr(), kubeadm.APIPort)
	r.mu.Lock()
	r.record = &Record{Members: map[string]Member{}}
	r.mu.Unlock()
	return r.change(func(rec *Record) {
		rec.Spec, rec.UID, rec.PKI, rec.Token = r.spec, uid, pki, token
		rec.Endpoint, rec.Phase = kubeadm.EndpointURL(endpoint), PhaseProvisioning
		r.addMembers(rec, wanted)
	})
}

// admit makes further hosts members of a cluster that exists.
func (r *run) admit(ctx context.Context, names []string) error {
	if _, err := r.preflight(ctx, names); err != nil {
		return err
	}
	return r.change(func(rec *Record) {
		rec.Phase = PhaseProvisioning
		r.addMembers(rec, names)
	})
}

func (r *run) addMembers(rec *Record, names []string) {
	for _, name := range names {
		role := RoleWorker
		if name == r.spec.ControlPlane {
			role = RoleControlPlane
		}
		rec.Members[name] = Member{Role: role, Attempt: 1}
	}
}

func (r *run) preflight(ctx context.Context, names []string) (map[string]Facts, error) {
	statuses, err := r.statuses(ctx, names)
	if err != nil {
		return nil, err
	}
	facts := map[string]Facts{}
	for _, name := range names {
		if err := admissible(r.attribute(name), statuses[name]); err != nil {
			return nil, err
		}
		if facts[name], err = r.Hosts.Facts(ctx, name); err != nil {
			return nil, fmt.Errorf("asking for the facts of host %q: %w", name, err)
		}
		if !facts[name].Address.IsValid() {
			return nil, &fault.Error{Class: fault.NeedsPerson, Subject: hostSubject(name), Attribute: r.attribute(name), Phase: string(PhasePreflight),
				Summary: "host has no address", Advice: "give its network's pool a free address"}
		}
		if err := kubeadm.ValidateNetworks(r.spec.PodCIDR, r.spec.ServiceCIDR, kubeadm.HostNetwork{Attribute: r.attribute(name), Prefix: facts[name].Address}); err != nil {
			return nil, err
		}
	}
	return facts, r.prepareImage(ctx)
}

// admissible refuses hosts that cannot become members.
func admissible(attribute string, s host.Status) error {
	if s.State == host.Available && s.Owner == "" && s.Deployment == "" {
		return nil
	}
	f := &fault.Error{
		Class: fault.NeedsPerson, Subject: hostSubject(s.Name), Attribute: attribute, Phase: string(PhasePreflight),
		Summary: "host cannot be used", Expected: fmt.Sprintf("state %q and no owner", host.Available),
		Seen:   fmt.Sprintf("state %q", s.State),
		Advice: "wait until the host is available, or name another",
	}
	if s.Owner != "" || s.Deployment != "" {
		f.Summary = "host belongs to somebody else"
		f.Seen = fmt.Sprintf("state %q, owner %q, deployment %q", s.State, s.Owner, s.Deployment)
		f.Advice = "name another host, or give this one back first by destroying what owns it"
	}
	return f
}

func (r *run) attribute(name string) string {
	if name == r.spec.ControlPlane {
		return "control_plane"
	}
	for i, w := range r.spec.Workers {
		if w == name {
			return "workers[" + strconv.Itoa(i) + "]"
		}
	}
	return "workers"
}

func (r *run) prepareImage(ctx context.Context) error {
	if r.image != nil {
		return nil
	}
	img, metadata, err := r.Images.Prepare(ctx, r.spec.Image)
	if err != nil {
		return fmt.Errorf("preparing image %q: %w", r.spec.Image.URL, err)
	}
	if err := checkImageVersion(r.spec.KubernetesVersion, metadata); err != nil {
		return err
	}
	r.image = &prepared{img, metadata}
	return nil
}

// checkImageVersion refuses an image that says that it carries another version.
// One that says nothing is checked on the host, by its kubeadm.
func checkImageVersion(wanted string, metadata image.Metadata) error {
	if metadata.Kubernetes == "" || metadata.Kubernetes == wanted {
		return nil
	}
	f := fault.Invalid("kubernetes_version", "image carries another Kubernetes version", metadata.Kubernetes, wanted)
	f.Phase = string(PhasePreflight)
	f.Advice = fmt.Sprintf("set \"kubernetes_version\" to %q or choose an image with %s; nothing was changed", metadata.Kubernetes, wanted)
	return f
}

// announce tells of a phase that begins before there is a record.
func (r *run) announce(p Phase) {
	if r.notify != nil {
		r.notify(Status{Name: r.spec.Name, Phase: p, Busy: true})
	}
}
