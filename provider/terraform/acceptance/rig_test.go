package acceptance

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
)

// The canaries: each may be known to the plugin and the agent, and be written
// nowhere.
const (
	canaryBlock = "canary-block-9d2e"
	canaryFile  = "canary-file-41aa"
	canaryEnv   = "canary-env-77c0"
)

// rig is a rack behind a real agent API on a real socket, and a folder with an
// OpenTofu root module for the real tofu.
type rig struct {
	*rack
	t      *testing.T
	socket string
	dir    string
	env    []string
	stop   context.CancelFunc
	served chan error
}

// deadline bounds any wait of these tests: far above what they need, so that
// only a hang meets it.
const deadline = 60 * time.Second

func newRig(t *testing.T) *rig {
	t.Helper()
	tofu(t)
	// Not t.TempDir: a socket's path has at most 107 bytes.
	dir, err := os.MkdirTemp("", "rig")
	must(t, err)
	g := &rig{rack: newRack(), t: t, socket: filepath.Join(dir, "agent.sock"), dir: filepath.Join(dir, "root")}
	must(t, os.MkdirAll(g.dir, 0o700))
	g.plugin()
	g.serve()
	t.Cleanup(func() {
		g.letAllGo()
		g.down()
		must(t, os.RemoveAll(dir))
	})
	return g
}

// url is the facility's id.
func (g *rig) url() string { return "unix://" + g.socket }

// serve starts the agent.
func (g *rig) serve() {
	ctx, stop := context.WithCancel(context.Background())
	ready := make(chan struct{})
	handler := agent.NewHandler(agent.Engines{Site: g.rack, Hosts: g.rack, Clusters: g.rack, Specs: g.rack, Version: version}, nil)
	server := agent.Server{Socket: g.socket, Handler: handler, Ready: func() { close(ready) }}
	g.stop, g.served = stop, make(chan error, 1)
	go func() { g.served <- server.Serve(ctx) }()
	select {
	case <-ready:
	case err := <-g.served:
		g.t.Fatal("serving the rack:", err)
	}
}

// down ends the agent; the rack keeps its records.
func (g *rig) down() {
	if g.stop == nil {
		return
	}
	g.stop()
	must(g.t, <-g.served)
	g.stop = nil
}

func (g *rig) letAllGo() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, held := range g.holds {
		delete(g.holds, key)
		close(held)
	}
	if g.gate != nil {
		close(g.gate)
		g.gate = nil
	}
}

// reached waits until work on name has come to a phase.
func (g *rig) reached(name, phase string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), deadline)
	defer cancel()
	must(g.t, g.until(ctx, name+" is at "+phase, func() bool { return g.count[name+"/"+phase] > 0 }))
}

// settled waits until nothing is being worked on.
func (g *rig) settled() {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), deadline)
	defer cancel()
	must(g.t, g.until(ctx, "the rack is idle", func() bool {
		for _, h := range g.hosts {
			if h.status.Busy {
				return false
			}
		}
		for _, k := range g.clusters {
			if k.status.Busy {
				return false
			}
		}
		return true
	}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The root module, in parts.

const requirement = `terraform {
  required_providers {
    metal = {
      source = "nanometal/metal"
    }
  }
}
`

func providerHCL(extra string) string {
	return fmt.Sprintf(`provider "metal" {
  credentials = {
    lab = { username = "root", password = %q }
  }
  %s
}
`, canaryBlock, extra)
}

func (g *rig) facilityHCL() string {
	return fmt.Sprintf(`resource "metal_facility" "rack" {
  name  = "rack"
  agent = %q
  networks = [{
    name          = "boot"
    cidr          = "172.30.0.0/24"
    gateway       = "172.30.0.1"
    dns           = ["172.30.0.1"]
    pool          = ["172.30.0.16/28", "172.30.0.40-172.30.0.49"]
    agent_address = "172.30.0.2"
  }]
  services = { installer = "/srv/installer" }
}
`, g.url())
}

func hostHCL(name, extra string) string {
	return fmt.Sprintf(`resource "metal_host" %[1]q {
  facility = metal_facility.rack.id
  name     = %[1]q
  boot_mac = "52:54:00:00:00:%02[2]x"
  bmc = { url = "https://10.0.0.%[2]d", credentials = "lab", fingerprint = %[3]q }
  %[4]s
}
`, name, 1+int(name[len(name)-1])%90, strings.Repeat("ab", 32), extra)
}

func clusterHCL(controlPlane string, workers []string, extra string) string {
	var list []string
	for _, w := range workers {
		list = append(list, fmt.Sprintf("metal_host.%s.name", w))
	}
	return fmt.Sprintf(`resource "metal_cluster" "c" {
  facility           = metal_facility.rack.id
  name               = "management"
  kubernetes_version = "v1.36.4"
  image              = { url = "https://images.example/node.raw.zst", sha256 = %q }
  control_plane      = metal_host.%s.name
  workers            = [%s]
  %s
}
`, strings.Repeat("cd", 32), controlPlane, strings.Join(list, ", "), extra)
}

// rackHCL is a facility with two hosts and a cluster on them.
func (g *rig) rackHCL() string {
	return providerHCL("") + g.facilityHCL() + hostHCL("node1", "") + hostHCL("node2", "") + clusterHCL("node1", []string{"node2"}, "")
}
