// Command minimal-init is the least that a kernel can run: it says that it was reached and waits, or powers off when the
// kernel's command line has "poweroff". Booting it is the floor that all other boot times are compared with.
package main

import (
	"fmt"
	"os"
	"slices"
	"syscall"
)

func main() {
	fmt.Println("minimal-init: reached")
	if slices.Contains(os.Args[1:], "poweroff") {
		// PID 1 must not return: if the power stays on, waiting is what is left.
		_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	}
	for {
		_ = syscall.Pause()
	}
}
