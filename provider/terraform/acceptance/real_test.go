package acceptance

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab/sim"
	"github.com/nanometal/terraform-provider-metal/metal/bmc"
)

// site is a rig without a rack: the agent is the embedded one of the plugin, the
// engine is the real one, and the servers are simulated machines behind virtual
// BMCs, which run the real installer.
type site struct {
	*rig
	servers map[string]*sim.Server
	config  string
}

func newSite(t *testing.T, names ...string) *site {
	t.Helper()
	tofu(t)
	dir, err := os.MkdirTemp("", "site")
	must(t, err)
	s := &site{rig: &rig{t: t, rack: newRack(), dir: filepath.Join(dir, "root")}, servers: map[string]*sim.Server{}}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	must(t, os.MkdirAll(s.dir, 0o700))
	s.plugin()
	installer := filepath.Join(dir, "installer")
	must(t, os.MkdirAll(installer, 0o700))
	for _, name := range []string{"installer.efi", "vmlinuz", "initramfs.zst"} {
		must(t, os.WriteFile(filepath.Join(installer, name), bootFile(), 0o600))
	}
	// Loopback is the one network that a test has without rights: the simulated
	// firmware needs no DHCP, and pool addresses are claimed but not used.
	s.config = requirement + fmt.Sprintf(`provider "metal" {
  event_log = "events.json"
}
resource "metal_facility" "site" {
  name = "site"
  networks = [{
    name          = "loopback"
    cidr          = "127.0.0.0/8"
    pool          = ["127.77.0.10-127.77.0.99"]
    agent_address = "127.0.0.1"
  }]
  services = {
    installer = %q
    http_port = %d
    tls_port  = %d
    dhcp      = "off"
  }
}
`, installer, freePort(t), freePort(t))
	s.env = append(s.env, "METAL_BMC_SIM_USERNAME=admin", "METAL_BMC_SIM_PASSWORD="+canaryEnv, "TF_LOG=TRACE", "TF_LOG_PATH=trace.log")
	for _, name := range names {
		server, err := sim.New(sim.Config{Dir: filepath.Join(dir, name), Name: name, Username: "admin", Password: canaryEnv, ReportEvery: 50 * time.Millisecond})
		must(t, err)
		t.Cleanup(func() { must(t, server.Close()) })
		s.servers[name] = server
		s.config += fmt.Sprintf(`resource "metal_host" %[1]q {
  facility = metal_facility.site.id
  name     = %[1]q
  boot_mac = %[2]q
  bmc      = { url = %[3]q, credentials = "sim", fingerprint = %[4]q }
  # A server that was switched on just before its agent died finds nothing to
  # boot, and is given up on after this.
  phase_timeouts = { boot_seconds = 10 }
}
`, name, server.MACs[0], server.URL, server.Fingerprint)
	}
	s.writeConfig(s.config)
	return s
}

func (s *site) writeConfig(config string) {
	s.t.Helper()
	must(s.t, os.WriteFile(filepath.Join(s.dir, "main.tf"), []byte(config), 0o600))
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("a TCP listener has the address %v", listener.Addr())
	}
	return address.Port
}

