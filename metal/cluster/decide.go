package cluster

import (
	"slices"
	"sort"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// maxAttempts bounds how often a host whose first boot failed is written again,
// over all runs.
const maxAttempts = 3

// kind is what an action does.
type kind string

// The actions, in the order in which a new cluster goes through them. Each can
// be repeated.
const (
	actRecord    kind = "record"     // PKI, token, members: made once
	actAdmit     kind = "admit"      // new workers become members
	actRetry     kind = "retry"      // write a host again whose first boot had failed before
	actGiveUp    kind = "give-up"    // a host's first boot failed too often
	actLost      kind = "lost"       // the control plane's host does not carry it any more
	actProvision kind = "provision"  // write and boot images
	actAwaitAPI  kind = "await-api"  // until the API server answers
	actToken     kind = "token"      // make the bootstrap token again
	actApply     kind = "apply"      // the network manifest
	actAwaitJoin kind = "await-join" // until the nodes are registered and Ready
	actRemove    kind = "remove"     // workers that are not wanted any more
	actAwaitPods kind = "await-pods" // until the system's pods run
	actFinish    kind = "finish"     // write down that all is well
	actNone      kind = "none"       // the goal is reached
)

// action is one thing to do, and on which hosts.
type action struct {
	Kind  kind
	Hosts []string
}

// apiView is what the cluster's API server shows.
type apiView struct {
	// Nodes by name.
	Nodes map[string]Node
	// TokenExpires is when the bootstrap token ends; zero when there is none.
	TokenExpires time.Time
	// Pending are pods of the system that do not run.
	Pending []string
}

// observed is all that a decision depends on.
type observed struct {
	Now  time.Time
	Spec Spec
	// Record is nil before there is one.
	Record *Record
	// Hosts are those of the record's members.
	Hosts map[string]host.Status
	// FailedBefore are the hosts whose first boot had failed when the run began.
	FailedBefore map[string]bool
	// API is nil when the API server does not answer.
	API *apiView
}

// next gives the one next action: a pure function.
func next(o observed) action {
	if o.Record == nil {
		return action{Kind: actRecord}
	}
	if a := o.membership(); a.Kind != actNone {
		return a
	}
	if a := o.imaging(); a.Kind != actNone {
		return a
	}
	if o.API == nil || !o.Record.Initialized {
		return action{Kind: actAwaitAPI}
	}
	if a := o.joining(); a.Kind != actNone {
		return a
	}
	if unwanted := o.unwanted(); len(unwanted) > 0 {
		return action{actRemove, unwanted}
	}
	if o.Spec.NetworkManifest != "" && len(o.API.Pending) > 0 && o.Record.Phase != PhaseReady {
		return action{Kind: actAwaitPods}
	}
	if o.Record.Phase != PhaseReady || !sameSpec(o.Record.Spec, o.Spec) {
		return action{Kind: actFinish}
	}
	return action{Kind: actNone}
}

// membership makes wanted hosts members and decides about those that failed.
func (o observed) membership() action {
	var missing, again, hopeless []string
	for _, name := range o.wanted() {
		member, ok := o.Record.Members[name]
		switch {
		case !ok:
			missing = append(missing, name)
		case o.joined(name) || !o.FailedBefore[name]:
		case member.Attempt >= maxAttempts:
			hopeless = append(hopeless, name)
		default:
			again = append(again, name)
		}
	}
	switch {
	case len(hopeless) > 0:
		return action{actGiveUp, hopeless}
	case len(missing) > 0:
		return action{actAdmit, missing}
	case len(again) > 0:
		return action{actRetry, again}
	}
	return action{Kind: actNone}
}

// imaging finds the hosts that don't carry their deployment. A host that is a
// node of the cluster is never written, whatever the records say of it; one that
// was booted once may be a node as long as nobody can be asked.
func (o observed) imaging() action {
	var bare []string
	for _, name := range o.wanted() {
		if carries(o.Hosts[name], o.Record.Deployment(name)) || o.joined(name) {
			continue
		}
		if name == o.Spec.ControlPlane && o.Record.Initialized {
			return action{actLost, []string{name}}
		}
		if o.API == nil && o.Record.Initialized && !o.Record.Members[name].Booted.IsZero() {
			return action{Kind: actAwaitAPI}
		}
		bare = append(bare, name)
	}
	if len(bare) > 0 {
		return action{actProvision, bare}
	}
	return action{Kind: actNone}
}

// joining brings the nodes into the cluster.
func (o observed) joining() action {
	if o.Spec.NetworkManifest != "" && o.Record.Manifest != manifestDigest(o.Spec.NetworkManifest) {
		return action{Kind: actApply}
	}
	var absent, unready []string
	for _, name := range o.wanted() {
		node, ok := o.API.Nodes[name]
		if !ok {
			absent = append(absent, name)
		} else if !node.Ready && o.Spec.NetworkManifest != "" {
			unready = append(unready, name)
		}
	}
	if len(absent) > 0 && o.tokenEnded() {
		return action{Kind: actToken}
	}
	if waiting := append(absent, unready...); len(waiting) > 0 {
		sort.Strings(waiting)
		return action{actAwaitJoin, waiting}
	}
	return action{Kind: actNone}
}

// tokenEnded says that nobody can join any more. kubeadm init makes the token
// as one of its last steps: until it is through (or must be, if its milestone
// was lost) a missing token is none of our business. One that ends within
// minutes may end in the middle of a join.
func (o observed) tokenEnded() bool {
	controlPlane := o.Spec.ControlPlane
	_, through := o.Hosts[controlPlane].Milestones[order.MilestoneBootstrapped]
	if !through && o.Now.Sub(o.Record.Members[controlPlane].Booted) < initMinimum {
		return false
	}
	return o.API.TokenExpires.Before(o.Now.Add(tokenReserve))
}

const (
	tokenReserve = 10 * time.Minute
	initMinimum  = time.Hour
)

func (o observed) wanted() []string { return append([]string{o.Spec.ControlPlane}, o.Spec.Workers...) }

func (o observed) unwanted() []string {
	var out []string
	for name, member := range o.Record.Members {
		if member.Role == RoleWorker && !slices.Contains(o.Spec.Workers, name) {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}

// joined says that the host is a live node of the cluster. For the control
// plane the API server's answer is proof enough: it was checked against our CA.
func (o observed) joined(name string) bool {
	if o.API == nil {
		return false
	}
	return name == o.Spec.ControlPlane || o.API.Nodes[name].Ready
}

func carries(s host.Status, deployment string) bool {
	return s.State == host.Provisioned && s.Deployment == deployment
}

// trouble says why waiting for a first boot is in vain; empty: it is not.
func trouble(s host.Status, deployment string) string {
	switch {
	case s.Deployment != deployment:
		return "the host does not carry the cluster's deployment any more"
	case failed(s, deployment):
		return "the first boot's commands failed"
	case s.State == host.Provisioned && s.Power == "off":
		return "the host is powered off"
	}
	return ""
}

// failed says that the first boot of the deployment came to a bad end.
func failed(s host.Status, deployment string) bool {
	return s.Deployment == deployment && s.Milestones[order.MilestoneFailed].Name != "" && s.Milestones[order.MilestoneBootstrapped].Name == ""
}

// sameSpec compares what can be changed in place; the rest was refused before.
func sameSpec(a, b Spec) bool {
	return slices.Equal(a.Workers, b.Workers) && a.NetworkManifest == b.NetworkManifest && a.BootstrapTimeoutSeconds == b.BootstrapTimeoutSeconds
}
