//go:build endtoend

package endtoend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// rack is a lab with its agent and a tofu workspace, made and taken away by the
// very script that `make demo` runs.
type rack struct {
	t      *testing.T
	root   string // the checkout
	dir    string
	name   string
	env    []string
	tofu   string
	client *agent.Client
	seen   *watcher
}

// canary is the BMC's password: it may be found nowhere.
const canary = "c4n4ry-bmc-Passw0rd"

func newRack(t *testing.T, name string) *rack {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "metal-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	r := &rack{t: t, root: root, dir: dir, name: name}
	r.env = append(os.Environ(), "DEMO_NAME="+name, "DEMO_DIR="+dir, "METAL_LAB_BMC_PASSWORD="+canary)
	t.Cleanup(r.remove)
	r.script("up")
	r.tofu = filepath.Join(r.output("images/build", "--path", "opentofu"), "tofu")
	r.env = append(r.env, "TF_CLI_CONFIG_FILE="+filepath.Join(dir, "tofu.rc"), "METAL_BMC_LAB_USERNAME=admin", "METAL_BMC_LAB_PASSWORD="+canary)
	r.dial()
	return r
}

// remove takes the lab away whatever happened, and shows what is worth knowing
// of a failure.
func (r *rack) remove() {
	if r.t.Failed() {
		r.evidence()
	}
	for _, args := range [][]string{{"agent", "stop", "--socket", r.socket()}, {"lab", "down", "--purge", "--name", r.name, "--dir", filepath.Join(r.dir, "lab")}} {
		cmd := exec.Command(r.binary(), args...)
		if out, err := cmd.CombinedOutput(); err != nil {
			r.t.Logf("%v: %v\n%s", args, err, out)
		}
	}
	if err := os.RemoveAll(r.dir); err != nil {
		r.t.Errorf("removing %s: %v", r.dir, err)
	}
}

func (r *rack) evidence() {
	files, _ := filepath.Glob(filepath.Join(r.dir, "*.log"))
	consoles, _ := filepath.Glob(filepath.Join(r.dir, "lab/machines/*/console*"))
	for _, f := range append(files, consoles...) {
		raw, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		r.t.Logf("== %s\n%s", f, raw[max(0, len(raw)-4000):])
	}
}

func (r *rack) socket() string { return filepath.Join(r.dir, "agent.sock") }
func (r *rack) binary() string { return filepath.Join(r.root, "bin/terraform-provider-metal") }

// script runs steps of the demo.
func (r *rack) script(steps ...string) {
	r.t.Helper()
	cmd := exec.Command("examples/demo/demo.sh", steps...)
	cmd.Dir, cmd.Env = r.root, r.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("demo.sh %v: %v\n%s", steps, err, out.String())
	}
	r.t.Logf("demo.sh %v\n%s", steps, out.String())
}

// output runs a program of the checkout and gives what it prints.
func (r *rack) output(name string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command(filepath.Join(r.root, name), args...)
	cmd.Dir, cmd.Env = r.root, r.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func (r *rack) dial() {
	r.t.Helper()
	client, err := agent.Dial(r.t.Context(), "unix://"+r.socket(), agent.Options{Version: "dev"})
	if err != nil {
		r.t.Fatal(err)
	}
	if r.client != nil {
		_ = r.client.Close() // its agent was killed
	}
	r.client = client
	r.seen = watch(r.t, client)
}

// watcher keeps an agent's events.
type watcher struct {
	mu     sync.Mutex
	events []event.Event
	news   chan struct{}
	// from is the first event that counts: those before belong to an earlier command.
	from int
}

// forget makes the events so far count no more.
func (w *watcher) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.from = len(w.events)
}

func watch(t *testing.T, c *agent.Client) *watcher {
	w := &watcher{news: make(chan struct{})}
	go func() {
		_ = c.Events(t.Context(), 0, func(e event.Event) error { // ends with the agent or the test
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
			close(w.news)
			w.news = make(chan struct{})
			return nil
		})
	}()
	return w
}

