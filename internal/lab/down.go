package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab/machine"
	"github.com/nanometal/terraform-provider-metal/internal/lab/network"
)

const (
	// daemonGrace is how long the daemon may take to end by itself.
	daemonGrace = 20 * time.Second
	// processGrace is the same for processes that Exec started.
	processGrace = 3 * time.Second
	// downTimeout bounds the whole.
	downTimeout = time.Minute
)

// Removed is what Down found and removed.
type Removed struct {
	// Daemon says that a live daemon was ended.
	Daemon bool `json:"daemon"`
	// Processes are those that were still there after the daemon's end.
	Processes []network.Process `json:"processes,omitempty"`
	// Namespace says that a network namespace was removed, with its interfaces.
	Namespace bool `json:"namespace"`
	// Files are sockets and links, and with purge the directory.
	Files []string `json:"files,omitempty"`
}

// Nothing says that there was nothing to remove.
func (r Removed) Nothing() bool {
	return !r.Daemon && len(r.Processes) == 0 && !r.Namespace && len(r.Files) == 0
}

// Down ends a lab and removes all of it, however its daemon ended. The
// directory with disks and settings stays, unless purge is set.
func Down(ctx context.Context, name, dir string, purge bool) (Removed, error) {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	var removed Removed
	p, err := findPlace(name, dir)
	if err != nil {
		return removed, err
	}
	r, err := p.readRecord()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return removed, err
	}
	if removed.Daemon, err = endDaemon(ctx, p, r); err != nil {
		return removed, err
	}
	if err := endProcesses(ctx, p, r, &removed); err != nil {
		return removed, err
	}
	if removed.Namespace, err = network.DeleteNamespace(p.namespace()); err != nil {
		return removed, err
	}
	if err := removeFiles(p, purge, &removed); err != nil {
		return removed, err
	}
	return removed, verify(p, r)
}

// endDaemon ends the daemon, if there is a live one.
func endDaemon(ctx context.Context, p place, r record) (bool, error) {
	ended, err := network.End(ctx, p.daemon(r), daemonGrace)
	if err != nil {
		return len(ended) > 0, fmt.Errorf("ending the daemon of lab %q: %w", p.name, err)
	}
	running, err := p.running()
	if err == nil && running {
		err = fmt.Errorf("ending the daemon of lab %q: a process other than %d holds %q", p.name, r.DaemonPID, p.lockFile())
	}
	return len(ended) > 0, err
}

// matches finds the lab's processes: those in its network namespace, and QEMU
// with the lab's directory on its command line.
func matches(p place, r record) (network.Match, error) {
	emulator := network.WithArgument(machine.Emulator, p.machineDir("")+"/")
	if r.Rootless {
		return network.Any(emulator, network.InNamespaceInode(r.NamespaceInode)), nil
	}
	inside, err := network.InNamespace(network.NamespacePath(p.namespace()))
	if errors.Is(err, os.ErrNotExist) {
		return emulator, nil
	}
	return network.Any(emulator, inside), err
}

func endProcesses(ctx context.Context, p place, r record, removed *Removed) error {
	match, err := matches(p, r)
	if err != nil {
		return err
	}
	removed.Processes, err = network.End(ctx, match, processGrace)
	return err
}

func removeFiles(p place, purge bool, removed *Removed) error {
	paths := []string{p.socket()}
	if target, err := os.Readlink(p.link()); err == nil && target == p.dir {
		paths = append(paths, p.link())
	}
	for _, path := range paths {
		err := os.Remove(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("removing %q: %w", path, err)
		}
		removed.Files = append(removed.Files, path)
	}
	if !purge {
		return nil
	}
	if _, err := os.Stat(p.recordFile()); err != nil {
		return nil // not a lab's directory: nothing of it is touched
	}
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("removing %q: %w", p.dir, err)
	}
	removed.Files = append(removed.Files, p.dir)
	return nil
}

// verify looks whether anything is left.
func verify(p place, r record) error {
	match, err := matches(p, r)
	if err != nil {
		return err
	}
	left, err := network.Find(match)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("verifying that lab %q is gone: %v is left", p.name, left[0])
	}
	return nil
}
