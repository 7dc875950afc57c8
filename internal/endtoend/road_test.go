//go:build endtoend

package endtoend

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// phaseTimeout bounds the wait for one phase on a loaded, emulated machine.
const phaseTimeout = 20 * time.Minute

// inPhase fits the first sign of work in a phase of any host.
func inPhase(p host.Phase) func(event.Event) bool {
	return func(e event.Event) bool { return e.Kind == "host" && e.Phase == string(p) }
}

// writing fits an image that is being written, at a place that the seed decides.
func writing(t *testing.T, rnd *rand.Rand) func(event.Event) bool {
	place := 64<<20 + rnd.Int64N(1<<30)
	t.Logf("at %d MiB of the image", place>>20)
	return func(e event.Event) bool { return e.Phase == string(host.PhaseImage) && e.Done > place }
}

// dice are thrown by ROAD_SEED; the same seed walks the same road again.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("ROAD_SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("ROAD_SEED=%q: %v", given, err)
		}
		seed = n
	}
	t.Logf("ROAD_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// TestRoad walks the whole road with the demo's own configuration. In every
// phase provider and agent are killed with SIGKILL, once tofu is interrupted;
// after each, the same command again goes on.
func TestRoad(t *testing.T) {
	r := newRack(t, "road")
	secrets, rnd := &lines{}, dice(t)
	defer watchProcesses(t, secrets)()

	t.Run("kill during inspection", func(t *testing.T) {
		r.interrupted(t, inPhase(host.PhaseInspect), "apply", "-auto-approve", "-input=false")
	})
	t.Run("interrupt during imaging", func(t *testing.T) { r.ctrlC(t, writing(t, rnd)) })
	t.Run("kill during imaging", func(t *testing.T) { r.interrupted(t, writing(t, rnd), "apply", "-auto-approve", "-input=false") })
	t.Run("kill during kubeadm init", func(t *testing.T) {
		r.interrupted(t, func(e event.Event) bool { return e.Message == "booted" }, "apply", "-auto-approve", "-input=false")
	})
	t.Run("kill during join", func(t *testing.T) {
		r.interrupted(t, func(e event.Event) bool { return e.Kind == "cluster" && e.Phase == string(cluster.PhaseJoining) }, "apply", "-auto-approve", "-input=false")
	})
	if t.Failed() {
		return
	}
	r.mustRun("apply", "-auto-approve", "-input=false", "-no-color")
	for name, h := range r.hosts() {
		if h.State != host.Provisioned || h.ImagesWritten != 1 {
			t.Errorf("%s is %s, imaged %d times, want provisioned and once", name, h.State, h.ImagesWritten)
		}
	}
	r.script("show")
	t.Run("plan is empty", func(t *testing.T) { r.wantPlan(t, 0) })
	t.Run("drift is told in words and healed", r.drift)
	t.Run("no secret anywhere", func(t *testing.T) { r.noSecret(t, secrets) })
	if t.Failed() {
		return
	}
	t.Run("kill during destroy", func(t *testing.T) {
		r.interrupted(t, inPhase(host.PhaseWipe), "destroy", "-auto-approve", "-input=false")
	})
	r.mustRun("destroy", "-auto-approve", "-input=false", "-no-color")
	r.script("bare")
	r.nothingLeft()
}

// interrupted starts tofu, kills provider and agent when an event fits, and
// leaves the rest to the next command.
func (r *rack) interrupted(t *testing.T, fits func(event.Event) bool, args ...string) {
	t.Helper()
	c := r.start(args...)
	ctx, cancel := context.WithTimeout(t.Context(), phaseTimeout)
	defer cancel()
	// The agent works on while no tofu runs; what counts is a kill in mid-apply.
	applying := func(e event.Event) bool {
		out := c.out.String()
		return fits(e) && (strings.Contains(out, "Creating...") || strings.Contains(out, "Modifying...") || strings.Contains(out, "Destroying..."))
	}
	if err := r.untilOrEnd(ctx, c, t.Name(), applying); err != nil {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		t.Fatalf("%v\n%s", err, c.out.String())
	}
	r.killAll(c)
}

// untilOrEnd waits for an event, or for tofu to end too early.
func (r *rack) untilOrEnd(ctx context.Context, c *command, what string, fits func(event.Event) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-c.done:
			c.done <- err
			cancel(fmt.Errorf("tofu ended before: %w", err))
		case <-ctx.Done():
		}
	}()
	if err := r.seen.until(ctx, what, fits); err != nil {
		return fmt.Errorf("%w (%w)", err, context.Cause(ctx))
	}
	return nil
}

