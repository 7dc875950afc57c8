package acceptance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// plugin makes the folder that tofu takes the provider from: a script that
// notes its process and becomes this test binary.
func (g *rig) plugin() {
	g.t.Helper()
	self, err := os.Executable()
	must(g.t, err)
	bin := filepath.Join(filepath.Dir(g.dir), "bin")
	must(g.t, os.MkdirAll(bin, 0o700))
	script := fmt.Sprintf("#!/bin/sh\necho $$ >>%q\n%s=1 exec %q\n", g.pids(), pluginVariable, self)
	must(g.t, os.WriteFile(filepath.Join(bin, "terraform-provider-metal"), []byte(script), 0o700))
	config := fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"nanometal/metal\" = %q\n  }\n  direct {}\n}\n", bin)
	file := filepath.Join(filepath.Dir(g.dir), "tofurc")
	must(g.t, os.WriteFile(file, []byte(config), 0o600))
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TF_") && !strings.HasPrefix(variable, "METAL_") {
			g.env = append(g.env, variable)
		}
	}
	g.env = append(g.env, "TF_CLI_CONFIG_FILE="+file, "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")
}

func (g *rig) pids() string { return filepath.Join(filepath.Dir(g.dir), "pids") }

// killPlugin kills the newest plugin process, as kill -9 does.
func (g *rig) killPlugin() {
	g.t.Helper()
	text, err := os.ReadFile(g.pids())
	must(g.t, err)
	lines := strings.Fields(string(text))
	pid, err := strconv.Atoi(lines[len(lines)-1])
	must(g.t, err)
	must(g.t, syscall.Kill(pid, syscall.SIGKILL))
}

// write makes config the root module.
func (g *rig) write(config string) {
	g.t.Helper()
	must(g.t, os.WriteFile(filepath.Join(g.dir, "main.tf"), []byte(requirement+config), 0o600))
}

// run is one run of tofu.
type run struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  output
	args string
}

// output may be read while it is written.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (g *rig) start(args ...string) *run {
	g.t.Helper()
	r := &run{t: g.t, args: strings.Join(args, " "), cmd: exec.CommandContext(g.t.Context(), tofu(g.t), args...)}
	r.cmd.Dir, r.cmd.Env, r.cmd.Stdout, r.cmd.Stderr = g.dir, g.env, &r.out, &r.out
	must(g.t, r.cmd.Start())
	return r
}

// wait gives the run's output and whether it succeeded.
func (r *run) wait() (string, bool) {
	r.t.Helper()
	err := r.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("running tofu %s: %v", r.args, err)
	}
	return r.out.String(), err == nil
}

func (r *run) interrupt() {
	r.t.Helper()
	must(r.t, r.cmd.Process.Signal(os.Interrupt))
}

// flat undoes the box that diagnostics are drawn in, and their line breaks.
func flat(s string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", "", "╷", "", "╵", "").Replace(s)), " ")
}

// wantText wants every one of the texts in an output, wherever its lines break.
func wantText(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, text := range want {
		if !strings.Contains(flat(out), text) {
			t.Errorf("the output lacks %q:\n%s", text, out)
		}
	}
}

// ok runs tofu and wants success.
func (g *rig) ok(args ...string) string {
	g.t.Helper()
	out, ok := g.start(args...).wait()
	if !ok {
		g.t.Fatalf("tofu %s failed:\n%s", strings.Join(args, " "), out)
	}
	return out
}

// bad runs tofu and wants failure.
func (g *rig) bad(args ...string) string {
	g.t.Helper()
	out, ok := g.start(args...).wait()
	if ok {
		g.t.Fatalf("tofu %s succeeded:\n%s", strings.Join(args, " "), out)
	}
	return out
}

var (
	applyArgs   = []string{"apply", "-auto-approve", "-input=false", "-no-color"}
	destroyArgs = []string{"destroy", "-auto-approve", "-input=false", "-no-color"}
)

// object is one resource of a state.
type object struct {
	Address string         `json:"address"`
	Tainted bool           `json:"tainted"`
	Values  map[string]any `json:"values"`
}

// state is what tofu keeps, by address.
func (g *rig) state() map[string]object {
	g.t.Helper()
	var shown struct {
		Values struct {
			Root struct {
				Resources []object `json:"resources"`
			} `json:"root_module"`
		} `json:"values"`
	}
	must(g.t, json.Unmarshal([]byte(g.ok("show", "-json")), &shown))
	out := map[string]object{}
	for _, o := range shown.Values.Root.Resources {
		out[o.Address] = o
	}
	return out
}

// change is what a plan means to do with one resource.
type change struct {
	Actions      []string       `json:"actions"`
	After        map[string]any `json:"after"`
	AfterUnknown map[string]any `json:"after_unknown"`
}

// plan makes a plan and gives what it means to do, by address, and its output.
func (g *rig) plan() (map[string]change, string) {
	g.t.Helper()
	out := g.ok("plan", "-input=false", "-no-color", "-out=plan.bin")
	var shown struct {
		Changes []struct {
			Address string `json:"address"`
			Change  change `json:"change"`
		} `json:"resource_changes"`
	}
	must(g.t, json.Unmarshal([]byte(g.ok("show", "-json", "plan.bin")), &shown))
	changes := map[string]change{}
	for _, c := range shown.Changes {
		changes[c.Address] = c.Change
	}
	return changes, out
}

// wantActions compares what a plan means to do with one resource.
func (g *rig) wantActions(changes map[string]change, address string, want ...string) {
	g.t.Helper()
	if got := changes[address].Actions; strings.Join(got, ",") != strings.Join(want, ",") {
		g.t.Errorf("%s: planned actions %v, want %v", address, got, want)
	}
}

// wantEmptyPlan wants nothing to do.
func (g *rig) wantEmptyPlan() {
	g.t.Helper()
	changes, out := g.plan()
	for address, c := range changes {
		if strings.Join(c.Actions, ",") != "no-op" {
			g.t.Errorf("%s: planned actions %v, want none:\n%s", address, c.Actions, out)
		}
	}
}
