package hardware

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"golang.org/x/sys/unix"
)

// MountRoot mounts the file system that has an os-release file. A separate boot
// file system is mounted at its /boot when that is empty.
func (d *disk) MountRoot(ctx context.Context, readOnly bool) (installer.Root, error) {
	all, err := d.candidates()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "root-")
	if err != nil {
		return nil, fmt.Errorf("making a mount point: %w", err)
	}
	var problems []error
	for i, c := range all {
		err := d.tryRoot(ctx, c, dir, readOnly)
		if err == nil {
			return d.openRoot(ctx, dir, append(all[:i:i], all[i+1:]...))
		}
		problems = append(problems, err)
	}
	problems = append(problems, os.Remove(dir))
	return nil, fmt.Errorf("no root file system among %d file systems of disk %q: %w", len(all), d.facts.Name, errors.Join(problems...))
}

func (d *disk) tryRoot(ctx context.Context, c candidate, dir string, readOnly bool) error {
	if c.kind == "vfat" {
		return fmt.Errorf("%q is vfat", c.node)
	}
	// btrfs distributions keep the system in a subvolume that need not be the default.
	for _, data := range subvolumes(c.kind) {
		err := mount(ctx, c, dir, readOnly, data)
		if errors.Is(err, unix.ENOENT) && data != "" {
			continue // no such subvolume
		}
		if err != nil {
			return err
		}
		if exists(dir, "etc", "os-release") || exists(dir, "usr", "lib", "os-release") || isLink(dir, "etc", "os-release") {
			return nil
		}
		if err := unmount(ctx, dir); err != nil {
			return err
		}
	}
	return fmt.Errorf("%q has no os-release file", c.node)
}

func subvolumes(kind string) []string {
	if kind == "btrfs" {
		return []string{"", "subvol=@", "subvol=root", "subvol=@rootfs", "subvol=@/.snapshots/1/snapshot"}
	}
	return []string{""}
}

func isLink(elem ...string) bool {
	st, err := os.Lstat(filepath.Join(elem...))
	return err == nil && st.Mode()&os.ModeSymlink != 0
}

func mount(ctx context.Context, c candidate, dir string, readOnly bool, data string) error {
	flags := uintptr(unix.MS_NODEV | unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NOATIME)
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	if c.kind == "xfs" {
		data = "nouuid" // a second disk may hold a copy of the same image
	}
	err := retryBusy(ctx, func() error { return unix.Mount(c.node, dir, c.kind, flags, data) })
	if err != nil {
		return fmt.Errorf("mounting %q as %s: %w", c.node, c.kind, err)
	}
	return nil
}

func unmount(ctx context.Context, dir string) error {
	if err := retryBusy(ctx, func() error { return unix.Unmount(dir, 0) }); err != nil {
		return fmt.Errorf("unmounting %q: %w", dir, err)
	}
	return nil
}

// retryBusy tries again for a while: mounts and unmounts are refused while the
// kernel still looks at the device.
func retryBusy(ctx context.Context, f func() error) error {
	tick := time.NewTicker(rereadPause)
	defer tick.Stop()
	for try := 1; ; try++ {
		err := f()
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENXIO) || try == rereadTries {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-tick.C:
		}
	}
}

// mountedRoot is a root file system with what is mounted in it.
type mountedRoot struct {
	fs     *os.Root
	mounts []string // in the order of mounting
	dir    string
}

func (d *disk) openRoot(ctx context.Context, dir string, others []candidate) (installer.Root, error) {
	r := &mountedRoot{dir: dir, mounts: []string{dir}}
	if boot := filepath.Join(dir, "boot"); !isLink(boot) && exists(boot) && len(names(boot)) == 0 {
		for _, c := range others {
			if mount(ctx, c, boot, true, "") != nil {
				continue // not a boot file system that this kernel knows
			}
			if hasKernel(boot) {
				r.mounts = append(r.mounts, boot)
				break
			}
			if err := unmount(ctx, boot); err != nil {
				return nil, errors.Join(err, r.Close())
			}
		}
	}
	fs, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the root file system: %w", err), r.Close())
	}
	r.fs = fs
	return r, nil
}

func hasKernel(boot string) bool {
	found, err := filepath.Glob(filepath.Join(boot, "vmlinuz*"))
	return err == nil && len(found) > 0 || exists(boot, "loader", "entries")
}

func (r *mountedRoot) FS() *os.Root { return r.fs }

// Close syncs and unmounts; it does so also when the caller's context ended,
// since a mount that is left behind keeps the disk busy.
func (r *mountedRoot) Close() error {
	var errs []error
	if r.fs != nil {
		errs = append(errs, r.fs.Close())
	}
	unix.Sync()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for i := len(r.mounts) - 1; i >= 0; i-- {
		errs = append(errs, unmount(ctx, r.mounts[i]))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return os.Remove(r.dir)
}
