//go:build endtoend

package endtoend

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab"
)

const (
	libraryName = "library"
	// librarySpare is what is left of the test's time for taking the lab down.
	librarySpare = 90 * time.Second
	// libraryEnd is how long a process may take to end when it is asked to.
	libraryEnd = 15 * time.Second
)

// libraryLab is a lab with one server, and the example beside it.
type libraryLab struct {
	t   *testing.T
	ctx context.Context
	// root is the checkout; dir holds everything that the test makes.
	root, dir        string
	config, stateDir string
	provider, binary string
	machine          lab.MachineStatus
	environment      []string
	interfaces       []string
	runs             []*libraryRun
	began            time.Time
	up               bool
}

func newLibraryLab(t *testing.T) *libraryLab {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	l := &libraryLab{t: t, ctx: libraryContext(t), root: root, dir: dir, began: time.Now(), interfaces: libraryInterfaces(t),
		config: filepath.Join(dir, "library.json"), stateDir: filepath.Join(dir, "state"),
		provider: filepath.Join(dir, "bin/terraform-provider-metal"), binary: filepath.Join(dir, "bin/library")}
	l.say("build")
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	l.output("go", "build", "-o", filepath.Join(dir, "bin")+"/", ".", "./examples/library")
	l.say("lab")
	// What an earlier run left that was killed, wherever its directory was.
	l.output(l.provider, "lab", "down", "--purge", "--name", libraryName)
	t.Cleanup(l.cleanUp)
	l.up = true
	l.lab("up", "--machines", "1", "--memory", "3072", "--subnet", "172.31.0.0/24")
	l.machine = l.status().Machines[0]
	l.environment = append(os.Environ(), "METAL_BMC_LAB_USERNAME="+l.status().BMCUser,
		"METAL_BMC_LAB_PASSWORD="+strings.TrimSpace(l.read(l.status().BMCPasswordFile)))
	return l
}

// libraryContext ends early enough before the test's deadline, and when the
// test is interrupted, for the lab to be taken down.
func libraryContext(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	if deadline, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-librarySpare))
		t.Cleanup(cancel)
	}
	return ctx
}

// say prints at once, so that whoever watches a long test knows where it is.
func (l *libraryLab) say(what string) {
	fmt.Fprintf(os.Stderr, "--- library %4.0f s: %s\n", time.Since(l.began).Seconds(), what)
}