// until waits for an event that fits.
func (w *watcher) until(ctx context.Context, what string, fits func(event.Event) bool) error {
	for i := 0; ; {
		w.mu.Lock()
		events, news := w.events, w.news
		i = max(i, w.from)
		w.mu.Unlock()
		for ; i < len(events); i++ {
			if fits(events[i]) {
				return nil
			}
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		}
	}
}

// command is a running tofu.
type command struct {
	*exec.Cmd
	out  *safeBuffer
	done chan error
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs tofu in a process group of its own, as a shell would.
func (r *rack) start(args ...string) *command {
	r.t.Helper()
	c := &command{Cmd: exec.Command(r.tofu, append([]string{"-chdir=" + filepath.Join(r.dir, "work")}, args...)...), out: &safeBuffer{}, done: make(chan error, 1)}
	c.Env = r.env
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Stdout, c.Stderr = c.out, c.out
	c.WaitDelay = 5 * time.Second
	r.seen.forget()
	if err := c.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { c.done <- c.Wait() }()
	return c
}

// run is start and wait.
func (r *rack) run(args ...string) (string, error) {
	r.t.Helper()
	c := r.start(args...)
	err := <-c.done
	return c.out.String(), err
}

func (r *rack) mustRun(args ...string) string {
	r.t.Helper()
	out, err := r.run(args...)
	if err != nil {
		r.t.Fatalf("tofu %v: %v\n%s", args, err, out)
	}
	return out
}

// hosts gives the hosts' statuses by name.
func (r *rack) hosts() map[string]host.Status {
	r.t.Helper()
	list, err := r.client.Hosts(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[string]host.Status{}
	for _, h := range list {
		out[h.Name] = h
	}
	return out
}

// killAll kills the provider and the agent at once, without any chance to tidy
// up, and starts the agent again, as a service manager would.
func (r *rack) killAll(c *command) {
	r.t.Helper()
	victims := append(processes(r.t, r.binary(), c.Process.Pid), agents(r.t, r.binary(), r.socket())...)
	if len(victims) < 2 {
		r.t.Fatalf("found only %v to kill", victims)
	}
	for _, pid := range victims {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			r.t.Fatal(err)
		}
	}
	if err := <-c.done; err == nil {
		r.t.Fatalf("tofu did not notice that its provider was killed:\n%s", c.out.String())
	}
	r.script("agent_up")
	r.dial()
}

// processes are the children of parent that run exe.
func processes(t *testing.T, exe string, parent int) []int {
	return find(t, func(pid int, cmdline []string) bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		return err == nil && link == exe && len(fields) > 1 && fields[1] == strconv.Itoa(parent)
	})
}

// agents are the processes that serve a socket.
func agents(t *testing.T, exe, socket string) []int {
	return find(t, func(_ int, cmdline []string) bool {
		line := strings.Join(cmdline, " ")
		return strings.HasPrefix(line, exe+" agent serve") && strings.Contains(line, socket)
	})
}

func find(t *testing.T, fits func(pid int, cmdline []string) bool) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && fits(pid, strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// machine is what `lab status` says of one server.
type machine struct {
	Name        string `json:"name"`
	Power       string `json:"power"`
	BMCForward  string `json:"bmc_forward"`
	Console     string `json:"console"`
	Fingerprint string `json:"bmc_fingerprint"`
}

func (r *rack) machines() map[string]machine {
	r.t.Helper()
	var status struct {
		Machines []machine `json:"machines"`
	}
	raw := r.output("bin/terraform-provider-metal", "lab", "status", "--json", "--name", r.name, "--dir", filepath.Join(r.dir, "lab"))
	if err := json.NewDecoder(io.LimitReader(strings.NewReader(raw), 1<<20)).Decode(&status); err != nil {
		r.t.Fatal(err)
	}
	out := map[string]machine{}
	for _, m := range status.Machines {
		out[m.Name] = m
	}
	return out
}
