package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

// rounds bounds how deep buses can hang below each other (PCI, virtio, SCSI ...).
const rounds = 8

// loadDrivers loads the modules of all present devices, again as long as that
// brings new ones to light; then those that no device asks for.
func loadDrivers(logger hclog.Logger) {
	m, err := readModules(moduleDir)
	if err != nil {
		logger.Warn("no modules", "error", err)
		return
	}
	seen, n := map[string]bool{}, 0
	for range rounds {
		fresh := 0
		for _, a := range modaliases("/sys/devices") {
			if seen[a] {
				continue
			}
			seen[a] = true
			k, err := m.forAlias(a)
			if err != nil {
				logger.Warn("driver not loaded", "error", err)
			}
			fresh += k
		}
		n += fresh
		if fresh == 0 {
			break
		}
	}
	for _, name := range m.always {
		fresh, err := m.insert(name)
		if err != nil {
			logger.Debug("module not loaded", "error", err)
		} else if fresh {
			n++
		}
	}
	logger.Info("drivers", "devices", len(seen), "modules", n)
}

// modaliases lists what the devices below dir say they are.
func modaliases(dir string) []string {
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "modalias" {
			return nil // devices come and go while we look
		}
		if b, err := os.ReadFile(path); err == nil {
			out = append(out, strings.TrimSpace(string(b)))
		}
		return nil
	})
	if err != nil {
		return out
	}
	return out
}

// modprobe is what the kernel calls: "-q -- alias".
func modprobe(args []string) int {
	m, err := readModules(moduleDir)
	if err != nil {
		return 1
	}
	code := 1
	for _, a := range args {
		if strings.HasPrefix(a, "-") {
			continue
		}
		n, err := m.forAlias(a)
		if err != nil {
			fmt.Fprintln(os.Stderr, "installer:", err)
		} else if n > 0 {
			code = 0
		}
	}
	return code
}

const (
	// quiet is how long no device must have appeared to call it settled.
	quiet = 250 * time.Millisecond
	// settleTime bounds that; withoutDisk is for controllers that look for
	// their disks slowly (SAS expanders, USB).
	settleTime  = 5 * time.Second
	withoutDisk = 20 * time.Second
)

// settle waits, by the kernel's uevents, until the drivers have found their
// devices.
func settle(ctx context.Context, logger hclog.Logger) {
	began := time.Now()
	events, err := uevents()
	if err != nil {
		logger.Warn("not waiting for devices", "error", err)
		return
	}
	defer events.Close()
	buf := make([]byte, 8192)
	for {
		limit := settleTime
		if !anyDisk("/sys/block") {
			limit = withoutDisk
		}
		left := limit - time.Since(began)
		if left <= 0 || ctx.Err() != nil {
			return
		}
		wait := left
		if anyDisk("/sys/block") {
			wait = min(quiet, left)
		}
		if err := events.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return
		}
		if _, err := events.Read(buf); os.IsTimeout(err) {
			return
		} else if err != nil && !strings.Contains(err.Error(), unix.ENOBUFS.Error()) {
			logger.Warn("not waiting for devices", "error", err)
			return
		}
	}
}

// anyDisk says whether a disk that is neither RAM nor a loop is there.
func anyDisk(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if n := e.Name(); !strings.HasPrefix(n, "loop") && !strings.HasPrefix(n, "ram") && !strings.HasPrefix(n, "sr") && !strings.HasPrefix(n, "fd") {
			return true
		}
	}
	return false
}

// uevents is the kernel's stream of device changes.
func uevents() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("opening the uevent socket: %w", err)
	}
	f := os.NewFile(uintptr(fd), "uevents")
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		_ = f.Close() // the bind's error is the one to tell
		return nil, fmt.Errorf("listening to uevents: %w", err)
	}
	return f, nil
}
