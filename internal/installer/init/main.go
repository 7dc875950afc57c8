// Command init is PID 1 of the installer's RAM operating system: it prepares
// the kernel's file systems, loads the drivers of the devices that are there,
// and runs package installer until the machine boots something else.
//
// The kernel also starts it as its module loader ("init -q -- alias").
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"github.com/nanometal/terraform-provider-metal/internal/installer/hardware"
	"golang.org/x/sys/unix"
)

// failurePause is how long a failure stays on the console before the machine
// reboots: long enough to be read and to keep a broken image from spinning.
const failurePause = 60 * time.Second

func main() {
	if os.Getpid() != 1 {
		os.Exit(modprobe(os.Args[1:]))
	}
	// The RAM belongs to nobody else, but a 1 GiB machine has little of it.
	debug.SetMemoryLimit(400 << 20)
	err := live()
	fmt.Fprintln(os.Stderr, "installer:", err)
	<-time.After(failurePause)
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		fmt.Fprintln(os.Stderr, "installer: reboot:", err)
	}
	select {} // PID 1 must not return: the kernel would panic
}

// live returns only when something failed: success ends in another kernel.
func live() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	if err := mountKernelFS(); err != nil {
		return err
	}
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return fmt.Errorf("reading the kernel command line: %w", err)
	}
	config, err := installer.ParseCmdline(string(cmdline))
	if err != nil {
		return err
	}
	ring := newRing(config.Token)
	logger := hclog.New(&hclog.LoggerOptions{Name: "installer", Level: level(string(cmdline)), Output: ring, DisableTime: true})
	go reap()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	loadDrivers(logger)
	settle(ctx, logger)
	go ring.followKernel(ctx)

	return installer.Run(ctx, hardware.Machine(ctx, logger), installer.Options{
		Config: config, Logger: logger, Log: ring.take, Uptime: uptime,
	})
}

// level is debug with the word "debug" on the kernel command line.
func level(cmdline string) hclog.Level {
	for _, w := range strings.Fields(cmdline) {
		if w == "debug" {
			return hclog.Debug
		}
	}
	return hclog.Info
}

// uptime is the time since the kernel started.
func uptime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
