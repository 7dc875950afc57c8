package machine

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

// Why a firmware was started, for the console's header lines.
const (
	startPowerOn = "power on"
	startReset   = "reset"
)

// guestReset is QAPI's ShutdownCause of a reset from inside.
const guestReset = "guest-reset"

// Machine is one QEMU machine.
type Machine struct {
	config  Config
	board   bmc.Board
	console *console

	// operation serialises starts and stops; mu guards process only.
	operation sync.Mutex
	mu        sync.Mutex
	process   *process
}

var _ bmc.Machine = (*Machine)(nil)

// New makes the machine's directory and disks. The machine is off.
func New(config Config) (*Machine, error) {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making directory of machine %q: %w", config.Hardware.Name, err)
	}
	if err := config.createDisks(); err != nil {
		return nil, err
	}
	return &Machine{config: config, console: &console{path: config.ConsolePath()}}, nil
}

// Attach implements bmc.Machine.
func (m *Machine) Attach(board bmc.Board) { m.board = board }

// On implements bmc.Machine.
func (m *Machine) On() bool { return m.current() != nil }

// Console implements bmc.Machine.
func (m *Machine) Console() ([]byte, error) { return m.console.tail() }

// PID is the process ID of QEMU, 0 when the machine is off.
func (m *Machine) PID() int {
	if p := m.current(); p != nil {
		return p.cmd.Process.Pid
	}
	return 0
}

// PowerOn implements bmc.Machine.
func (m *Machine) PowerOn(context.Context) error {
	m.operation.Lock()
	defer m.operation.Unlock()
	if m.current() != nil {
		return nil
	}
	if err := m.start(startPowerOn); err != nil {
		return err
	}
	m.board.PowerChanged(true)
	return nil
}

// PowerOff implements bmc.Machine.
func (m *Machine) PowerOff(context.Context) error {
	m.operation.Lock()
	defer m.operation.Unlock()
	p := m.current()
	if p == nil {
		return nil
	}
	m.set(nil)
	p.kill()
	m.board.PowerChanged(false)
	return nil
}

// Reset implements bmc.Machine.
func (m *Machine) Reset(context.Context) error {
	m.operation.Lock()
	defer m.operation.Unlock()
	p := m.current()
	if p == nil {
		return fmt.Errorf("resetting machine %q: it is off", m.config.Hardware.Name)
	}
	m.set(nil)
	p.kill()
	return m.restart()
}

// PressButton implements bmc.Machine.
func (m *Machine) PressButton(context.Context) error {
	p := m.current()
	if p == nil {
		return fmt.Errorf("pressing the power button of %q: it is off", m.config.Hardware.Name)
	}
	return p.monitor.execute("system_powerdown")
}

// start needs the operation lock.
func (m *Machine) start(why string) error {
	boot := m.board.NextBoot()
	if err := m.config.prepareVars(boot); err != nil {
		return err
	}
	if err := m.console.mark(why, time.Now()); err != nil {
		return err
	}
	p, err := startProcess(Arguments(m.config, boot), m.config.Dir, m.console)
	if err != nil {
		return fmt.Errorf("starting machine %q: %w", m.config.Hardware.Name, err)
	}
	m.set(p)
	m.config.Logger.Info("machine started", "machine", m.config.Hardware.Name, "why", why, "pid", p.cmd.Process.Pid,
		"target", boot.Target, "accelerator", m.config.Accelerator)
	go m.supervise(p)
	return nil
}

// restart needs the operation lock and no process. A machine that does not
// come up again is off.
func (m *Machine) restart() error {
	if err := m.start(startReset); err != nil {
		m.board.PowerChanged(false)
		return err
	}
	return nil
}

// supervise follows a process to its end: a reset from inside starts the
// firmware again, anything else leaves the machine off.
func (m *Machine) supervise(p *process) {
	<-p.exited
	m.operation.Lock()
	defer m.operation.Unlock()
	if m.current() != p {
		return // stopped by PowerOff or Reset
	}
	m.set(nil)
	reason := p.reason()
	p.monitor.conn.Close()
	switch reason {
	case guestReset:
		if err := m.restart(); err != nil {
			m.board.Log(bmc.Critical, "The system did not come up after a reset: "+err.Error())
		}
		return
	case "":
		m.board.Log(bmc.Critical, fmt.Sprintf("The system lost power: QEMU ended with %v: %s", p.waitErr, p.said()))
	}
	m.config.Logger.Info("machine went off", "machine", m.config.Hardware.Name, "reason", reason)
	m.board.PowerChanged(false)
}

func (m *Machine) current() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

func (m *Machine) set(p *process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process = p
}
