//go:build endtoend

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/internal/lab/network"
)

// asDaemon says that this process is the daemon that Up has started.
const asDaemon = "METAL_LAB_TEST_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := RunDaemon(ctx, os.Args[len(os.Args)-1], hclog.New(&hclog.LoggerOptions{Output: os.Stderr})); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	t.Setenv(asDaemon, "1")
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// testLab brings up a lab of small machines and takes it down at the end.
func testLab(t *testing.T, ctx context.Context, name, dir string, machines int) Status {
	t.Helper()
	status, err := tryLab(t, ctx, name, dir, machines)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func tryLab(t *testing.T, ctx context.Context, name, dir string, machines int) (Status, error) {
	t.Helper()
	spec := Spec{Name: name, Accelerator: "tcg"}
	for range machines {
		spec.Machines = append(spec.Machines, MachineSpec{MemoryMB: 256, Disks: []string{"16M"}})
	}
	t.Cleanup(func() {
		if _, err := Down(context.WithoutCancel(ctx), name, dir, false); err != nil {
			t.Error(err)
		}
	})
	daemon, err := Up(ctx, Options{Spec: spec, Dir: dir, Password: "test password", Daemon: []string{os.Args[0]}})
	if err != nil {
		return Status{}, err
	}
	go daemon.Wait() // so that it does not stay as a zombie
	return ReadStatus(ctx, name, dir)
}

func labName(t *testing.T, suffix string) string {
	return fmt.Sprintf("test-%d-%s", os.Getpid(), suffix)
}

func reset(t *testing.T, ctx context.Context, m MachineStatus, kind string) {
	t.Helper()
	body := bytes.NewBufferString(`{"ResetType":"` + kind + `"}`)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.BMCForward+"/redfish/v1/Systems/1/Actions/ComputerSystem.Reset", body)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth("admin", "test password")
	request.Header.Set("Content-Type", "application/json")
	response, err := pinned(m.BMCFingerprint).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Fatalf("%s: status %s", kind, response.Status)
	}
}

// nothingLeft checks by other means than Down's own.
func nothingLeft(t *testing.T, name, dir string) {
	t.Helper()
	if _, err := os.Lstat(network.NamespacePath("metal-lab-" + name)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the network namespace is left: %v", err)
	}
	for _, file := range []string{name, name + ".sock"} {
		if _, err := os.Lstat(filepath.Join(runDir(), file)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q is left: %v", file, err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), "metal-lab-"+name) {
		t.Errorf("a mount is left: %v", err)
	}
	lines, err := exec.Command("ps", "-eo", "pid,args").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(lines)) {
		if strings.Contains(line, dir) && !strings.Contains(line, "defunct") {
			t.Errorf("a process is left: %s", line)
		}
	}
}

func TestUpAndDown(t *testing.T) {
	ctx, name, dir := testContext(t), labName(t, "a"), t.TempDir()
	status := testLab(t, ctx, name, dir, 2)
	if len(status.Machines) != 2 || status.Machines[0].Power != "off" || status.Address != "172.30.0.1/24" || status.Machines[1].BMCURL != "https://172.30.0.202" {
		t.Errorf("status %+v", status)
	}
	if _, err := tryLab(t, ctx, name, dir, 1); !errors.Is(err, errLocked) {
		t.Errorf("a second lab of that name: %v", err)
	}
	first, err := ReadDump(ctx, name, dir)
	if err != nil {
		t.Fatal(err)
	}
	second, err := ReadDump(ctx, name, dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first, second) || len(first["server-1"]) < 30 {
		t.Errorf("dumps differ, or have only %d resources", len(first["server-1"]))
	}
	raw, err := json.Marshal(first)
	if err != nil || bytes.Contains(raw, []byte("test password")) {
		t.Errorf("the dump shows the password: %v", err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "lab.log"))
	if err != nil || bytes.Contains(log, []byte("test password")) {
		t.Errorf("the log shows the password: %v", err)
	}
	removed, err := Down(ctx, name, dir, false)
	if err != nil || !removed.Daemon || !removed.Namespace || len(removed.Processes) != 0 {
		t.Errorf("removed %+v, %v", removed, err)
	}
	nothingLeft(t, name, dir)
	if removed, err = Down(ctx, name, dir, true); err != nil || removed.Daemon || removed.Namespace {
		t.Errorf("removed again %+v, %v", removed, err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("purge left the directory: %v", err)
	}
}

// TestKilledDaemon: nothing outlives it but what Down or the next Up removes,
// and a machine that was on comes back.
func TestKilledDaemon(t *testing.T) {
	ctx, name, dir := testContext(t), labName(t, "k"), t.TempDir()
	status := testLab(t, ctx, name, dir, 1)
	reset(t, ctx, status.Machines[0], "On")
	status, err := ReadStatus(ctx, name, dir)
	if err != nil || status.Machines[0].PID == 0 {
		t.Fatalf("the machine is not on: %+v, %v", status, err)
	}
	inside := exec.Command("ip", "netns", "exec", status.Namespace, "sleep", "600")
	if err := inside.Start(); err != nil {
		t.Fatal(err)
	}
	go inside.Wait() // Down ends it
	if err := syscall.Kill(status.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	emulator := network.WithArgument("qemu-system", dir)
	again := testLab(t, ctx, name, dir, 1) // removes the remains
	if again.Machines[0].Power != "on" || again.Machines[0].BMCFingerprint != status.Machines[0].BMCFingerprint || again.Machines[0].BMCForward != status.Machines[0].BMCForward {
		t.Errorf("before %+v\nafter %+v", status.Machines[0], again.Machines[0])
	}
	if running, err := network.Find(emulator); err != nil || len(running) != 1 {
		t.Errorf("%v run, %v", running, err)
	}
	if err := syscall.Kill(again.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := Down(ctx, name, dir, false); err != nil {
		t.Fatal(err)
	}
	nothingLeft(t, name, dir)
}

// TestTwoLabs have the same addresses and do not meet.
func TestTwoLabs(t *testing.T) {
	ctx := testContext(t)
	one := testLab(t, ctx, labName(t, "one"), t.TempDir(), 1)
	two := testLab(t, ctx, labName(t, "two"), t.TempDir(), 1)
	if one.Machines[0].BMCURL != two.Machines[0].BMCURL || one.Machines[0].BMCForward == two.Machines[0].BMCForward {
		t.Errorf("one %+v\ntwo %+v", one.Machines[0], two.Machines[0])
	}
	reset(t, ctx, one.Machines[0], "On")
	two, err := ReadStatus(ctx, two.Name, two.Dir)
	if err != nil || two.Machines[0].Power != "off" {
		t.Errorf("the other lab's machine is %s, %v", two.Machines[0].Power, err)
	}
}
