package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestDialFaults(t *testing.T) {
	dir := shortDir(t)
	for _, c := range []struct {
		url   string
		texts []string
	}{
		{"ssh://user@host", []string{"unknown kind of agent URL", `"ssh"`, "unix:///", "embedded:"}},
		{"https://user:hunter2@host:1", []string{"unknown kind of agent URL", `"https"`}},
		{"", []string{"unknown kind of agent URL"}},
		{"/run/metal.sock", []string{"unknown kind of agent URL"}},
		{"unix:relative", []string{"not the URL of a socket", "absolute path"}},
		{"unix://host/path", []string{"not the URL of a socket"}},
		{"unix:///" + strings.Repeat("a", 200), []string{"not the URL of a socket"}},
		{"embedded:///tmp/x", []string{"not the URL of an embedded agent"}},
		{"unix://" + dir + "/none", []string{"no agent answers", "there is no", "terraform-provider-metal agent --socket " + dir + "/none --state-dir"}},
		{"unix://" + abandonedSocket(t), []string{"nothing listens", "its process is gone", "terraform-provider-metal agent --socket"}},
	} {
		_, err := Dial(t.Context(), c.url, Options{})
		f := wantFault(t, err, fault.NeedsPerson, c.texts...)
		if f.Attribute != "agent" {
			t.Errorf("%q: attribute %q", c.url, f.Attribute)
		}
		if strings.Contains(f.Error()+f.Detail(), "hunter2") {
			t.Errorf("%q: the fault shows a password", c.url)
		}
	}
}

func TestDialSomethingElse(t *testing.T) {
	path := shortDir(t) + "/s"
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	other := &http.Server{Handler: http.NotFoundHandler()}
	ended := make(chan error, 1)
	go func() { ended <- other.Serve(listener) }()
	_, err = Dial(t.Context(), "unix://"+path, Options{})
	wantFault(t, err, fault.NeedsPerson, "cannot be understood", "404 page not found")
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Fatal(err)
	}
}

// counted is an opener that counts and refuses to open a directory twice.
type counted struct {
	mu     sync.Mutex
	open   map[string]*fakeEngine
	opened int
	fail   error
}

func (c *counted) opener(_ context.Context, dir, _ string, _ hclog.Logger) (Engines, io.Closer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return Engines{}, nil, c.fail
	}
	if c.open[dir] != nil {
		return Engines{}, nil, errors.New("the directory is locked")
	}
	c.opened++
	fake := newFake()
	c.open[dir] = fake
	return fake.engines(), closerFunc(func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, dir)
		return fake.Close()
	}), nil
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

func TestEmbeddedIsSharedPerDirectory(t *testing.T) {
	c := &counted{open: map[string]*fakeEngine{}}
	work := t.TempDir()
	t.Chdir(work)
	if err := os.Symlink(work, filepath.Join(work, "link")); err != nil {
		t.Fatal(err)
	}
	opts := Options{Open: c.opener}
	var clients []*Client
	for _, url := range []string{"embedded:", "embedded:.metal", "embedded:./link/../.metal", "embedded:link/.metal", "embedded:" + work + "/.metal"} {
		client, err := Dial(t.Context(), url, opts)
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		clients = append(clients, client)
	}
	other, err := Dial(t.Context(), "embedded:other", opts)
	if err != nil {
		t.Fatal(err)
	}
	if c.opened != 2 {
		t.Errorf("%d facilities were opened for two directories", c.opened)
	}
	for i, client := range clients {
		if len(c.open) != 2 {
			t.Fatalf("closed while %d clients use it", len(clients)-i)
		}
		if _, err := client.Hosts(t.Context()); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
		closeClient(t, client)
		closeClient(t, client)
		if _, err := client.Hosts(t.Context()); !errors.Is(err, errClosed) {
			t.Errorf("a closed client gives %v", err)
		}
	}
	closeClient(t, other)
	if len(c.open) != 0 {
		t.Errorf("still open: %v", c.open)
	}
}

func TestEmbeddedOpensAndClosesUnderLoad(t *testing.T) {
	c := &counted{open: map[string]*fakeEngine{}}
	dir := t.TempDir()
	var users sync.WaitGroup
	for range 20 {
		users.Go(func() {
			for range 10 {
				client, err := Dial(t.Context(), "embedded:"+dir, Options{Open: c.opener})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := client.Hosts(t.Context()); err != nil {
					t.Error(err)
				}
				closeClient(t, client)
			}
		})
	}
	users.Wait()
	if len(c.open) != 0 || len(embedded.agents) != 0 {
		t.Errorf("left open: %v, registered: %v", c.open, embedded.agents)
	}
}

func TestEmbeddedThatDoesNotOpen(t *testing.T) {
	c := &counted{open: map[string]*fakeEngine{}, fail: errors.New("the store is locked by another process")}
	url := "embedded:" + t.TempDir()
	_, err := Dial(t.Context(), url, Options{Open: c.opener})
	if f := wantFault(t, err, fault.NeedsPerson, "locked by another process"); f.Attribute != "agent" {
		t.Errorf("attribute %q", f.Attribute)
	}
	c.fail = nil
	client, err := Dial(t.Context(), url, Options{Open: c.opener})
	if err != nil {
		t.Fatalf("after the cause is gone: %v", err)
	}
	closeClient(t, client)
}