func (l *libraryLab) read(path string) string {
	l.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// output runs a command in the checkout.
func (l *libraryLab) output(name string, args ...string) string {
	l.t.Helper()
	text, err := l.command(l.ctx, name, args...)
	if err != nil {
		l.t.Fatal(err)
	}
	return text
}

func (l *libraryLab) command(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = l.root, append(os.Environ(), "CGO_ENABLED=0")
	cmd.WaitDelay = libraryEnd // the lab's daemon may have inherited the pipes
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("running %s %q: %w\n%s%s", name, args, err, stdout.String(), stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

// artefact is the folder of something that images/build makes.
func (l *libraryLab) artefact(name string) string {
	l.t.Helper()
	return l.output("images/build", "--path", name)
}

func (l *libraryLab) labArgs(command string, args ...string) []string {
	return append([]string{"lab", command, "--name", libraryName, "--dir", filepath.Join(l.dir, "lab")}, args...)
}

func (l *libraryLab) lab(command string, args ...string) string {
	l.t.Helper()
	return l.output(l.provider, l.labArgs(command, args...)...)
}

func (l *libraryLab) status() lab.Status {
	l.t.Helper()
	var s lab.Status
	if err := json.Unmarshal([]byte(l.lab("status", "--json")), &s); err != nil {
		l.t.Fatal(err)
	}
	return s
}

func (l *libraryLab) dump(file string) []byte {
	l.t.Helper()
	path := filepath.Join(l.dir, file)
	l.lab("dump", "--json", path)
	return []byte(l.read(path))
}

func (l *libraryLab) down() {
	l.t.Helper()
	l.lab("down", "--purge")
	l.up = false
}

// cleanUp leaves nothing behind, however the test ended.
func (l *libraryLab) cleanUp() {
	if l.t.Failed() {
		l.evidence()
	}
	for _, r := range l.runs {
		r.kill()
	}
	if !l.up {
		return
	}
	if _, err := l.command(context.WithoutCancel(l.ctx), l.provider, l.labArgs("down", "--purge")...); err != nil {
		l.t.Error(err)
	}
}

// evidence prints the ends of the outputs, of the console and of the lab's log.
func (l *libraryLab) evidence() {
	for _, r := range l.runs {
		l.t.Logf("output of %q:\n%s", r.cmd.Args, libraryTail(r.text(), 80))
	}
	for _, path := range []string{l.machine.Console, filepath.Join(l.dir, "lab/lab.log")} {
		if text, err := os.ReadFile(path); err == nil {
			l.t.Logf("%s:\n%s", path, libraryTail(string(text), 60))
		}
	}
}

// libraryRun is one process of the example, inside the lab's network.
type libraryRun struct {
	l     *libraryLab
	cmd   *exec.Cmd
	lines chan string
	ended chan struct{}
	err   error

	mu  sync.Mutex
	out bytes.Buffer
}

// example starts the example; "lab exec" becomes it, so that a kill meets it.
func (l *libraryLab) example(args ...string) *libraryRun {
	l.t.Helper()
	command := append([]string{"--", l.binary, "-state", l.stateDir, "-log", "debug"}, args...)
	r := &libraryRun{l: l, lines: make(chan string, 4096), ended: make(chan struct{})}
	r.cmd = exec.CommandContext(l.ctx, l.provider, l.labArgs("exec", command...)...)
	r.cmd.Dir, r.cmd.Env = l.root, l.environment
	r.cmd.Cancel = func() error { return r.cmd.Process.Signal(syscall.SIGTERM) }
	r.cmd.WaitDelay = libraryEnd
	r.cmd.Stderr = r
	stdout, err := r.cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.runs = append(l.runs, r)
	go r.follow(stdout)
	return r
}

// follow reads to the end before Wait, which closes the pipe.
func (r *libraryRun) follow(stdout io.Reader) {
	defer close(r.ended)
	defer close(r.lines)
	scanner := bufio.NewScanner(stdout)
	for scanner.Scan() {
		fmt.Fprintln(r, scanner.Text())
		select {
		case r.lines <- scanner.Text():
		default: // nobody reads that many
		}
	}
	r.err = errors.Join(scanner.Err(), r.cmd.Wait())
}

// Write takes standard output and error in the order of their arrival.
func (r *libraryRun) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.Write(p)
}

func (r *libraryRun) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.out.String()
}

// await waits for the next line that fits.
func (r *libraryRun) await(fits func(string) bool) {
	r.l.t.Helper()
	for line := range r.lines {
		if fits(line) {
			return
		}
	}
	<-r.ended
	r.l.t.Fatalf("%q ended before the line that was waited for: %v", r.cmd.Args, r.err)
}

// kill ends the process with SIGKILL and waits for its end.
func (r *libraryRun) kill() {
	r.l.t.Helper()
	if err := r.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.l.t.Error(err)
	}
	<-r.ended
}

// succeed waits for the good end and gives the output.
func (r *libraryRun) succeed() string {
	r.l.t.Helper()
	<-r.ended
	if r.err != nil {
		r.l.t.Fatalf("%q: %v", r.cmd.Args, r.err)
	}
	return r.text()
}

func libraryInterfaces(t *testing.T) []string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(all))
	for _, i := range all {
		names = append(names, i.Name)
	}
	return names
}

// libraryProcesses are the command lines that mention text, without this process.
func libraryProcesses(t *testing.T, text string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		pid := filepath.Base(filepath.Dir(file))
		if bytes.Contains(line, []byte(text)) && pid != strconv.Itoa(os.Getpid()) {
			found = append(found, pid+" "+string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return found
}

func libraryTail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// libraryDiff gives the lines that only one of two texts has.
func libraryDiff(before, after []byte) string {
	var out strings.Builder
	only := func(sign string, of, not []byte) {
		for line := range bytes.Lines(of) {
			if !bytes.Contains(not, line) {
				out.WriteString(sign + string(line))
			}
		}
	}
	only("-", before, after)
	only("+", after, before)
	return out.String()
}
