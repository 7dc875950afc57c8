package installer

import (
	"context"
	"errors"
	"fmt"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// The methods of a BootOrder.
const (
	kexec  = "kexec"
	reboot = "reboot"
)

// boot prepares to leave. The leaving itself is next, which runs only after the
// agent has acknowledged "done": nobody is left to tell it afterwards.
func (r *runner) boot(ctx context.Context, o order.BootOrder, t *tracker) (next func() error, err error) {
	t.step("check")
	d, err := r.openChecked(ctx, o.Disk)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	switch o.Method {
	case reboot:
		t.step(reboot)
		return r.machine.Boot.Reboot, nil
	case kexec, "":
	default:
		return nil, fmt.Errorf("booting disk %q: unknown method %q", o.Disk.Name, o.Method)
	}
	err = r.load(ctx, d, o)
	if errors.Is(err, errors.ErrUnsupported) && o.Method == "" {
		r.logger.Warn("kexec is not possible, rebooting instead", "error", err)
		t.step(reboot)
		return r.machine.Boot.Reboot, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading the system on disk %q: %w", o.Disk.Name, err)
	}
	t.step(kexec)
	return r.machine.Boot.Jump, nil
}

func (r *runner) load(ctx context.Context, d Disk, o order.BootOrder) (err error) {
	root, err := d.MountRoot(ctx, true)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNothingToBoot, err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	return r.machine.Boot.Load(ctx, root, o.ExtraCmdline)
}
