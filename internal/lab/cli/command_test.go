package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanometal/terraform-provider-metal/internal/lab"
)

// parsed gives the flags of "up" after a command line, without running it.
func parsed(t *testing.T, args ...string) (*cobra.Command, *which, *upFlags) {
	t.Helper()
	w, f := &which{name: "demo"}, &upFlags{}
	cmd := newUp(w, f)
	cmd.Flags().StringVar(&w.name, "name", "demo", "")
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return cmd, w, f
}

func TestSpecFromFlags(t *testing.T) {
	cmd, w, f := parsed(t, "--name", "rack", "--machines", "2", "--memory", "3072", "--cpus", "4", "--disk", "10G,5G", "--nics", "2",
		"--firmware", "bios", "--forward", "127.0.0.1:16443=172.30.0.100:6443", "--bmc-user", "root", "--bmc-quirk", "idrac", "--accelerator", "tcg")
	got, err := f.spec(cmd, w.name)
	if err != nil {
		t.Fatal(err)
	}
	m := lab.MachineSpec{Firmware: "bios", CPUs: 4, MemoryMB: 3072, Disks: []string{"10G", "5G"}, NICs: 2, BMCQuirks: []string{"idrac"}}
	want := lab.Spec{
		Name: "rack", Subnet: "172.30.0.0/24", BMCUser: "root", Accelerator: "tcg", Machines: []lab.MachineSpec{m, m},
		Forwards: []lab.ForwardSpec{{Listen: "127.0.0.1:16443", Target: "172.30.0.100:6443"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if err := got.Complete(); err != nil {
		t.Error(err)
	}
}

func TestSpecFromFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lab.yaml")
	if err := os.WriteFile(path, []byte("name: rack\nmachines: [{name: a}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, w, f := parsed(t, "--machines", path)
	if got, err := f.spec(cmd, w.name); err != nil || got.Name != "rack" || len(got.Machines) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	cmd, w, f = parsed(t, "--machines", path, "--name", "other")
	if got, err := f.spec(cmd, w.name); err != nil || got.Name != "other" {
		t.Errorf("%+v, %v", got, err)
	}
	cmd, w, f = parsed(t, "--machines", path+".none")
	if _, err := f.spec(cmd, w.name); err == nil {
		t.Error("a file that is not there was read")
	}
}

func TestPasswordSources(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	for content, want := range map[string]string{"secret\n": "secret", "two words": "two words", "\n": ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := (&upFlags{passwordFile: path}).password()
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q gives %q, %v", content, got, err)
		}
	}
	t.Setenv(passwordVariable, "from the environment")
	if got, err := (&upFlags{}).password(); err != nil || got != "from the environment" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDaemonArgs(t *testing.T) {
	root := &cobra.Command{Use: "terraform-provider-metal"}
	tree := Command("test")
	root.AddCommand(tree)
	up, _, err := root.Find([]string{"lab", "up"})
	if err != nil {
		t.Fatal(err)
	}
	args, err := daemonArgs(up)
	if err != nil || !slices.Equal(args[1:], []string{"lab", "daemon"}) {
		t.Errorf("%q, %v", args, err)
	}
	if found, _, err := root.Find(args[1:]); err != nil || found.Name() != daemonCommand || !found.Hidden {
		t.Errorf("the daemon's command is %v, %v", found, err)
	}
}

func TestCommandsWithoutALab(t *testing.T) {
	for _, args := range [][]string{{"status"}, {"console", "server-1"}, {"dump"}, {"exec", "--", "true"}} {
		tree := Command("test")
		tree.SetArgs(append([]string{"--name", "no-such-lab", "--dir", t.TempDir()}, args...))
		var out bytes.Buffer
		tree.SetOut(&out)
		tree.SetErr(&out)
		if err := tree.Execute(); err == nil || !strings.Contains(err.Error(), "no-such-lab") {
			t.Errorf("%q: %v", args, err)
		}
		if strings.Contains(out.String(), "Usage:") {
			t.Errorf("%q explains its flags: %s", args, out.String())
		}
	}
	tree := Command("test")
	var out bytes.Buffer
	tree.SetOut(&out)
	tree.SetArgs([]string{"down", "--name", "no-such-lab", "--dir", filepath.Join(t.TempDir(), "x")})
	if err := tree.Execute(); err != nil || !strings.Contains(out.String(), "nothing to remove") {
		t.Errorf("down says %q, %v", out.String(), err)
	}
}

// lines hands over what is written, piece by piece.
type lines struct {
	mu   sync.Mutex
	text string
	more chan struct{}
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	l.text += string(p)
	l.mu.Unlock()
	l.more <- struct{}{}
	return len(p), nil
}

func TestFollowConsole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out := &lines{more: make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- printConsole(ctx, out, path, true) }()
	<-out.more
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("two\n"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	<-out.more
	cancel()
	if err := <-done; err != nil || out.text != "one\ntwo\n" {
		t.Errorf("printed %q, %v", out.text, err)
	}
}
