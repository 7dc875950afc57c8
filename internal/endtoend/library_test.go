//go:build endtoend

package endtoend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// TestLibrary lets the example of the library make a cluster of one virtual
// server and give the server back. The process is killed while the image is
// being written: the next one continues, and the image is written once.
func TestLibrary(t *testing.T) {
	l := newLibraryLab(t)
	l.configure()
	before := l.dump("before.json")

	l.say("bootstrap, killed while the image is written")
	first := l.example("-config", l.config)
	// The first line is about the order, the second about bytes on the disk.
	first.await(libraryPhase("image"))
	first.await(libraryPhase("image"))
	first.kill()

	l.say("bootstrap, continued")
	second := l.example("-config", l.config, "-kubeconfig", filepath.Join(l.dir, "kubeconfig"))
	l.checkCluster(second.succeed())

	l.say("bootstrap once more: nothing to do")
	l.checkCluster(l.example("-config", l.config).succeed())

	l.say("destroy")
	l.example("-destroy").succeed()
	l.checkBare(before)

	l.say("destroy once more: nothing to do")
	l.example("-destroy").succeed()
	l.checkBare(before)

	l.say("the lab away")
	l.down()
	l.checkNothingLeft()
}

// libraryPhase matches the lines of the example about a host in that phase.
func libraryPhase(phase string) func(line string) bool {
	return func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 3 && words[1] == "host" && words[3] == phase
	}
}

// state opens the example's state with the library, beside no other process.
func (l *libraryLab) state(look func(ctx context.Context, client *agent.Client) error) {
	l.t.Helper()
	client, err := agent.Dial(l.ctx, "embedded:"+l.stateDir, agent.Options{})
	if err != nil {
		l.t.Fatal(err)
	}
	if err := errors.Join(look(l.ctx, client), client.Close()); err != nil {
		l.t.Fatal(err)
	}
}

// checkCluster: one node, Ready, and its image was written exactly once.
func (l *libraryLab) checkCluster(output string) {
	l.t.Helper()
	l.state(func(ctx context.Context, client *agent.Client) error {
		hosts, err := client.Hosts(ctx)
		if err != nil {
			return err
		}
		if len(hosts) != 1 || hosts[0].State != host.Provisioned || hosts[0].Owner != "cluster/library" || hosts[0].ImagesWritten != 1 {
			l.t.Errorf("hosts are %+v, want one that is provisioned and was written once", hosts)
		}
		status, err := client.Cluster(ctx, "library", false)
		if err != nil {
			return err
		}
		if !status.Ready || len(status.Nodes) != 1 || !status.Nodes[0].Ready || status.Nodes[0].Name != l.machine.Name {
			l.t.Errorf("cluster is %+v, want one node that is Ready", status)
		}
		return nil
	})
	if !strings.Contains(output, "NODE") || !strings.Contains(output, l.machine.Name) {
		l.t.Errorf("the example printed no nodes")
	}
}

// checkBare: the server is off, its BMC and disk are as before, and nothing of
// it is kept.
func (l *libraryLab) checkBare(before []byte) {
	l.t.Helper()
	if m := l.status().Machines[0]; m.Power != "off" {
		l.t.Errorf("the server is %s", m.Power)
	}
	if after := l.dump("after.json"); !bytes.Equal(before, after) {
		l.t.Errorf("the BMC is not as it was found:\n%s", libraryDiff(before, after))
	}
	if signatures := l.output("wipefs", "--noheadings", l.machine.Disks[0].Path); signatures != "" {
		l.t.Errorf("the disk has signatures:\n%s", signatures)
	}
	l.state(func(ctx context.Context, client *agent.Client) error {
		hosts, hostsErr := client.Hosts(ctx)
		clusters, clustersErr := client.Clusters(ctx)
		if len(hosts)+len(clusters) > 0 {
			l.t.Errorf("records are left: %+v, %+v", hosts, clusters)
		}
		// The addresses' claims belong to the facility's record.
		if status, err := client.Facility(ctx); !errors.Is(err, facility.ErrNotFound) {
			l.t.Errorf("the facility is left: %+v, %v", status, err)
		}
		return errors.Join(hostsErr, clustersErr)
	})
}

// checkNothingLeft looks by other means than the lab's own: no namespace, no
// interface, no process.
func (l *libraryLab) checkNothingLeft() {
	l.t.Helper()
	if _, err := os.Lstat("/run/netns/metal-lab-" + libraryName); !errors.Is(err, os.ErrNotExist) {
		l.t.Errorf("the network namespace is left: %v", err)
	}
	if added := slices.DeleteFunc(libraryInterfaces(l.t), func(name string) bool { return slices.Contains(l.interfaces, name) }); len(added) > 0 {
		l.t.Errorf("interfaces are left: %v", added)
	}
	if left := libraryProcesses(l.t, l.dir); len(left) > 0 {
		l.t.Errorf("processes are left: %q", left)
	}
}

// libraryConfig is the example's configuration file.
type libraryConfig struct {
	Facility            facility.Spec  `json:"facility"`
	Hosts               []host.Spec    `json:"hosts"`
	Cluster             map[string]any `json:"cluster"`
	NetworkManifestFile string         `json:"network_manifest_file"`
	KubeadmConfigFile   string         `json:"kubeadm_config_file"`
}

// configure writes the configuration for the lab's one server, with the demo's
// settings for emulated servers.
func (l *libraryLab) configure() {
	status := l.status()
	address, _, _ := strings.Cut(status.Address, "/")
	image := filepath.Join(l.artefact("os-image"), "disk.raw.zst")
	sum, _, _ := strings.Cut(strings.TrimSpace(l.read(image+".sha256")), " ")
	var metadata struct{ Kubernetes string }
	if err := json.Unmarshal([]byte(l.read(image+".json")), &metadata); err != nil {
		l.t.Fatal(err)
	}
	patches := map[string]string{}
	for _, name := range []string{"etcd.yaml", "kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml"} {
		patches[name] = l.read(filepath.Join(l.root, "examples/demo/patches", name))
	}
	m := l.machine
	cfg := libraryConfig{
		Facility: facility.Spec{
			Name: "library",
			Networks: []facility.NetworkSpec{{Name: "rack", CIDR: status.Subnet, AgentAddress: address, Gateway: address,
				Pool: []string{"172.31.0.100-172.31.0.109"}}},
			Services: facility.ServicesSpec{Installer: l.artefact("installer-image")},
		},
		Hosts: []host.Spec{{Name: m.Name, BootMAC: m.MACs[0], RootDevice: &host.RootDeviceHints{Serial: m.Disks[0].Serial},
			BMC: host.BMCSpec{URL: m.BMCURL, Fingerprint: m.BMCFingerprint, Credentials: "lab"}}},
		Cluster: map[string]any{"name": "library", "kubernetes_version": metadata.Kubernetes, "control_plane": m.Name,
			"image": map[string]string{"url": "file://" + image, "sha256": sum}, "kubeadm_patches": patches},
		NetworkManifestFile: filepath.Join(l.root, "images/manifests/flannel.yaml"),
		KubeadmConfigFile:   filepath.Join(l.root, "examples/demo/kubeadm.yaml"),
	}
	text, err := json.MarshalIndent(cfg, "", "  ")
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(l.config, text, 0o600); err != nil {
		l.t.Fatal(err)
	}
}
