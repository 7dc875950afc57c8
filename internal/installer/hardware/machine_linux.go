package hardware

import (
	"context"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Machine is the machine that this process runs on. Root privileges, /proc,
// /sys and /dev are needed. Its watchers end with ctx.
func Machine(ctx context.Context, logger hclog.Logger) installer.Machine {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	w := &watcher{logger: logger, amendments: make(chan func(*order.Inventory), 64)}
	return installer.Machine{
		Links:     &links{logger: logger, life: ctx},
		Inspector: &inspector{sys: "/sys", proc: "/proc", dev: "/dev", logger: logger, watcher: w, life: ctx},
		Disks:     &disks{sys: "/sys", dev: "/dev", logger: logger},
		Boot:      &boot{logger: logger},
	}
}
