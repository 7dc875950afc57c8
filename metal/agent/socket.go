package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// maxSocketPath is sockaddr_un's sun_path less its final zero (unix(7)).
const maxSocketPath = 107

// socketListener accepts connections of permitted users only. It holds the
// lock beside the socket as long as it is open.
type socketListener struct {
	*net.UnixListener
	path   string
	lock   *os.File
	logger hclog.Logger
	// permit decides on the user ID of a connecting process.
	permit func(uid uint32) bool
	close  sync.Once
}

// listenUnix takes the socket at path. Two agents that start at the same moment
// cannot both take over a stale socket: the lock file lets one at it.
func listenUnix(ctx context.Context, path string, logger hclog.Logger) (*socketListener, error) {
	if path == "" || len(path) > maxSocketPath {
		return nil, fault.Invalid("socket", "not a usable path for a socket", quote(path),
			fmt.Sprintf("a path of 1 to %d bytes", maxSocketPath))
	}
	lock, err := lockSocket(path)
	if err != nil {
		return nil, err
	}
	listener, err := takeSocket(ctx, path, logger)
	if err != nil {
		return nil, errors.Join(err, unlock(lock))
	}
	owner := uint32(os.Geteuid())
	return &socketListener{
		UnixListener: listener, path: path, lock: lock, logger: logger,
		permit: func(uid uint32) bool { return permitted(uid, owner) },
	}, nil
}

// permitted: the agent's own user and root.
func permitted(uid, owner uint32) bool { return uid == owner || uid == 0 }

func takeSocket(ctx context.Context, path string, logger hclog.Logger) (*net.UnixListener, error) {
	if err := removeStale(ctx, path, logger); err != nil {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening on socket %q: %w", path, err)
	}
	// Between bind and chmod the mode is the umask's; whoever connects in
	// between is checked by user ID when accepted.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("restricting socket %q: %w", path, err), listener.Close())
	}
	return listener, nil
}

// removeStale removes a socket that nobody listens on. Anything else at path is
// left alone and is a fault.
func removeStale(ctx context.Context, path string, logger hclog.Logger) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking at socket %q: %w", path, err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fault.Invalid("socket", "something that is not a socket has this path", fmt.Sprintf("%q is %s", path, info.Mode()), "no file, or a socket that nobody listens on")
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(liveFault(path), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("probing socket %q: %w", path, err)
	}
	logger.Info("removing the socket of a process that is gone", "socket", path)
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing stale socket %q: %w", path, err)
	}
	return nil
}

func liveFault(path string) *fault.Error {
	return &fault.Error{
		Class: fault.NeedsPerson, Subject: "socket " + quote(path), Attribute: "socket",
		Summary: "another process serves this socket", Seen: "it is in use", Expected: "a socket that nobody listens on",
		Advice: "use the agent that runs already, stop it, or choose another --socket",
	}
}

// lockSocket locks the file beside the socket; the lock dies with the process.
func lockSocket(path string) (*os.File, error) {
	name := path + ".lock"
	for {
		lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening lock %q of the socket: %w", name, err)
		}
		if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			closing := lock.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				return nil, errors.Join(liveFault(path), closing)
			}
			return nil, errors.Join(fmt.Errorf("locking %q: %w", name, err), closing)
		}
		// An agent that just ended may have removed the file between our open
		// and our lock; then the lock holds nothing.
		mine, mineErr := lock.Stat()
		there, thereErr := os.Stat(name)
		if mineErr == nil && thereErr == nil && os.SameFile(mine, there) {
			return lock, nil
		}
		if err := errors.Join(mineErr, lock.Close()); err != nil {
			return nil, fmt.Errorf("locking %q: %w", name, err)
		}
	}
}

// unlock removes the lock file while it is still held, then lets go.
func unlock(lock *os.File) error {
	return errors.Join(os.Remove(lock.Name()), lock.Close())
}

// Accept gives the next connection of a permitted user; others are closed.
func (l *socketListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := peerUser(conn)
		if err == nil && l.permit(uid) {
			return conn, nil
		}
		l.logger.Warn("refused a connection: neither the agent's user nor root", "socket", l.path, "uid", uid, "error", err)
		if err := conn.Close(); err != nil {
			l.logger.Debug("closing a refused connection", "error", err)
		}
	}
}

// Close stops listening, removes the socket and the lock. Only the first call
// has an effect.
func (l *socketListener) Close() error {
	var err error
	l.close.Do(func() {
		// Closing a listener removes its socket (net.UnixListener.SetUnlinkOnClose).
		err = errors.Join(l.UnixListener.Close(), unlock(l.lock))
	})
	return err
}
