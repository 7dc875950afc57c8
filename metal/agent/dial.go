package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// DefaultDir is the state directory of "embedded:" without one.
const DefaultDir = ".metal"

// Options of Dial. The zero value is usable.
type Options struct {
	// Version is the caller's; an embedded agent reports it as its own.
	Version string
	// Logger gets no secrets. Default: none.
	Logger hclog.Logger
	// Patience is how long waits and event streams bridge an agent that does
	// not answer. Default 30 s.
	Patience time.Duration
	// Open opens the engines of an embedded agent. Default: facility.Open.
	Open Opener
}

// Opener opens the engines that keep their state in dir; closing stops them.
type Opener func(ctx context.Context, dir string, version string, logger hclog.Logger) (Engines, io.Closer, error)

func (o Options) logger() hclog.Logger {
	if o.Logger == nil {
		return hclog.NewNullLogger()
	}
	return o.Logger
}

func (o Options) patience() time.Duration {
	if o.Patience <= 0 {
		return 30 * time.Second
	}
	return o.Patience
}

// Dial connects to the agent that a URL names, and makes sure that it answers:
//
//	unix:///path     the agent that listens on this socket
//	embedded:DIR     an agent inside this process, with its state in DIR, which
//	                 is relative to the working directory; "embedded:" is
//	                 "embedded:.metal". All clients of a directory share one.
//
// Errors are *fault.Error with attribute "agent", unless ctx ended.
func Dial(ctx context.Context, url string, opts Options) (*Client, error) {
	scheme, rest, found := strings.Cut(url, ":")
	switch {
	case found && scheme == "unix":
		return dialUnix(ctx, url, rest, opts)
	case found && scheme == "embedded":
		return dialEmbedded(ctx, url, rest, opts)
	}
	// A URL of another kind could carry a password (https://user:secret@...).
	return nil, fault.Invalid("agent", "unknown kind of agent URL", clip(scheme, 40)+" in front of the colon",
		`"unix:///path/of/a/socket" or "embedded:directory"`)
}

func dialUnix(ctx context.Context, url, rest string, opts Options) (*Client, error) {
	path := strings.TrimPrefix(rest, "//")
	if !strings.HasPrefix(rest, "///") || len(path) > maxSocketPath {
		return nil, fault.Invalid("agent", "not the URL of a socket", clip(url, 200),
			fmt.Sprintf("unix:// and an absolute path of at most %d bytes, such as unix:///run/metal.sock", maxSocketPath))
	}
	client := newClient(url, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}, opts)
	if err := client.greet(ctx, opts.Version); err != nil {
		return nil, errors.Join(unixFault(url, path, err), client.Close())
	}
	return client, nil
}

// greet makes sure that the other side is an agent of this API.
func (c *Client) greet(ctx context.Context, version string) error {
	theirs, err := ask[Version](ctx, c, request{what: "connecting", method: "GET", path: "/v1/version", time: 10 * time.Second})
	if err != nil {
		return err
	}
	if theirs.API != APIVersion {
		return c.strange("connecting", "API version "+clip(theirs.API, 40))
	}
	if version != "" && theirs.Version != version {
		c.logger.Warn("agent and client are of different versions", "agent", theirs.Version, "client", version)
	}
	return nil
}

// unixFault says why a socket cannot be used and what to do.
func unixFault(url, path string, err error) error {
	advice := fmt.Sprintf("start it: terraform-provider-metal agent --socket %s --state-dir DIRECTORY", path)
	seen := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		seen = fmt.Sprintf("there is no %q", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		seen = fmt.Sprintf("nothing listens on %q: its process is gone", path)
	case errors.Is(err, fs.ErrPermission):
		seen = fmt.Sprintf("this user may not use %q", path)
		advice = "run as root or as the user that the agent runs as"
	case isLost(err):
		seen = errors.Unwrap(err).Error()
		advice = "make sure that an agent listens there and that it runs as root or as this user; otherwise " + advice
	default:
		return err
	}
	return &fault.Error{
		Class: fault.NeedsPerson, Subject: "agent " + quote(url), Attribute: "agent",
		Summary: "no agent answers", Seen: seen, Expected: "an agent that listens on the socket", Advice: advice, Err: err,
	}
}

// directory makes the path of an embedded agent's state absolute, so that two
// spellings of one directory share one agent.
func directory(rest string) (string, error) {
	if rest == "" {
		rest = DefaultDir
	}
	if strings.HasPrefix(rest, "//") {
		return "", fault.Invalid("agent", "not the URL of an embedded agent", clip("embedded:"+rest, 200),
			`"embedded:" and a directory without "//" in front, such as embedded:.metal`)
	}
	dir, err := filepath.Abs(rest)
	if err != nil {
		return "", fmt.Errorf("resolving state directory %q: %w", rest, err)
	}
	// It has to exist before links in its path can be resolved.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fault.Invalid("agent", "the state directory cannot be made", err.Error(), "a directory that this user may write")
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", fmt.Errorf("resolving state directory %q: %w", dir, err)
	}
	return resolved, nil
}