// ctrlC interrupts tofu in the middle of imaging: it ends within ten seconds and
// taints nothing.
func (r *rack) ctrlC(t *testing.T, during func(event.Event) bool) {
	c := r.start("apply", "-auto-approve", "-input=false", "-no-color")
	ctx, cancel := context.WithTimeout(t.Context(), phaseTimeout)
	defer cancel()
	if err := r.untilOrEnd(ctx, c, "imaging", during); err != nil {
		t.Fatalf("%v\n%s", err, c.out.String())
	}
	asked := time.Now()
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-c.done
	took := time.Since(asked)
	t.Logf("tofu ended %s after the interrupt:\n%s", took.Round(100*time.Millisecond), c.out.String())
	if took > 10*time.Second {
		t.Errorf("tofu ended after %s, want within 10 s", took)
	}
	if state := r.mustRun("show", "-json"); strings.Contains(state, `"tainted":true`) {
		t.Errorf("a resource is tainted:\n%s", state)
	}
}

// wantPlan runs a plan and compares its exit code: 0 empty, 2 changes.
func (r *rack) wantPlan(t *testing.T, want int) string {
	t.Helper()
	out, err := r.run("plan", "-detailed-exitcode", "-input=false", "-no-color")
	code := 0
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // exec gives it bare
		code = exit.ExitCode()
	}
	if code != want {
		t.Errorf("plan ended with %d, want %d:\n%s", code, want, out)
	}
	return out
}

// drift switches the worker off behind the product's back.
func (r *rack) drift(t *testing.T) {
	r.reset(t, "server-2", "ForceOff")
	out := r.wantPlan(t, 2)
	if !strings.Contains(out, "powered off") || !strings.Contains(out, "server-2") {
		t.Errorf("the plan does not say that server-2 was found powered off:\n%s", out)
	}
	t.Logf("the plan says:\n%s", out)
	r.mustRun("apply", "-auto-approve", "-input=false", "-no-color")
	if p := r.machines()["server-2"].Power; !strings.EqualFold(p, "on") {
		t.Errorf("server-2 is %s after apply", p)
	}
}

// reset presses a machine's button through its BMC, as anybody could.
func (r *rack) reset(t *testing.T, name, kind string) {
	t.Helper()
	cmd := exec.Command("curl", "-fsSk", "-K", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`user = "admin:%s"
url = "%s/redfish/v1/Systems/1/Actions/ComputerSystem.Reset"
header = "Content-Type: application/json"
data = "{\"ResetType\":\"%s\"}"
`, canary, r.machines()[name].BMCForward, kind))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s of %s: %v\n%s", kind, name, err, out)
	}
}

// noSecret looks for the canaries in everything that is kept or shown.
func (r *rack) noSecret(t *testing.T, processes *lines) {
	trace := filepath.Join(r.dir, "trace.log")
	r.env = append(r.env, "TF_LOG=TRACE", "TF_LOG_PATH="+trace)
	plan := filepath.Join(r.dir, "plan.bin")
	r.mustRun("plan", "-input=false", "-no-color", "-out="+plan)
	planJSON := r.mustRun("show", "-json", plan)
	r.env = r.env[:len(r.env)-2]
	secrets := append(clusterSecrets(t, filepath.Join(r.dir, "agent", "facility.db")), canary)
	if len(secrets) < 4 {
		t.Fatalf("only %d secrets to look for", len(secrets))
	}
	places := map[string]string{"the plan": planJSON, "the process list": processes.String()}
	files := []string{trace, plan, filepath.Join(r.dir, "work/terraform.tfstate"), filepath.Join(r.dir, "work/terraform.tfstate.backup"), filepath.Join(r.dir, "agent.log")}
	for _, m := range r.machines() {
		files = append(files, m.Console)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Errorf("reading %s: %v", f, err)
		}
		places[f] = string(raw)
	}
	for place, text := range places {
		for i, s := range secrets {
			if strings.Contains(text, s) {
				t.Errorf("secret %d of %d stands in %s", i, len(secrets), place)
			}
		}
	}
}

// nothingLeft takes agent and lab down and looks for what they leave.
func (r *rack) nothingLeft() {
	r.t.Helper()
	status, err := r.client.Facility(r.t.Context())
	if err == nil {
		r.t.Errorf("the facility is still there: %+v", status)
	}
	r.script("down")
	left := find(r.t, func(_ int, cmdline []string) bool { return strings.Contains(strings.Join(cmdline, " "), r.dir) })
	if len(left) > 0 {
		r.t.Errorf("processes are left: %v", left)
	}
	namespaces, err := os.ReadDir("/run/netns")
	if err != nil && !os.IsNotExist(err) {
		r.t.Error(err)
	}
	for _, n := range namespaces {
		if strings.Contains(n.Name(), r.name) {
			r.t.Errorf("namespace %s is left", n.Name())
		}
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil || strings.Contains(string(mounts), r.dir) {
		r.t.Errorf("a mount is left (%v):\n%s", err, mounts)
	}
}
