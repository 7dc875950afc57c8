package cluster

import (
	"slices"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// steady is a cluster of a control plane and two workers where all is well.
func steady() observed {
	spec := testSpec("w1", "w2").WithDefaults()
	rec := Record{
		Spec: spec, UID: "mgmt-1", Phase: PhaseReady, Initialized: true, Manifest: manifestDigest(spec.NetworkManifest),
		Members: map[string]Member{
			"cp": {Role: RoleControlPlane, Attempt: 1, Booted: noon}, "w1": {Role: RoleWorker, Attempt: 1, Booted: noon}, "w2": {Role: RoleWorker, Attempt: 1, Booted: noon},
		},
	}
	o := observed{
		Now: noon.Add(time.Minute), Spec: spec, Record: &rec, Hosts: map[string]host.Status{}, FailedBefore: map[string]bool{},
		API: &apiView{Nodes: map[string]Node{}, TokenExpires: noon.Add(24 * time.Hour)},
	}
	for name := range rec.Members {
		o.Hosts[name] = host.Status{Name: name, State: host.Provisioned, Deployment: rec.Deployment(name), Power: "on", Milestones: map[string]order.Milestone{order.MilestoneBootstrapped: {Name: order.MilestoneBootstrapped}}}
		o.API.Nodes[name] = Node{Name: name, Ready: true}
	}
	return o
}

func TestNext(t *testing.T) {
	bare := host.Status{State: host.Available}
	booted := func(o *observed, name string, at time.Time) {
		m := o.Record.Members[name]
		m.Booted = at
		o.Record.Members[name] = m
	}
	for _, tt := range []struct {
		name   string
		change func(*observed)
		want   kind
		hosts  []string
	}{
		{"all is well", func(*observed) {}, actNone, nil},
		{"nothing is there", func(o *observed) { o.Record, o.API = nil, nil }, actRecord, nil},
		{"new worker", func(o *observed) { o.Spec.Workers = append(o.Spec.Workers, "w3") }, actAdmit, []string{"w3"}},
		{"new worker, API away", func(o *observed) { o.Spec.Workers = append(o.Spec.Workers, "w3"); o.API = nil }, actAdmit, []string{"w3"}},
		{"nothing is written yet", func(o *observed) {
			o.Hosts, o.API, o.Record.Initialized = map[string]host.Status{"cp": bare, "w1": bare, "w2": bare}, nil, false
			for _, name := range []string{"cp", "w1", "w2"} {
				booted(o, name, time.Time{})
			}
		}, actProvision, []string{"cp", "w1", "w2"}},
		{"one worker is not written", func(o *observed) { o.Hosts["w2"], o.API.Nodes["w2"] = bare, Node{} }, actProvision, []string{"w2"}},
		{"worker carries something else", func(o *observed) {
			o.Hosts["w2"] = host.Status{State: host.Provisioned, Deployment: "x"}
			delete(o.API.Nodes, "w2")
		}, actProvision, []string{"w2"}},
		{"records lost, node is alive", func(o *observed) { o.Hosts["w2"] = bare }, actNone, nil},
		{"records lost, nobody to ask", func(o *observed) { o.Hosts["w2"] = bare; o.API = nil }, actAwaitAPI, nil},
		{"never booted, nobody to ask", func(o *observed) { o.Hosts["w2"] = bare; o.API = nil; booted(o, "w2", time.Time{}) }, actProvision, []string{"w2"}},
		{"control plane's records lost", func(o *observed) { o.Hosts["cp"] = bare }, actNone, nil},
		{"control plane lost", func(o *observed) { o.Hosts["cp"] = bare; o.API = nil }, actLost, []string{"cp"}},
		{"control plane is off", func(o *observed) { o.API = nil }, actAwaitAPI, nil},
		{"first answer", func(o *observed) { o.Record.Initialized = false }, actAwaitAPI, nil},
		{"manifest not applied", func(o *observed) { o.Record.Manifest = "" }, actApply, nil},
		{"manifest changed", func(o *observed) { o.Spec.NetworkManifest = "x" }, actApply, nil},
		{"manifest removed", func(o *observed) { o.Spec.NetworkManifest = "" }, actFinish, nil},
		{"worker not joined", func(o *observed) { delete(o.API.Nodes, "w1") }, actAwaitJoin, []string{"w1"}},
		{"workers not joined and not Ready", func(o *observed) { delete(o.API.Nodes, "w2"); o.API.Nodes["w1"] = Node{} }, actAwaitJoin, []string{"w1", "w2"}},
		{"not Ready without manifest", func(o *observed) {
			o.Spec.NetworkManifest, o.Record.Spec.NetworkManifest = "", ""
			o.API.Nodes["w1"] = Node{}
		}, actNone, nil},
		{"token gone", func(o *observed) { delete(o.API.Nodes, "w1"); o.API.TokenExpires = time.Time{} }, actToken, nil},
		{"token ends soon", func(o *observed) { delete(o.API.Nodes, "w1"); o.API.TokenExpires = o.Now.Add(time.Minute) }, actToken, nil},
		{"token gone, nobody needs it", func(o *observed) { o.API.TokenExpires = time.Time{} }, actNone, nil},
		{"kubeadm has not made the token yet", func(o *observed) {
			delete(o.API.Nodes, "w1")
			o.API.TokenExpires = time.Time{}
			o.Hosts["cp"] = host.Status{State: host.Provisioned, Deployment: o.Record.Deployment("cp")}
		}, actAwaitJoin, []string{"w1"}},
		{"its milestone was lost", func(o *observed) {
			delete(o.API.Nodes, "w1")
			o.API.TokenExpires, o.Now = time.Time{}, noon.Add(2*time.Hour)
			o.Hosts["cp"] = host.Status{State: host.Provisioned, Deployment: o.Record.Deployment("cp")}
		}, actToken, nil},
		{"worker not wanted", func(o *observed) { o.Spec.Workers = []string{"w2"} }, actRemove, []string{"w1"}},
		{"exchange: the new one first", func(o *observed) { o.Spec.Workers = []string{"w2", "w3"} }, actAdmit, []string{"w3"}},
		{"failed before", func(o *observed) { o.FailedBefore["w1"] = true; delete(o.API.Nodes, "w1") }, actRetry, []string{"w1"}},
		{"failed before, yet it joined", func(o *observed) { o.FailedBefore["w1"] = true }, actNone, nil},
		{"failed too often", func(o *observed) {
			o.FailedBefore["w1"] = true
			delete(o.API.Nodes, "w1")
			o.Record.Members["w1"] = Member{Role: RoleWorker, Attempt: maxAttempts}
		}, actGiveUp, []string{"w1"}},
		{"pods pending while it is made", func(o *observed) { o.Record.Phase = PhaseJoining; o.API.Pending = []string{"coredns"} }, actAwaitPods, nil},
		{"pods pending later", func(o *observed) { o.API.Pending = []string{"coredns"} }, actNone, nil},
		{"done, not written down", func(o *observed) { o.Record.Phase = PhaseJoining }, actFinish, nil},
		{"timeout changed", func(o *observed) { o.Spec.BootstrapTimeoutSeconds = 60 }, actFinish, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := steady()
			tt.change(&o)
			if got := next(o); got.Kind != tt.want || !slices.Equal(got.Hosts, tt.hosts) {
				t.Errorf("got %v, want %v %v", got, tt.want, tt.hosts)
			}
		})
	}
}

