package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nanometal/terraform-provider-metal/internal/lab/network"
	"github.com/nanometal/terraform-provider-metal/internal/lab/statefile"
)

// place is where a lab keeps its things: a directory that outlives it, and
// short-lived entries below the run directory, by which it is found by name.
type place struct {
	name string
	dir  string
	run  string
}

// record is what Up writes down for the daemon and for everybody who looks.
type record struct {
	Spec Spec `json:"spec"`
	// RunDir is the caller's run directory, which a daemon in a user namespace
	// could not find out.
	RunDir string `json:"run_dir"`
	// Rootless says that the network namespace has no name; it is then known by
	// its inode only.
	Rootless       bool   `json:"rootless,omitempty"`
	NamespaceInode uint64 `json:"namespace_inode,omitempty"`
	// BMCForwards are the loopback addresses of the BMCs, by machine.
	BMCForwards map[string]string `json:"bmc_forwards"`
	// DaemonPID is the last daemon's.
	DaemonPID int `json:"daemon_pid,omitempty"`
	// Started is when that daemon was started.
	Started time.Time `json:"started"`
}

// runDir holds a link per lab and its socket: its path is short, because a
// socket's may have only 108 bytes.
func runDir() string {
	if os.Geteuid() == 0 {
		return "/run/metal-lab"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "metal-lab")
	}
	return filepath.Join(os.TempDir(), "metal-lab-"+strconv.Itoa(os.Geteuid()))
}

// defaultDir is the directory of a lab that was not given one.
func defaultDir(name string) (string, error) {
	if os.Geteuid() == 0 {
		return filepath.Join("/var/lib/metal-lab", name), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding a directory for lab %q: %w", name, err)
	}
	return filepath.Join(home, ".local/state/metal-lab", name), nil
}

// newPlace is where a lab that is about to start belongs.
func newPlace(name, dir string) (place, error) {
	var err error
	if dir == "" {
		if dir, err = defaultDir(name); err != nil {
			return place{}, err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return place{}, fmt.Errorf("finding directory of lab %q: %w", name, err)
	}
	return place{name: name, dir: dir, run: runDir()}, nil
}

// findPlace is where the lab of that name is or was last: the link says, else
// dir, else the default.
func findPlace(name, dir string) (place, error) {
	target, err := os.Readlink(filepath.Join(runDir(), name))
	if err == nil && dir == "" {
		return place{name: name, dir: target, run: runDir()}, nil
	}
	return newPlace(name, dir)
}

func (p place) link() string         { return filepath.Join(p.run, p.name) }
func (p place) socket() string       { return filepath.Join(p.run, p.name+".sock") }
func (p place) lockFile() string     { return filepath.Join(p.dir, "lock") }
func (p place) recordFile() string   { return filepath.Join(p.dir, "lab.json") }
func (p place) logFile() string      { return filepath.Join(p.dir, "lab.log") }
func (p place) passwordFile() string { return filepath.Join(p.dir, "bmc-password") }
func (p place) namespace() string    { return "metal-lab-" + p.name }

// machineDir is the directory of one machine.
func (p place) machineDir(name string) string { return filepath.Join(p.dir, "machines", name) }

func (p place) readRecord() (record, error) {
	var r record
	return r, statefile.ReadJSON(p.recordFile(), &r)
}

// password reads the password of the lab's BMCs.
func (p place) password() (string, error) {
	raw, err := os.ReadFile(p.passwordFile())
	if err != nil {
		return "", fmt.Errorf("reading BMC password: %w", err)
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" {
		return "", fmt.Errorf("reading BMC password from %q: the file is empty", p.passwordFile())
	}
	return password, nil
}

// errLocked says that a live daemon holds the lab.
var errLocked = errors.New("the lab is running")

// lock takes the lab's lock. It is held as long as the file or a copy of its
// descriptor in another process is open.
func (p place) lock() (*os.File, error) {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making directory of lab %q: %w", p.name, err)
	}
	file, err := os.OpenFile(p.lockFile(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking lab %q: %w", p.name, err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking lab %q in %q: %w", p.name, p.dir, err), file.Close())
	}
	return file, nil
}

const (
	// dyingTime is how long a process that was just killed may still look alive.
	dyingTime = 500 * time.Millisecond
	// releaseTimeout bounds how long the lock of a dead one takes to go.
	releaseTimeout = 5 * time.Second
)

// running says whether a live daemon holds the lab. The lock of one that was
// just killed is waited for: it goes a moment after the process is unreachable.
func (p place) running() (bool, error) {
	if _, err := os.Stat(p.lockFile()); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); ; <-tick.C {
		lock, err := p.lock()
		if err == nil {
			return false, lock.Close()
		}
		if !errors.Is(err, errLocked) {
			return false, err
		}
		alive, err := p.daemonAlive()
		held := time.Since(begin)
		if err != nil || alive && held > dyingTime || held > releaseTimeout {
			return true, err
		}
	}
}

// daemonAlive says whether the process that was written down is the daemon:
// its ID alone may belong to somebody else by now.
func (p place) daemonAlive() (bool, error) {
	r, err := p.readRecord()
	if err != nil {
		return false, err
	}
	found, err := network.Find(p.daemon(r))
	return len(found) > 0, err
}

func (p place) daemon(r record) network.Match {
	return network.Only(r.DaemonPID, network.WithArgument("", p.dir))
}
