package cluster

import (
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
)

// Roles of nodes.
const (
	RoleControlPlane = "control-plane"
	RoleWorker       = "worker"
)

// Record is what is kept of a cluster. Its JSON form holds the PKI and the
// token: it is for a store that keeps secrets.
type Record struct {
	Spec Spec `json:"spec"`
	// UID is made once; deployment IDs begin with it.
	UID   string        `json:"uid"`
	PKI   kubeadm.PKI   `json:"pki"`
	Token kubeadm.Token `json:"token"`
	// Endpoint is the API server's URL.
	Endpoint string `json:"endpoint"`
	Phase    Phase  `json:"phase"`
	Revision uint64 `json:"revision"`
	// Initialized says that the API server answered once: from then on the
	// control plane holds data that is never thrown away by us.
	Initialized bool `json:"initialized,omitempty"`
	// Members are the hosts that belong to the cluster, by name.
	Members map[string]Member `json:"members"`
	// Manifest is the digest of the network manifest that was applied last.
	Manifest string       `json:"manifest,omitempty"`
	Failure  *fault.Error `json:"failure,omitempty"`
	Nodes    []Node       `json:"nodes,omitempty"`
}

// Member is one host of a cluster.
type Member struct {
	Role string `json:"role"`
	// Attempt counts deployments to the host, from 1.
	Attempt int `json:"attempt"`
	// Booted is when the boot order was acknowledged; zero before.
	Booted time.Time `json:"booted,omitzero"`
	// Timed says that the phase table has this deployment's lines.
	Timed bool `json:"timed,omitempty"`
}

// Deployment is the ID of the member's present deployment.
func (r Record) Deployment(name string) string {
	return fmt.Sprintf("%s-%s-%d", r.UID, name, r.Members[name].Attempt)
}

// clone copies what edits change.
func (r Record) clone() Record {
	r.Members = maps.Clone(r.Members)
	r.Nodes = slices.Clone(r.Nodes)
	return r
}

// listNodes gives the API server's nodes with the hosts that they are, by name.
func (r Record) listNodes(nodes map[string]Node) []Node {
	out := make([]Node, 0, len(nodes))
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		node := nodes[name]
		if _, ours := r.Members[name]; ours {
			node.Host = name
		}
		out = append(out, node)
	}
	return out
}

// Owner is who the deployments of the cluster belong to.
func Owner(name string) string { return "cluster/" + name }

// String names the cluster and no secret.
func (r Record) String() string { return fmt.Sprintf("cluster %q (%s)", r.Spec.Name, r.Phase) }

// GoString is String.
func (r Record) GoString() string { return r.String() }

// LogValue is String.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.String()) }

// Status is the record without its secrets.
func (r Record) Status() Status {
	return Status{
		Name: r.Spec.Name, Phase: r.Phase, Revision: r.Revision, Ready: r.Phase == PhaseReady,
		Failure: r.Failure, Endpoint: r.Endpoint, CACertificate: string(r.PKI.CA.Certificate),
		Nodes: slices.Clone(r.Nodes),
	}
}

func newUID(name string, rand io.Reader) (string, error) {
	var b [4]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return "", fmt.Errorf("making an identity for cluster %q: %w", name, err)
	}
	return name + "-" + hex.EncodeToString(b[:]), nil
}
