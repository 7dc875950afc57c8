package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// mountKernelFS mounts what every later step reads.
func mountKernelFS() error {
	for _, m := range []struct {
		kind, dir, data string
		optional        bool
	}{
		{kind: "proc", dir: "/proc"},
		{kind: "sysfs", dir: "/sys"},
		{kind: "devtmpfs", dir: "/dev", data: "mode=0755"},
		{kind: "tmpfs", dir: "/run", data: "mode=0755,size=32m"},
		{kind: "tmpfs", dir: "/tmp", data: "mode=1777,size=32m"},
		{kind: "efivarfs", dir: "/sys/firmware/efi/efivars", optional: true},
	} {
		if m.optional {
			if _, err := os.Stat(m.dir); err != nil {
				continue // not booted by UEFI
			}
		} else if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return fmt.Errorf("making %q: %w", m.dir, err)
		}
		err := unix.Mount(m.kind, m.dir, m.kind, unix.MS_NOSUID, m.data)
		if err != nil && !errors.Is(err, unix.EBUSY) && !m.optional {
			return fmt.Errorf("mounting %s on %q: %w", m.kind, m.dir, err)
		}
	}
	// The kernel asks for file systems and algorithms by itself.
	if err := os.WriteFile("/proc/sys/kernel/modprobe", []byte("/init"), 0); err != nil {
		fmt.Fprintln(os.Stderr, "installer: no module autoloading:", err)
	}
	// A kernel panic, ours as PID 1 included, ends in a reboot and not in silence.
	if err := os.WriteFile("/proc/sys/kernel/panic", []byte("60"), 0); err != nil {
		fmt.Fprintln(os.Stderr, "installer: no reboot after a panic:", err)
	}
	return nil
}

// reap waits for orphans. The installer starts no processes of its own, so
// every child is one.
func reap() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, unix.SIGCHLD)
	for range c {
		for {
			if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