// bootFile is a unified kernel image with nothing but room for a command line:
// what a simulated machine runs is not in it.
func bootFile() []byte {
	const at, room = 512, 2048
	image := make([]byte, at)
	copy(image, "MZ")
	binary.LittleEndian.PutUint32(image[0x3c:], 64)
	copy(image[64:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(image[68:], 0x8664) // IMAGE_FILE_MACHINE_AMD64
	binary.LittleEndian.PutUint16(image[70:], 1)      // one section
	section := image[88:]
	copy(section, ".cmdline")
	binary.LittleEndian.PutUint32(section[8:], room)
	binary.LittleEndian.PutUint32(section[16:], room)
	binary.LittleEndian.PutUint32(section[20:], at)
	return append(append(image, strings.Repeat(" ", room)...), make([]byte, 1<<20)...)
}

// outOfBand is what a server's BMC says, to compare before and after.
func (s *site) outOfBand(name string) string {
	s.t.Helper()
	server := s.servers[name]
	ctx, cancel := context.WithTimeout(s.t.Context(), deadline)
	defer cancel()
	client, err := bmc.Connect(ctx, bmc.Config{URL: server.URL, Username: server.Username, Password: server.Password, Fingerprint: server.Fingerprint})
	must(s.t, err)
	defer func() { must(s.t, client.Close(context.Background())) }()
	power, err := client.Power(ctx)
	must(s.t, err)
	boot, err := client.Boot(ctx)
	must(s.t, err)
	return fmt.Sprintf("power %s, boot override %s to %s", power, boot.Enabled, boot.Target)
}

// TestRealEngineEnrolsAndGivesBack is a whole life of two servers through the
// real engine: enrolled, nothing left to do, imported, given back as found.
func TestRealEngineEnrolsAndGivesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, "one", "two")
	before := s.outOfBand("one")
	s.ok(applyArgs...)
	state := s.state()
	for _, name := range []string{"one", "two"} {
		values := state["metal_host."+name].Values
		if values["state"] != "available" || values["power"] != "off" || values["ready"] != true || values["hardware"] == nil {
			t.Errorf("%s is %v", name, values)
		}
		if s.servers[name].On() {
			t.Errorf("%s is on", name)
		}
	}
	s.wantEmptyPlan()
	s.ok("state", "rm", "metal_host.one")
	s.ok("import", "-no-color", "metal_host.one", "embedded:.metal#one")
	s.wantEmptyPlan()
	// Lost, and given back what it has to know.
	must(t, os.RemoveAll(filepath.Join(s.dir, ".metal")))
	s.wantEmptyPlan()
	s.ok(destroyArgs...)
	if after := s.outOfBand("one"); after != before {
		t.Errorf("the BMC was %q and is %q", before, after)
	}
	// The trace log of the embedded agent is among the files.
	s.wantNoSecrets()
}

// TestRealEngineSurvivesKillsAndInterrupts: the embedded agent dies with its
// plugin; the next apply continues from its store and the hardware.
func TestRealEngineSurvivesKillsAndInterrupts(t *testing.T) {
	t.Parallel()
	s := newSite(t, "one")
	before := s.outOfBand("one")
	for _, end := range []func(*run){func(*run) { s.killPlugin() }, (*run).interrupt} {
		apply := s.start(applyArgs...)
		s.awaitPower("one", apply)
		end(apply)
		apply.wait()
		if s.state()["metal_host.one"].Tainted {
			t.Error("the host is tainted")
		}
	}
	s.ok(applyArgs...)
	s.wantEmptyPlan()
	if values := s.state()["metal_host.one"].Values; values["state"] != "available" || values["power"] != "off" {
		t.Errorf("the host is %v", values)
	}
	s.ok(destroyArgs...)
	if after := s.outOfBand("one"); after != before {
		t.Errorf("the BMC was %q and is %q", before, after)
	}
}

// awaitPower waits until the server is on, or the run has ended.
func (s *site) awaitPower(name string, r *run) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), deadline)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !s.servers[name].On() {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		if out := r.out.String(); ctx.Err() != nil || strings.Contains(out, "Error:") {
			s.t.Fatalf("%s was not switched on:\n%s", name, out)
		}
	}
}

// TestRealEngineSaysWhatIsWrong: a wrong password is tried once and named.
func TestRealEngineSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newSite(t, "one")
	for i, variable := range s.env {
		if strings.HasPrefix(variable, "METAL_BMC_SIM_PASSWORD=") {
			s.env[i] = "METAL_BMC_SIM_PASSWORD=wrong"
		}
	}
	wantText(t, s.bad(applyArgs...), `host "one"`, "metal_host.one", "Do next:")
	if s.servers["one"].On() {
		t.Error("the server was switched on")
	}
}
