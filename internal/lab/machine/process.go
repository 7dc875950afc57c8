package machine

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// greetingTimeout bounds QEMU's own start, not the firmware's.
const greetingTimeout = 60 * time.Second

// process is one run of QEMU.
type process struct {
	cmd     *exec.Cmd
	monitor *monitor
	exited  chan struct{} // closed when the process is gone and its console was read to the end
	waitErr error         // valid after exited
	log     string
}

// startProcess starts QEMU and waits until it has put the machine together.
func startProcess(arguments []string, dir string, console *console) (*process, error) {
	monitorConn, monitorFile, err := socketPair("monitor")
	if err != nil {
		return nil, err
	}
	defer monitorFile.Close()
	serialConn, serialFile, err := socketPair("serial")
	if err != nil {
		monitorConn.Close()
		return nil, err
	}
	defer serialFile.Close()
	p := &process{exited: make(chan struct{}), log: filepath.Join(dir, "qemu.log")}
	p.cmd = exec.Command(Emulator, arguments...)
	p.cmd.Dir = dir
	p.cmd.ExtraFiles = []*os.File{monitorFile, serialFile} // become monitorFD and serialFD
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.run(console, serialConn); err != nil {
		monitorConn.Close()
		serialConn.Close()
		return nil, err
	}
	monitorFile.Close() // so that the monitor ends when QEMU does
	if p.monitor, err = openMonitor(monitorConn, greetingTimeout); err != nil {
		p.kill()
		monitorConn.Close()
		return nil, fmt.Errorf("starting %s: %w: it said: %s", Emulator, err, p.said())
	}
	return p, nil
}

// run starts the command on a thread of its own that stays until the command
// ends: the kernel sends the parent-death signal when the starting *thread*
// ends (prctl(2), PR_SET_PDEATHSIG), not the process.
func (p *process) run(console *console, serial net.Conn) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("opening QEMU's log: %w", err)
	}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	pumped := make(chan error, 1)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		prefer(p.cmd.Process.Pid)
		go func() { pumped <- console.pump(serial) }()
		p.waitErr = p.cmd.Wait()
		<-pumped
		serial.Close()
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("starting %s: %w; install the package %q", Emulator, err, "qemu-system-x86")
	}
	return nil
}

// prefer gives the machine more of the processors than what else runs on the
// host: firmware and kernels have timeouts that emulation on a busy host does
// not meet. With autogroups (sched(7)) the niceness of a process counts only
// inside its session, so the session's is set. Without the right to do so the
// machine is as slow as it is.
func prefer(pid int) {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte("-10"), 0)
}

// kill takes the power away and waits until the process is gone.
func (p *process) kill() {
	// The error is that of a process that has ended already.
	_ = p.cmd.Process.Kill()
	<-p.exited
	if p.monitor != nil {
		p.monitor.conn.Close()
	}
}

// reason is why the process ended: QAPI's ShutdownCause, "" for a crash. It
// waits for the monitor's last message, which may be read after the exit.
func (p *process) reason() string {
	<-p.monitor.ended
	return p.monitor.shutdownReason()
}

// said is the end of what QEMU wrote to its standard error.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	const most = 2000
	if len(text) > most {
		text = text[len(text)-most:]
	}
	return strings.TrimSpace(string(text))
}

// socketPair gives our end as a connection and the child's end as a file.
func socketPair(name string) (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making %s socket: %w", name, err)
	}
	ours := os.NewFile(uintptr(fds[0]), name)
	defer ours.Close()
	theirs := os.NewFile(uintptr(fds[1]), name)
	conn, err := net.FileConn(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("making %s socket: %w", name, err)
	}
	return conn, theirs, nil
}
