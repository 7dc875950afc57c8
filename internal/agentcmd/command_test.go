package agentcmd

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// execute runs the command line in this process.
func execute(ctx context.Context, out, stderr io.Writer, args ...string) error {
	cmd := Command("test")
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(stderr)
	return cmd.ExecuteContext(ctx)
}

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "s")
}

// startAgent runs the agent until the test ends or stop is called; its log goes
// to the returned buffer, which may be read after stop.
func startAgent(t *testing.T, args ...string) (stop func(), log *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	ended, listens, drained := make(chan error, 1), make(chan struct{}), make(chan struct{})
	log = &bytes.Buffer{}
	go func() {
		err := execute(ctx, io.Discard, writer, args...)
		writer.Close() // a pipe's Close gives no error
		ended <- err
	}()
	go func() {
		defer close(drained)
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			log.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "agent listens") {
				close(listens)
			}
		}
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent ended with %v", err)
		}
		<-drained
	}
	select {
	case <-listens:
	case err := <-ended:
		t.Fatalf("the agent did not start: %v", err)
	}
	t.Cleanup(stop)
	return stop, log
}

func TestAgentServesAndShows(t *testing.T) {
	socket, state := socketPath(t), t.TempDir()
	stop, log := startAgent(t, "serve", "--socket", socket, "--state-dir", state, "--log-level", "debug")
	client, err := agent.Dial(t.Context(), "unix://"+socket, agent.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	recallHost(t, client, "n1")
	released, err := client.ReleaseHost(t.Context(), "n1", true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AwaitHost(t.Context(), "n1", released.Revision, func(host.Status) bool { return false }); err == nil {
		t.Fatal("an abandoned host is still there")
	}
	recallHost(t, client, "n2")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := execute(t.Context(), &out, io.Discard, "events", "--socket", socket); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "n1 ") || !strings.Contains(out.String(), "released") {
		t.Errorf("events:\n%s", out.String())
	}
	out.Reset()
	if err := execute(t.Context(), &out, io.Discard, "table", "--socket", socket); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "host") || !strings.Contains(out.String(), "n2") {
		t.Errorf("table:\n%s", out.String())
	}
	follow(t, socket)
	stop()
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	if !strings.Contains(log.String(), "agent shuts down") {
		t.Errorf("log:\n%s", log.String())
	}
}

// follow reads the first followed line, then interrupts.
func follow(t *testing.T, socket string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := execute(ctx, writer, io.Discard, "events", "--follow", "--socket", socket)
		writer.Close() // a pipe's Close gives no error
		ended <- err
	}()
	lines := bufio.NewReader(reader)
	line, err := lines.ReadString('\n')
	if err != nil || !strings.Contains(line, "n1 ") {
		t.Errorf("followed line %q, %v", line, err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, lines); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("an interrupted follow ended with %v", err)
	}
}

func recallHost(t *testing.T, client *agent.Client, name string) {
	t.Helper()
	_, err := client.RecallFacility(t.Context(), facility.Spec{
		Name: "lab",
		Networks: []facility.NetworkSpec{{
			Name: "boot", CIDR: "192.0.2.0/24", Pool: []string{"192.0.2.10-192.0.2.20"}, AgentAddress: "192.0.2.1",
		}},
		Services: facility.ServicesSpec{Installer: "/nonexistent"},
	})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing listens on port 1: the BMC refuses at once.
	spec := host.Spec{Name: name, BMC: host.BMCSpec{URL: "https://127.0.0.1:1", Credentials: "lab"}, BootMAC: "52:54:00:00:00:01"}
	if _, err := client.RecallHost(t.Context(), spec, nil); err != nil {
		t.Fatal(err)
	}
}

func TestCommandErrors(t *testing.T) {
	socket := socketPath(t)
	for _, c := range []struct {
		args  []string
		texts []string
	}{
		{nil, []string{"socket", "state-dir"}},
		{[]string{"serve", "--socket", socket}, []string{"state-dir"}},
		{[]string{"events"}, []string{"socket"}},
		{[]string{"table", "--socket", socket}, []string{"no agent answers", "Do next:", "agent --socket " + socket}},
		{[]string{"--socket", socket, "--state-dir", t.TempDir(), "--log-level", "chatty"}, []string{"unknown log level", "chatty"}},
		{[]string{"--socket", socket, "--state-dir", t.TempDir(), "--credentials-dir", "/nonexistent"}, []string{"/nonexistent"}},
		{[]string{"--socket", socket, "--state-dir", t.TempDir(), "more"}, []string{"more"}},
	} {
		err := execute(t.Context(), io.Discard, io.Discard, c.args...)
		if err == nil {
			t.Errorf("%q: no error", c.args)
			continue
		}
		for _, text := range c.texts {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%q: error has no %q:\n%v", c.args, text, err)
			}
		}
	}
}
