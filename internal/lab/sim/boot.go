package sim

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

// live is a stretch of power: firmware starts until something powers off.
func (m *machine) live(ctx context.Context, s *session) {
	defer close(s.ended)
	for {
		again := m.boot(ctx, s)
		if ctx.Err() != nil {
			return // PowerOff does the rest
		}
		if !again {
			break
		}
	}
	s.cancel()
	if m.clear(s) {
		m.board.PowerChanged(false)
	}
}

// boot is one start of the firmware, to its end: true for a reset, false for
// power-off.
func (m *machine) boot(power context.Context, s *session) (again bool) {
	ctx, cancel := context.WithCancel(power)
	defer cancel()
	reset := make(chan struct{})
	go func() {
		select {
		case <-s.reset:
			close(reset)
			cancel()
		case <-ctx.Done():
		}
	}()
	m.run(s, RunningFirmware)
	boot := m.board.NextBoot()
	m.print("firmware: started, boot source override %s", boot.Target)
	outcome := actionNothing
	for _, device := range bootDevices(m.hardware, boot) {
		if outcome = m.bootDevice(ctx, s, device); outcome != actionNothing || ctx.Err() != nil {
			break
		}
	}
	if outcome == actionNothing && ctx.Err() == nil {
		m.print("firmware: no bootable device")
		m.board.Log(bmc.Warning, "No bootable device was found")
		outcome = m.idle(ctx, s)
	}
	select {
	case <-reset:
		return true
	default:
		return outcome == actionReboot
	}
}

// The ways in which what was booted can end.
const (
	actionNothing  = ""
	actionReboot   = "reboot"
	actionPowerOff = "poweroff"
)

func (m *machine) bootDevice(ctx context.Context, s *session, device string) string {
	switch {
	case strings.Contains(device, "://"):
		cmdline, err := fetchCmdline(ctx, device)
		if err != nil {
			m.print("firmware: HTTP boot failed: %v", err)
			m.board.Log(bmc.Warning, "HTTP boot failed: "+withoutURI(err))
			return actionNothing
		}
		return m.install(ctx, s, cmdline)
	case strings.HasPrefix(device, "disk-"):
		for i, disk := range m.hardware.Disks {
			if disk.ID == device && bootable(m.disks[i].RootDir()) {
				return m.system(ctx, s, m.disks[i].RootDir(), "")
			}
		}
	}
	m.print("firmware: %s: not bootable", device)
	return actionNothing
}

// withoutURI keeps the token in a boot URI out of the BMC's log.
func withoutURI(err error) string {
	for unwrapped := errors.Unwrap(err); unwrapped != nil; unwrapped = errors.Unwrap(unwrapped) {
		err = unwrapped
	}
	return err.Error()
}

func bootable(root string) bool {
	_, err := os.Stat(filepath.Join(root, "etc/os-release"))
	return err == nil
}

// install runs the installer until it ends the way that an order says.
func (m *machine) install(ctx context.Context, s *session, cmdline string) string {
	config, err := installer.ParseCmdline(cmdline)
	if err != nil {
		m.print("installer: %v", err)
		return m.idle(ctx, s) // a kernel without an init that knows what to do
	}
	m.run(s, RunningInstaller)
	ended := make(chan installer.Ending, 1)
	simulated := &installer.Simulated{Facts: facts(m.hardware), Disks: m.disks, NoKexec: m.config.NoKexec, End: func(e installer.Ending) {
		select {
		case ended <- e:
		default:
		}
	}}
	log := &installerLog{machine: m}
	err = installer.Run(ctx, simulated.Machine(), installer.Options{
		Config: config, ReportEvery: m.config.ReportEvery, Log: log.take,
		Logger: hclog.New(&hclog.LoggerOptions{Name: "installer", Level: hclog.Info, Output: log, DisableTime: true}),
	})
	if err != nil && ctx.Err() == nil {
		m.print("installer: %v", err)
	}
	select {
	case ending := <-ended:
		if ending.Root != "" {
			return m.system(ctx, s, ending.Root, ending.ExtraCmdline)
		}
		return ending.Action
	default:
		if ctx.Err() != nil {
			return actionNothing
		}
		return actionReboot // as PID 1 does after a failure
	}
}

// system is the deployed system.
func (m *machine) system(ctx context.Context, s *session, root, cmdline string) string {
	m.run(s, RunningSystem)
	m.print("system: started from %s", filepath.Base(root))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	if m.config.System != nil {
		work.Go(func() { m.config.System(ctx, root, cmdline) })
	}
	button := s.button
	if m.config.IgnoreButton {
		button = nil
	}
	select {
	case <-ctx.Done():
		return actionNothing
	case <-button:
		m.print("system: shutting down")
		return actionPowerOff
	}
}

// idle is a machine in which nothing runs that heeds the button.
func (m *machine) idle(ctx context.Context, _ *session) string {
	<-ctx.Done()
	return actionNothing
}

// installerLog puts the installer's log on the console and into its reports.
type installerLog struct {
	machine *machine
	mu      sync.Mutex
	lines   []string
}

func (l *installerLog) Write(text []byte) (int, error) {
	line := strings.TrimRight(string(text), "\n")
	l.machine.print("%s", line)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return len(text), nil
}

func (l *installerLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}
