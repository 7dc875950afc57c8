package sim

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"

	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

// What Server.Running says.
const (
	RunningNothing   = "nothing"   // no power
	RunningFirmware  = "firmware"  // looking for something to boot, or nothing found
	RunningInstaller = "installer" //
	RunningSystem    = "system"    // what was deployed
)

// consoleLimit bounds the console's text since power-on; the oldest goes.
const consoleLimit = 1 << 20

// machine is the power button and what runs behind it: one goroutine while the
// power is on.
type machine struct {
	config   Config
	hardware bmc.Hardware
	disks    []*installer.FileDisk
	board    bmc.Board

	operation sync.Mutex // serialises the power button

	mu      sync.Mutex
	session *session // nil: off
	console bytes.Buffer
}

// session is one stretch of power.
type session struct {
	cancel context.CancelFunc
	ended  chan struct{}
	// reset interrupts what runs and starts the firmware again; button asks it
	// to shut down.
	reset   chan struct{}
	button  chan struct{}
	running string
}

var _ bmc.Machine = (*machine)(nil)

func newMachine(config Config, hardware bmc.Hardware) (*machine, error) {
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making directory of %q: %w", config.Name, err)
	}
	disks, err := config.fileDisks(hardware)
	if err != nil {
		return nil, err
	}
	return &machine{config: config, hardware: hardware, disks: disks}, nil
}

func (m *machine) Attach(board bmc.Board) { m.board = board }

func (m *machine) On() bool { return m.current() != nil }

func (m *machine) Console() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.console.Bytes()), nil
}

func (m *machine) PowerOn(context.Context) error {
	m.operation.Lock()
	defer m.operation.Unlock()
	if m.current() != nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &session{cancel: cancel, ended: make(chan struct{}), reset: make(chan struct{}, 1), button: make(chan struct{}, 1), running: RunningFirmware}
	m.mu.Lock()
	m.console.Reset()
	m.session = s
	m.mu.Unlock()
	m.board.PowerChanged(true)
	go m.live(ctx, s)
	return nil
}

func (m *machine) PowerOff(context.Context) error {
	m.operation.Lock()
	defer m.operation.Unlock()
	s := m.current()
	if s == nil {
		return nil
	}
	s.cancel()
	<-s.ended
	if m.clear(s) {
		m.board.PowerChanged(false)
	}
	return nil
}

func (m *machine) PressButton(context.Context) error {
	return m.signal("pressing the power button", func(s *session) chan struct{} { return s.button })
}

func (m *machine) Reset(context.Context) error {
	return m.signal("resetting", func(s *session) chan struct{} { return s.reset })
}

func (m *machine) resetFromInside() {
	// A machine that is off has no inside.
	_ = m.Reset(context.Background())
}

func (m *machine) signal(what string, to func(*session) chan struct{}) error {
	s := m.current()
	if s == nil {
		return fmt.Errorf("%s of %q: it is off", what, m.config.Name)
	}
	select {
	case to(s) <- struct{}{}:
	default: // one is waiting already
	}
	return nil
}

func (m *machine) print(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fmt.Fprintf(&m.console, format+"\r\n", args...)
	if extra := m.console.Len() - consoleLimit; extra > 0 {
		m.console.Next(extra)
	}
}

func (m *machine) run(s *session, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.running = what
	// A button that was pressed before is not remembered.
	select {
	case <-s.button:
	default:
	}
}

func (m *machine) running() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session == nil {
		return RunningNothing
	}
	return m.session.running
}

func (m *machine) current() *session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.session
}

// clear takes the power away from a session, unless somebody did so before.
func (m *machine) clear(s *session) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.session != s {
		return false
	}
	m.session = nil
	return true
}
