package lab

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/nanometal/terraform-provider-metal/internal/lab/network"
)

// Exec replaces the calling process by a command on the lab's network: in its
// network namespace, with everything else as it is. It returns only on failure.
func Exec(name, dir string, command []string) error {
	p, err := findPlace(name, dir)
	if err != nil {
		return err
	}
	r, err := p.readRecord()
	if err != nil {
		return fmt.Errorf("finding lab %q: %w", name, err)
	}
	env := append(os.Environ(), "METAL_LAB="+name)
	if r.Rootless {
		return execRootless(r, command, env)
	}
	program, err := exec.LookPath(command[0])
	if err != nil {
		return fmt.Errorf("finding command: %w", err)
	}
	return network.Exec(p.namespace(), program, command, env)
}

// execRootless enters the daemon's user namespace too, which a process with
// threads, as every Go program is, may not (setns(2)): util-linux does it.
func execRootless(r record, command, env []string) error {
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return fmt.Errorf("entering the lab without root: %w; install the package %q", err, "util-linux")
	}
	args := append([]string{"nsenter", "--preserve-credentials", "--user", "--net", "--target", strconv.Itoa(r.DaemonPID), "--"}, command...)
	return fmt.Errorf("running %q: %w", nsenter, syscall.Exec(nsenter, args, env))
}
