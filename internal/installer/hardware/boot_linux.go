package hardware

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"golang.org/x/sys/unix"
)

type boot struct{ logger hclog.Logger }

// Load loads kernel and initrd by kexec_file_load, which lets the kernel check
// signatures under Secure Boot.
func (b *boot) Load(_ context.Context, root installer.Root, extra string) (err error) {
	e, err := findEntry(root.FS())
	if err != nil {
		return err
	}
	b.logger.Info("kexec", "kernel", e.kernel, "from", e.source)
	kernel, err := root.FS().Open(e.kernel)
	if err != nil {
		return fmt.Errorf("%w: %w", installer.ErrNothingToBoot, err)
	}
	defer kernel.Close()
	flags, initrdFD := unix.KEXEC_FILE_NO_INITRAMFS, -1
	if e.initrd != "" {
		initrd, err := root.FS().Open(e.initrd)
		if err != nil {
			return fmt.Errorf("%w: %w", installer.ErrNothingToBoot, err)
		}
		defer initrd.Close()
		flags, initrdFD = 0, int(initrd.Fd())
	}
	err = unix.KexecFileLoad(int(kernel.Fd()), initrdFD, join(e.cmdline, extra), flags)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOEXEC),
		errors.Is(err, unix.EKEYREJECTED), errors.Is(err, unix.ENOKEY), errors.Is(err, unix.EBADMSG), errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("kexec_file_load of %q: %w: %w", e.kernel, err, errors.ErrUnsupported)
	}
	return fmt.Errorf("kexec_file_load of %q: %w", e.kernel, err)
}

func join(cmdline, extra string) string {
	if extra == "" {
		return cmdline
	}
	return cmdline + " " + extra
}

func (b *boot) Jump() error     { return restart(unix.LINUX_REBOOT_CMD_KEXEC) }
func (b *boot) Reboot() error   { return restart(unix.LINUX_REBOOT_CMD_RESTART) }
func (b *boot) PowerOff() error { return restart(unix.LINUX_REBOOT_CMD_POWER_OFF) }

func restart(cmd int) error {
	unix.Sync()
	if err := unix.Reboot(cmd); err != nil {
		return os.NewSyscallError("reboot", err)
	}
	return nil
}
