package netboot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// httpConnections bounds the open connections: two for each of some hundred
	// hosts, and room.
	httpConnections = 2048
	httpHeaderBytes = 16 << 10
	httpHeaderTime  = 10 * time.Second
	httpIdle        = time.Minute
)

func (s *Server) bindHTTP() ([]func(), error) {
	s.http = &http.Server{
		Handler: paced(s.handler()), ReadHeaderTimeout: httpHeaderTime, IdleTimeout: httpIdle, MaxHeaderBytes: httpHeaderBytes,
		ErrorLog:    s.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		BaseContext: func(net.Listener) context.Context { return s.ctx },
	}
	slots := make(chan struct{}, httpConnections)
	s.http.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed || state == http.StateHijacked {
			<-slots
		}
	}
	s.closers = append(s.closers, s.http.Close)
	var serve []func()
	for _, n := range s.networks {
		at := netip.AddrPortFrom(n.Agent, uint16(s.config.HTTPPort))
		var config net.ListenConfig
		listener, err := config.Listen(s.ctx, "tcp4", at.String())
		if err != nil {
			return nil, portFault("tcp", at, "services.http_port", err)
		}
		// Serve closes it as well; a failed Start has only this.
		s.closers = append(s.closers, listener.Close)
		s.ports[n.Name] = listener.Addr().(*net.TCPAddr).Port
		serve = append(serve, func() {
			if err := s.http.Serve(&limited{Listener: listener, ctx: s.ctx, slots: slots}); !errors.Is(err, http.ErrServerClosed) {
				s.log.Error("HTTP ended", "network", n.Name, "error", err)
			}
		})
	}
	return serve, nil
}

// limited accepts a connection when there is a slot for it; ConnState gives the
// slot back. It does not wrap connections as netutil.LimitListener does, which
// would cost sendfile.
type limited struct {
	net.Listener
	ctx   context.Context
	slots chan struct{}
}

// Accept waits for a slot, then for a connection.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
	}
	return conn, err
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /boot/{token}/{file}", s.serveBoot)
	mux.HandleFunc("/boot/", http.NotFound)
	extra := s.config.Extra
	if extra == nil {
		extra = http.NotFoundHandler()
	}
	mux.Handle("/", extra)
	return mux
}

// serveBoot serves the files of one token.
func (s *Server) serveBoot(w http.ResponseWriter, r *http.Request) {
	token, name := r.PathValue("token"), r.PathValue("file")
	remote, _ := netip.ParseAddrPort(r.RemoteAddr) // the zero Addr, were it ever unknown
	client, ok := s.hosts.ByToken(token)
	if !ok || client.Boot == nil || client.Boot.Token != token {
		if s.seen.first("token " + remote.Addr().String()) {
			s.log.Info("HTTP boot with a token that is not valid (any more)", "token", veil(token), "remote", remote.Addr())
		}
		http.NotFound(w, r)
		return
	}
	content, err := s.content(client, name)
	if err != nil {
		s.observe(Observation{Stage: StageHTTP, MAC: client.MAC.String(), Client: client.Name, Network: client.Network, Remote: remote.Addr(), File: name, Done: true, Detail: err.Error()})
		s.log.Error("serving a boot file", "host", client.Name, "file", fmt.Sprintf("%.64q", name), "error", err)
		http.Error(w, "the boot file can't be served; the agent's log says why", http.StatusInternalServerError)
		return
	}
	if content == nil {
		http.NotFound(w, r)
		return
	}
	defer content.Close()
	o := Observation{Stage: StageHTTP, MAC: client.MAC.String(), Client: client.Name, Network: client.Network, Remote: remote.Addr(), File: name, Total: content.size,
		Detail: strings.TrimSpace(r.Method + " " + r.Header.Get("Range"))}
	s.observe(o)
	h := w.Header()
	h.Set("Content-Type", content.kind)
	h.Set("Cache-Control", "no-store")
	h.Set("ETag", content.etag(client.Boot))
	// The *os.File itself, where it is one, so that the kernel can send it.
	http.ServeContent(w, r, "", content.modified, content.ReadSeeker)
	if m, ok := w.(*meter); ok {
		o.Bytes = m.bytes
	}
	o.Done = true
	s.observe(o)
	s.log.Debug("HTTP boot", "host", client.Name, "remote", remote, "file", name, "request", o.Detail, "bytes", o.Bytes, "size", o.Total)
}

// content is one file to serve.
type content struct {
	io.ReadSeeker
	io.Closer
	name, kind string
	size       int64
	modified   time.Time
}

// etag differs from token to token, because the content does, and does not let
// the token or the command line be guessed.
func (c *content) etag(b *Boot) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d\x00%s\x00%s", c.name, c.size, c.modified.UnixNano(), b.Token, b.Cmdline))
	return fmt.Sprintf(`"%x"`, sum[:16])
}

// content gives the file of a name, or nil for one that is not served.
func (s *Server) content(client Client, name string) (*content, error) {
	switch name {
	case fileScript:
		text, err := script(client.Boot.Cmdline)
		if err != nil {
			return nil, err
		}
		return &content{ReadSeeker: strings.NewReader(text), Closer: io.NopCloser(nil), name: name, kind: "text/plain; charset=us-ascii", size: int64(len(text))}, nil
	case FileInstaller, FileKernel, FileInitramfs:
	default:
		return nil, nil
	}
	file, err := os.Open(filepath.Join(s.config.InstallerDir, name))
	if err != nil {
		return nil, fmt.Errorf("opening boot file: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading boot file: %w", err), file.Close())
	}
	c := &content{ReadSeeker: file, Closer: file, name: name, kind: "application/octet-stream", size: info.Size(), modified: info.ModTime()}
	if name == FileInstaller {
		c.kind = fileTypeEFI
		c.ReadSeeker, err = withCmdline(file, info.Size(), client.Boot.Cmdline)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("filling in the command line of %q: %w", file.Name(), err), file.Close())
		}
	}
	return c, nil
}
