package netboot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Server serves DHCP, TFTP and HTTP until it is closed.
type Server struct {
	config   Config
	networks []Network
	hosts    Directory
	log      hclog.Logger
	http     *http.Server
	// ports are the HTTP ports by network name.
	ports map[string]int
	seen  *seen

	ctx     context.Context
	cancel  context.CancelFunc
	closers []func() error
	once    sync.Once
	closed  error
	running sync.WaitGroup
}

// Start binds all ports, or none: a port that is taken, an address that is on no
// interface or a missing file is a *fault.Error that says which, and who holds
// the port. When ctx is done the server closes itself.
func Start(ctx context.Context, config Config, hosts Directory) (*Server, error) {
	networks, err := checkNetworks(config.Networks)
	if err != nil {
		return nil, err
	}
	if err := checkFiles(config.InstallerDir, RequiredFiles(config.DHCP)); err != nil {
		return nil, err
	}
	s := newServer(ctx, config, networks, hosts)
	var start []func()
	for _, bind := range []func() ([]func(), error){s.bindHTTP, s.bindDHCP, s.bindTFTP, s.bindRouters} {
		more, err := bind()
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		start = append(start, more...)
	}
	for _, serve := range start {
		s.running.Go(serve)
	}
	context.AfterFunc(s.ctx, func() {
		if err := s.Close(); err != nil && ctx.Err() != nil {
			s.log.Warn("closing the boot services", "error", err)
		}
	})
	return s, nil
}

func newServer(ctx context.Context, config Config, networks []Network, hosts Directory) *Server {
	s := &Server{config: config, networks: networks, hosts: hosts, log: config.Logger, ports: map[string]int{}, seen: newSeen()}
	if s.log == nil {
		s.log = hclog.NewNullLogger()
	}
	s.ctx, s.cancel = context.WithCancel(ctx)
	return s
}

// Close frees the ports and waits for what was being served to break off: at
// most a few seconds.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.cancel()
		var errs []error
		for _, c := range s.closers {
			if err := c(); err != nil && !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
		s.closed = errors.Join(errs...)
	})
	s.running.Wait()
	return s.closed
}

// BootURL is the one-time URL of the unified kernel image for the client of
// token, for firmware that is told its URL by the BMC. It is "" for a network
// that is not served.
func (s *Server) BootURL(network, token string) string {
	for _, n := range s.networks {
		if n.Name == network {
			return s.files(n).BootURL(n, token, FileInstaller)
		}
	}
	return ""
}

// BaseURL is the root of the HTTP service on a network, without final slash;
// "" for a network that is not served.
func (s *Server) BaseURL(network string) string {
	for _, n := range s.networks {
		if n.Name == network {
			return fmt.Sprintf("http://%s", netip.AddrPortFrom(n.Agent, uint16(s.ports[n.Name])))
		}
	}
	return ""
}

func (s *Server) files(n Network) Files { return Files{HTTPPort: s.ports[n.Name]} }

// observe completes o and hands it on.
func (s *Server) observe(o Observation) {
	if s.config.Observe == nil {
		return
	}
	o.Time = time.Now()
	s.config.Observe(o)
}

func checkFiles(dir string, names []string) error {
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
			continue
		}
		seen := fmt.Sprintf("%q is not a regular file with content", filepath.Join(dir, name))
		if err != nil {
			seen = err.Error()
		}
		return fault.Invalid("services.installer", "the installer's files are not complete", seen, fmt.Sprintf("a folder with %q", names))
	}
	return nil
}
