package machine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Verdict is which accelerator to use, and why.
type Verdict struct {
	Accelerator string `json:"accelerator"`
	Reason      string `json:"reason"`
}

// trialTimeout is generous: with a working KVM the firmware speaks in one to
// two seconds.
const trialTimeout = 8 * time.Second

// TryKVM boots the UEFI firmware under KVM until it says something. That
// /dev/kvm opens proves nothing: there are hosts whose KVM opens and then can't
// run the first floating point instruction of a firmware.
func TryKVM(ctx context.Context, dir string) Verdict {
	if err := tryKVM(ctx, dir); err != nil {
		return Verdict{TCG, "KVM is not usable: " + err.Error()}
	}
	return Verdict{KVM, "a firmware booted under KVM"}
}

func tryKVM(ctx context.Context, dir string) error {
	device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := device.Close(); err != nil {
		return err
	}
	firmware, err := FindFirmware()
	if err != nil {
		return err
	}
	vars := filepath.Join(dir, "kvm-trial-vars.fd")
	template, err := os.ReadFile(firmware.Vars)
	if err != nil {
		return err
	}
	if err := os.WriteFile(vars, template, 0o600); err != nil {
		return err
	}
	return errors.Join(bootTrial(ctx, firmware.Code, vars), os.Remove(vars))
}

func bootTrial(ctx context.Context, code, vars string) error {
	ctx, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, Emulator, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-m", "256",
		"-accel", KVM, "-cpu", "host", "-serial", "stdio",
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+escape(code), "-drive", "if=pflash,format=raw,unit=1,file="+escape(vars))
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	serial, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	complaints, err := command.StderrPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	outcome := make(chan error, 2)
	go func() { outcome <- firstByte(serial) }()
	go func() {
		if err := firstComplaint(complaints); err != nil {
			outcome <- err
		}
	}()
	select {
	case err = <-outcome:
	case <-ctx.Done():
		err = fmt.Errorf("the firmware said nothing in %v", trialTimeout)
	}
	cancel()
	_ = command.Wait() // says that it was killed
	return err
}

func firstByte(serial io.Reader) error {
	if _, err := bufio.NewReader(serial).ReadByte(); err != nil {
		return errors.New("the emulator ended before the firmware said anything")
	}
	return nil
}

// firstComplaint gives QEMU's first message that is more than a warning, nil
// when it ends without one.
func firstComplaint(complaints io.Reader) error {
	lines := bufio.NewScanner(complaints)
	for lines.Scan() {
		if text := lines.Text(); !strings.Contains(text, "warning") {
			return errors.New(text)
		}
	}
	return nil
}
