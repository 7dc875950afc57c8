package agent

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestSocketIsItsOwners(t *testing.T) {
	h := onSocket(t, newFake())
	path := strings.TrimPrefix(h.URL(), "unix://")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %s", info.Mode())
	}
	h.stop()
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 0 {
		t.Errorf("after the end there are %v, %v", left, err)
	}
}

// A connection without a request does not hold up the end.
func TestUnusedConnectionsDoNotDelayTheEnd(t *testing.T) {
	h := onSocket(t, newFake())
	for range 10 {
		conn, err := net.Dial("unix", strings.TrimPrefix(h.URL(), "unix://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	// Connections are accepted in order: the spare ones are in when this is answered.
	if _, err := h.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h.stop()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the end took %s", took)
	}
}

func TestPermittedUsers(t *testing.T) {
	for _, c := range []struct {
		uid, owner uint32
		want       bool
	}{{0, 0, true}, {0, 1000, true}, {1000, 1000, true}, {1001, 1000, false}, {1000, 0, false}, {^uint32(0), 1000, false}} {
		if got := permitted(c.uid, c.owner); got != c.want {
			t.Errorf("user %d at an agent of %d: %t", c.uid, c.owner, got)
		}
	}
}

// The kernel tells the user of a connection; one that is not permitted is
// closed before a byte is read, and others are still served.
func TestOtherUsersAreRefused(t *testing.T) {
	path := shortDir(t) + "/s"
	listener, err := listenUnix(t.Context(), path, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	var asked []uint32
	listener.permit = func(uid uint32) bool {
		asked = append(asked, uid)
		return len(asked) > 1
	}
	accepted := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = conn.Write([]byte("welcome"))
			conn.Close()
		}
		accepted <- err
	}()
	for _, want := range []string{"", "welcome"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 16)
		n, _ := conn.Read(buffer)
		if got := string(buffer[:n]); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
		conn.Close()
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if own := uint32(os.Geteuid()); len(asked) != 2 || asked[0] != own || asked[1] != own {
		t.Errorf("asked about %v, this is user %d", asked, own)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
}

// abandonedSocket is what a killed process leaves.
func abandonedSocket(t *testing.T) string {
	t.Helper()
	path := shortDir(t) + "/s"
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := abandonedSocket(t)
	serve(t, path, newFake(), nil)
	client, err := Dial(t.Context(), "unix://"+path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	closeClient(t, client)
}

func TestLiveSocketIsRefused(t *testing.T) {
	h := onSocket(t, newFake())
	path := strings.TrimPrefix(h.URL(), "unix://")
	err := (&Server{Socket: path, Handler: NewHandler(newFake().engines(), nil)}).Serve(t.Context())
	wantFault(t, err, fault.NeedsPerson, "another process serves this socket", path, "--socket")
	if _, err := h.Version(t.Context()); err != nil {
		t.Errorf("the first agent suffered: %v", err)
	}
	// A program that knows nothing of our lock is found by connecting.
	foreign := shortDir(t) + "/s"
	listener, err := net.Listen("unix", foreign)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	err = (&Server{Socket: foreign, Handler: NewHandler(newFake().engines(), nil)}).Serve(t.Context())
	wantFault(t, err, fault.NeedsPerson, "another process serves this socket")
}

func TestWhatIsNoSocketIsLeftAlone(t *testing.T) {
	path := shortDir(t) + "/s"
	if err := os.WriteFile(path, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := (&Server{Socket: path, Handler: NewHandler(newFake().engines(), nil)}).Serve(t.Context())
	wantFault(t, err, fault.NeedsPerson, "not a socket")
	if data, err := os.ReadFile(path); err != nil || string(data) != "precious" {
		t.Errorf("the file is now %q, %v", data, err)
	}
	for _, path := range []string{"", "/" + strings.Repeat("a", maxSocketPath)} {
		err := (&Server{Socket: path, Handler: NewHandler(newFake().engines(), nil)}).Serve(t.Context())
		wantFault(t, err, fault.NeedsPerson, "socket")
	}
}

// Many agents start at the same moment on one stale socket: one gets it.
func TestOneAgentWinsAStaleSocket(t *testing.T) {
	path := abandonedSocket(t)
	var won atomic.Pointer[socketListener]
	var wins atomic.Int32
	var starting sync.WaitGroup
	failed := make(chan error, 50)
	for range 50 {
		starting.Go(func() {
			listener, err := listenUnix(context.Background(), path, hclog.NewNullLogger())
			if err != nil {
				failed <- err
				return
			}
			wins.Add(1)
			won.Store(listener)
		})
	}
	starting.Wait()
	close(failed)
	for err := range failed {
		wantFault(t, err, fault.NeedsPerson, "another process serves this socket")
	}
	if wins.Load() != 1 {
		t.Fatalf("%d agents got the socket", wins.Load())
	}
	if err := won.Load().Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".lock"} {
		if _, err := os.Lstat(name); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, fmt.Sprint(err, fs.ErrNotExist))
		}
	}
}
