package sim

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/nanometal/terraform-provider-metal/metal/bmc"
)

const testTimeout = 30 * time.Second

func newServer(t *testing.T, config Config) *Server {
	t.Helper()
	if config.Dir == "" {
		config.Dir = t.TempDir()
	}
	config.ReportEvery = 20 * time.Millisecond
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// connect is the product's own client, through TLS with the pinned certificate.
func connect(t *testing.T, ctx context.Context, s *Server) *client.Client {
	t.Helper()
	c, err := client.Connect(ctx, client.Config{URL: s.URL, Username: s.Username, Password: s.Password, Fingerprint: s.Fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// await waits until something is so; the machine's own goroutine makes it so.
func await(t *testing.T, ctx context.Context, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			t.Fatalf("waiting until %s: %v", what, ctx.Err())
		case <-tick.C:
		}
	}
}

func bootInstaller(t *testing.T, ctx context.Context, c *client.Client, uri string) {
	t.Helper()
	if err := c.SetBoot(ctx, client.Boot{Enabled: "Once", Target: "UefiHttp", HTTPBootURI: uri}); err != nil {
		t.Fatal(err)
	}
	if err := c.SetPower(ctx, client.On); err != nil {
		t.Fatal(err)
	}
}

// TestLifeOfAServer: deployed through the real BMC client, the real wire and
// the real installer, then rebooted, shut down and found again.
func TestLifeOfAServer(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	agent := newTestAgent(t)
	started := make(chan string, 8)
	config := Config{Dir: t.TempDir(), Name: "life", Password: "secret", System: func(ctx context.Context, root, _ string) {
		started <- root
		<-ctx.Done()
	}}
	s := newServer(t, config)
	c := connect(t, ctx, s)
	system, err := c.System(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if system.Serial != s.Hardware.Serial || system.Power != client.PowerOff || !slices.Equal(system.MACs, s.MACs) {
		t.Errorf("system %+v", system)
	}

	agent.deploy(s)
	bootInstaller(t, ctx, c, agent.bootURI())
	await(t, ctx, "the system runs", func() bool { return s.Running() == RunningSystem })
	root := <-started
	inventory, fetched, failed := agent.state()
	if failed != nil {
		t.Fatalf("order failed: %+v", failed)
	}
	if inventory.System.Serial != s.Hardware.Serial || inventory.NICs[0].MAC != s.MACs[0] || inventory.Disks[0].Serial != s.Hardware.Disks[0].Serial {
		t.Errorf("inventory %+v", inventory)
	}
	if !slices.Equal(fetched, []string{"HEAD /boot/installer.efi", "GET /boot/installer.efi"}) {
		t.Errorf("the firmware asked %q", fetched)
	}
	if _, err := os.Stat(filepath.Join(root, "var/lib/cloud/seed/nocloud/meta-data")); err != nil {
		t.Error(err)
	}
	if boot, err := c.Boot(ctx); err != nil || boot.Enabled != "Disabled" {
		t.Errorf("boot override %+v, %v: it was for once", boot, err)
	}

	s.Panic()
	<-started // the deployed system again, from its disk
	if err := c.SetPower(ctx, client.GracefulShutdown); err != nil {
		t.Fatal(err)
	}
	if s.On() || s.Running() != RunningNothing {
		t.Errorf("running %q after the shutdown", s.Running())
	}
	lines, err := c.ConsoleTail(ctx, 50)
	if err != nil || !strings.Contains(strings.Join(lines, "\n"), "shutting down") {
		t.Errorf("console %q, %v", lines, err)
	}
}

// TestServerIsFoundAgain: the same directory is the same server, and one that
// was on comes back on.
func TestServerIsFoundAgain(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	agent := newTestAgent(t)
	dir := t.TempDir()
	first, err := New(Config{Dir: dir, Password: "secret", ReportEvery: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	agent.deploy(first)
	c, err := client.Connect(ctx, client.Config{URL: first.URL, Username: first.Username, Password: "secret", Fingerprint: first.Fingerprint})
	if err != nil {
		t.Fatal(err)
	}
	bootInstaller(t, ctx, c, agent.bootURI())
	await(t, ctx, "the system runs", func() bool { return first.Running() == RunningSystem })
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := newServer(t, Config{Dir: dir, Password: "secret"})
	if again.Fingerprint != first.Fingerprint || again.Hardware.UUID != first.Hardware.UUID {
		t.Error("it is another server")
	}
	await(t, ctx, "the system runs again", func() bool { return again.Running() == RunningSystem })
}

func TestFirmwareFindsNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	agent := newTestAgent(t)
	s := newServer(t, Config{})
	c := connect(t, ctx, s)
	bootInstaller(t, ctx, c, agent.http.URL+"/boot/secret-token/none.efi")
	await(t, ctx, "the firmware gave up", func() bool { return strings.Contains(s.Console(), "no bootable device") })
	if s.Running() != RunningFirmware || !s.On() {
		t.Errorf("running %q", s.Running())
	}
	events, err := c.EventTail(ctx, 20)
	if err != nil || !strings.Contains(strings.Join(events, "\n"), "No bootable device") {
		t.Errorf("events %q, %v", events, err)
	}
	if strings.Contains(strings.Join(events, "\n"), "secret-token") {
		t.Error("the event log shows the boot token")
	}
	// Nothing runs that heeds the button; force does.
	if err := c.RequestPower(ctx, client.GracefulShutdown); err != nil {
		t.Fatal(err)
	}
	if !s.On() {
		t.Error("a firmware heeded the button")
	}
	if err := c.SetPower(ctx, client.ForceOff); err != nil {
		t.Fatal(err)
	}
}

// TestPowerLossInTheInstaller: power can go at any moment, and comes back to a
// machine that boots what the BMC says then.
func TestPowerLossInTheInstaller(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	agent := newTestAgent(t)
	s := newServer(t, Config{NoKexec: true})
	c := connect(t, ctx, s)
	for range 3 {
		bootInstaller(t, ctx, c, agent.bootURI())
		await(t, ctx, "the installer runs", func() bool { return s.Running() == RunningInstaller })
		if err := c.SetPower(ctx, client.ForceOff); err != nil {
			t.Fatal(err)
		}
	}
	agent.deploy(s)
	bootInstaller(t, ctx, c, agent.bootURI())
	// Without kexec the installer reboots, and the firmware boots the disk.
	await(t, ctx, "the system runs", func() bool { return s.Running() == RunningSystem })
}

func TestManyServers(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	defer cancel()
	const many = 8
	agent := newTestAgent(t)
	var servers []*Server
	for i := range many {
		s := newServer(t, Config{Name: "sim-" + string(rune('a'+i)), DiskBytes: []int64{8 << 20}})
		servers = append(servers, s)
	}
	for _, s := range servers {
		bootInstaller(t, ctx, connect(t, ctx, s), agent.bootURI())
	}
	seen := map[string]bool{}
	for _, s := range servers {
		await(t, ctx, "the installer runs", func() bool { return s.Running() == RunningInstaller })
		seen[s.MACs[0]] = true
		seen[s.Fingerprint] = true
	}
	if len(seen) != 2*many {
		t.Errorf("%d different MACs and certificates, want %d", len(seen), 2*many)
	}
}

func TestReadCmdline(t *testing.T) {
	image := unifiedImage("a=b c")
	got, err := readCmdline(&streamAt{body: strings.NewReader(string(image))})
	if err != nil || got != "a=b c" {
		t.Errorf("command line %q, %v", got, err)
	}
	for name, wrong := range map[string]string{"empty": "", "no PE": strings.Repeat("x", 600), "short": string(image[:520])} {
		if got, err := readCmdline(&streamAt{body: strings.NewReader(wrong)}); err == nil {
			t.Errorf("%s: command line %q", name, got)
		}
	}
}
