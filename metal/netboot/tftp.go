package netboot

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pin/tftp/v3"
)

const (
	tftpPort = 69
	// tftpTransfers bounds how many run at once.
	tftpTransfers = 512
	// tftpWait is how long a block's acknowledgement is waited for before it is
	// sent again. The library's 5 s make 1 % of loss cost minutes.
	tftpWait    = 500 * time.Millisecond
	tftpRetries = 8
	// tftpPause bounds the growing pause before a block is sent again.
	tftpPause = time.Second
	// tftpFarewell is how long Close waits for transfers to notice.
	tftpFarewell = 2 * time.Second
)

// tftpFiles are all the files that are served.
var tftpFiles = []string{FileUEFI, FileBIOS}

func (s *Server) bindTFTP() ([]func(), error) {
	if !s.config.DHCP {
		return nil, nil
	}
	slots := make(chan struct{}, tftpTransfers)
	var serve []func()
	for i, n := range s.networks {
		at := netip.AddrPortFrom(n.Agent, tftpPort)
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return nil, portFault("udp", at, fmt.Sprintf("networks[%d].agent_address", i), err)
		}
		server := tftp.NewServer(func(name string, to io.ReaderFrom) error {
			return s.sendTFTP(slots, n, name, to)
		}, nil)
		server.SetTimeout(tftpWait)
		server.SetRetries(tftpRetries)
		server.SetBackoff(func(attempt int) time.Duration { return min(tftpPause, 50*time.Millisecond<<min(attempt, 10)) })
		s.closers = append(s.closers, func() error {
			// The library does not know its socket before Serve, which a failed
			// Start never calls.
			err := conn.Close()
			return errors.Join(err, shutdown(server))
		})
		serve = append(serve, func() {
			if err := server.Serve(conn); err != nil {
				s.log.Error("TFTP ended", "network", n.Name, "error", err)
			}
		})
	}
	return serve, nil
}

// shutdown waits for transfers in a bounded time; one that waits for a client
// which is gone ends by itself when its retries are used up.
func shutdown(server *tftp.Server) error {
	ended := make(chan struct{})
	go func() {
		server.Shutdown()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(tftpFarewell):
	}
	return nil
}

// sendTFTP serves one request. Its errors are sent to the client, so they don't
// tell about this machine.
func (s *Server) sendTFTP(slots chan struct{}, n Network, name string, to io.ReaderFrom) error {
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	default:
		return errors.New("too many transfers")
	}
	transfer, ok := to.(tftp.OutgoingTransfer)
	if !ok {
		return errors.New("not a transfer")
	}
	name = strings.TrimLeft(name, "/")
	if !slices.Contains(tftpFiles, name) {
		s.log.Debug("TFTP request for a file that is not served", "file", fmt.Sprintf("%.64q", name), "network", n.Name)
		return errors.New("no such file")
	}
	file, err := os.Open(filepath.Join(s.config.InstallerDir, name))
	if err != nil {
		s.log.Error("TFTP", "error", err)
		return errors.New("the file can't be read")
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		s.log.Error("TFTP", "error", err)
		return errors.New("the file can't be read")
	}
	transfer.SetSize(info.Size())

	remote := transfer.RemoteAddr()
	o := Observation{Stage: StageTFTP, Network: n.Name, Remote: remote.AddrPort().Addr().Unmap(), File: name, Total: info.Size()}
	if c, ok := s.seen.who(o.Remote); ok {
		o.Client, o.MAC = c.Name, c.MAC.String()
	}
	s.observe(o)
	o.Bytes, err = to.ReadFrom(&untilClosed{s: s, from: file})
	if o.Done = true; err != nil {
		// UEFI asks once for the size alone and breaks off: no error for a person.
		o.Detail = err.Error()
	}
	s.observe(o)
	s.log.Debug("TFTP", "host", o.Client, "remote", o.Remote, "file", name, "bytes", o.Bytes, "error", err)
	return err
}

// untilClosed reads from a file for as long as the server is open.
type untilClosed struct {
	s    *Server
	from io.Reader
}

func (u *untilClosed) Read(p []byte) (int, error) {
	if err := u.s.ctx.Err(); err != nil {
		return 0, errors.New("the server is closing")
	}
	return u.from.Read(p)
}
