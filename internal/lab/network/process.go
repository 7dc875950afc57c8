package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a running process.
type Process struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

func (p Process) String() string { return fmt.Sprintf("process %d (%s)", p.PID, p.Command) }

// Match selects a process by its directory in /proc.
type Match func(proc string) bool

// InNamespace matches the processes of a network namespace, given by any file
// that refers to it.
func InNamespace(path string) (Match, error) {
	var want unix.Stat_t
	if err := unix.Stat(path, &want); err != nil {
		return nil, fmt.Errorf("looking at namespace %q: %w", path, err)
	}
	return func(proc string) bool {
		var got unix.Stat_t
		err := unix.Stat(filepath.Join(proc, "ns/net"), &got)
		return err == nil && got.Ino == want.Ino && got.Dev == want.Dev
	}, nil
}

// WithArgument matches the processes of a program whose command line has the
// text in it.
func WithArgument(program, text string) Match {
	return func(proc string) bool {
		line, err := os.ReadFile(filepath.Join(proc, "cmdline"))
		if err != nil {
			return false
		}
		first, _, _ := bytes.Cut(line, []byte{0})
		return strings.HasPrefix(filepath.Base(string(first)), program) && bytes.Contains(line, []byte(text))
	}
}

// Find lists the processes that match, without the calling one.
func Find(match Match) ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var found []Process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		proc := filepath.Join("/proc", entry.Name())
		if match(proc) && !ended(proc) {
			found = append(found, Process{PID: pid, Command: commandName(proc)})
		}
	}
	return found, nil
}

// ended says whether a process is a zombie, which only its parent can remove.
func ended(proc string) bool {
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return true
	}
	rest := stat[bytes.LastIndexByte(stat, ')')+1:]
	return bytes.HasPrefix(bytes.TrimSpace(rest), []byte("Z"))
}

func commandName(proc string) string {
	name, err := os.ReadFile(filepath.Join(proc, "comm"))
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(name))
}

// pollInterval is how often End looks whether processes are gone: they are not
// our children, so nothing tells us.
const pollInterval = 20 * time.Millisecond

// End asks all processes that match to end, kills those that are still there
// after the grace, and returns when none is left, with those it found.
func End(ctx context.Context, match Match, grace time.Duration) ([]Process, error) {
	var ended []Process
	seen := map[int]bool{}
	begin := time.Now()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		found, err := Find(match)
		if err != nil || len(found) == 0 {
			return ended, err
		}
		for _, p := range found {
			signal := unix.SIGTERM
			if time.Since(begin) > grace {
				signal = unix.SIGKILL
			}
			if !seen[p.PID] {
				seen[p.PID] = true
				ended = append(ended, p)
			} else if signal == unix.SIGTERM {
				continue // was asked already
			}
			if err := unix.Kill(p.PID, signal); err != nil && !errors.Is(err, unix.ESRCH) {
				return ended, fmt.Errorf("ending %v: %w", p, err)
			}
		}
		select {
		case <-ctx.Done():
			return ended, fmt.Errorf("waiting for %d processes to end: %w", len(found), ctx.Err())
		case <-tick.C:
		}
	}
}

// InNamespaceInode matches the processes of a network namespace by its inode.
func InNamespaceInode(inode uint64) Match {
	return func(proc string) bool {
		var got unix.Stat_t
		err := unix.Stat(filepath.Join(proc, "ns/net"), &got)
		return err == nil && inode != 0 && got.Ino == inode
	}
}

// Any matches what one of the others does.
func Any(others ...Match) Match {
	return func(proc string) bool {
		for _, match := range others {
			if match(proc) {
				return true
			}
		}
		return false
	}
}

// Only matches one process, and only if the other does.
func Only(pid int, other Match) Match {
	return func(proc string) bool { return filepath.Base(proc) == strconv.Itoa(pid) && other(proc) }
}