func TestTrouble(t *testing.T) {
	milestones := func(names ...string) map[string]order.Milestone {
		out := map[string]order.Milestone{}
		for _, name := range names {
			out[name] = order.Milestone{Name: name}
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		status host.Status
		bad    bool
	}{
		{"booting", host.Status{State: host.Provisioned, Deployment: "d", Power: "on"}, false},
		{"power unknown", host.Status{State: host.Provisioned, Deployment: "d"}, false},
		{"off", host.Status{State: host.Provisioned, Deployment: "d", Power: "off"}, true},
		{"off while it is being written", host.Status{State: host.Provisioning, Deployment: "d", Power: "off"}, false},
		{"other deployment", host.Status{State: host.Provisioned, Deployment: "e"}, true},
		{"failed", host.Status{State: host.Provisioned, Deployment: "d", Milestones: milestones("booted", "failed")}, true},
		{"failed, then well", host.Status{State: host.Provisioned, Deployment: "d", Milestones: milestones("booted", "failed", "bootstrapped")}, false},
	} {
		if got := trouble(tt.status, "d"); (got != "") != tt.bad {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}

func TestPhases(t *testing.T) {
	at := func(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }
	seconds := func(spans []span) map[host.Phase]float64 {
		out := map[host.Phase]float64{}
		for _, s := range spans {
			out[s.Phase] = s.Took.Seconds()
		}
		return out
	}
	for _, tt := range []struct {
		name string
		in   times
		want map[host.Phase]float64
	}{
		{"all known", times{at(0), at(30), 20 * time.Second, at(90), at(100)}, map[host.Phase]float64{"kexec": 10, "first-boot": 20, "bootstrap": 60, "ready": 10}},
		{"nothing known", times{}, map[host.Phase]float64{}},
		{"resumed after the kernel's start", times{at(25), at(30), 20 * time.Second, at(90), at(100)}, map[host.Phase]float64{"first-boot": 20, "bootstrap": 60, "ready": 10}},
		{"last milestone lost", times{at(0), at(30), 20 * time.Second, time.Time{}, at(100)}, map[host.Phase]float64{"kexec": 10, "first-boot": 20}},
		{"first milestone lost", times{at(0), time.Time{}, 0, at(90), at(100)}, map[host.Phase]float64{"ready": 10}},
		{"Ready before kubeadm ended", times{at(0), at(30), 20 * time.Second, at(90), at(80)}, map[host.Phase]float64{"kexec": 10, "first-boot": 20, "bootstrap": 60, "ready": 0}},
	} {
		got := seconds(phases(tt.in))
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		for phase, want := range tt.want {
			if got[phase] != want {
				t.Errorf("%s: %s took %v s, want %v", tt.name, phase, got[phase], want)
			}
		}
	}
}
