package lab

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab/network"
	"github.com/nanometal/terraform-provider-metal/internal/lab/statefile"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// startTimeout bounds a daemon's start: a trial of KVM, and machines that were
// on before.
const startTimeout = 3 * time.Minute

// Options are how a lab is brought up.
type Options struct {
	Spec Spec
	// Dir is the lab's directory; empty: one that belongs to its name.
	Dir string
	// Password is that of the BMCs. Empty: the one of last time, or a new one.
	Password string
	// Daemon is the command that ends in RunDaemon: the calling program itself
	// with the arguments for it. The directory is appended.
	Daemon []string
}

// verdict is what a daemon says when it is ready or has failed.
type verdict struct {
	Error string `json:"error,omitempty"`
}

// Up starts a lab and returns when its BMCs answer. What a crashed lab of the
// same name left is removed first; one that runs is an error.
func Up(ctx context.Context, options Options) (*Daemon, error) {
	spec := options.Spec
	if err := spec.Complete(); err != nil {
		return nil, err
	}
	p, err := newPlace(spec.Name, options.Dir)
	if err != nil {
		return nil, err
	}
	if err := checkHost(spec); err != nil {
		return nil, err
	}
	if err := refuseSecond(p); err != nil {
		return nil, err
	}
	if _, err := Down(ctx, spec.Name, p.dir, false); err != nil {
		return nil, fmt.Errorf("removing the remains of lab %q: %w", spec.Name, err)
	}
	d, err := start(ctx, p, spec, options)
	if err != nil {
		_, downErr := Down(context.WithoutCancel(ctx), spec.Name, p.dir, false)
		return nil, errors.Join(err, downErr)
	}
	return d, nil
}

// refuseSecond keeps a lab from being started while it runs, here or in another
// directory.
func refuseSecond(p place) error {
	others, err := findPlace(p.name, "")
	if err != nil {
		return err
	}
	for _, candidate := range []place{p, others} {
		running, err := candidate.running()
		if err != nil {
			return err
		}
		if running {
			return &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("lab %q", p.name), Summary: "is running already",
				Seen: "a daemon holds " + candidate.lockFile(), Advice: fmt.Sprintf("stop it with \"lab down --name %s\", or use another name", p.name), Err: errLocked}
		}
	}
	return nil
}

// start makes the files and the namespace, and runs the daemon in it.
func start(ctx context.Context, p place, spec Spec, options Options) (*Daemon, error) {
	lock, err := p.lock()
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if err := p.writePassword(options.Password); err != nil {
		return nil, err
	}
	r := record{Spec: spec, RunDir: p.run, Rootless: os.Geteuid() != 0, Started: time.Now().UTC()}
	listeners, err := openForwards(p, &r)
	if err != nil {
		return nil, err
	}
	defer closeAll(listeners)
	if err := statefile.WriteJSON(p.recordFile(), r); err != nil {
		return nil, err
	}
	if err := p.makeLink(); err != nil {
		return nil, err
	}
	return launch(ctx, p, r, options.Daemon, append([]*os.File{lock}, listeners...))
}

// launch starts the daemon and waits for its verdict.
func launch(ctx context.Context, p place, r record, command []string, inherited []*os.File) (*Daemon, error) {
	log, err := os.OpenFile(p.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of lab %q: %w", p.name, err)
	}
	defer log.Close()
	ready, readyWriter, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting lab %q: %w", p.name, err)
	}
	defer ready.Close()
	daemon := exec.Command(command[0], append(append([]string(nil), command[1:]...), p.dir)...)
	daemon.Stdout, daemon.Stderr = log, log
	daemon.Dir = p.dir
	daemon.ExtraFiles = append([]*os.File{readyWriter}, inherited...)
	daemon.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := startDaemon(p, r, daemon); err != nil {
		readyWriter.Close()
		return nil, fmt.Errorf("starting lab %q: %w", p.name, err)
	}
	readyWriter.Close()
	d := &Daemon{place: p, process: daemon}
	if err := awaitVerdict(ctx, ready); err != nil {
		killErr := daemon.Process.Kill()
		_ = daemon.Wait() // says that it was killed
		return nil, errors.Join(fmt.Errorf("starting lab %q: %w; its log is %s", p.name, err, p.logFile()), ignoreFinished(killErr))
	}
	return d, nil
}

func startDaemon(p place, r record, daemon *exec.Cmd) error {
	if r.Rootless {
		daemon.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET
		daemon.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		daemon.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		return startUnprivileged(p, daemon)
	}
	if err := network.CreateNamespace(p.namespace()); err != nil {
		return err
	}
	return network.StartIn(p.namespace(), daemon)
}

// startUnprivileged explains why user namespaces are refused, where they are.
func startUnprivileged(p place, daemon *exec.Cmd) error {
	err := daemon.Start()
	if err == nil {
		return nil
	}
	return &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("lab %q", p.name), Summary: "can't be made without root on this machine",
		Seen: err.Error(), Expected: "a kernel that lets users make user and network namespaces",
		Advice: "run as root, or allow it: sysctl user.max_user_namespaces > 0, kernel.unprivileged_userns_clone=1 (Debian), " +
			"kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)", Err: err}
}

// awaitVerdict reads the daemon's one line.
func awaitVerdict(ctx context.Context, ready *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { ready.Close() })
	defer stop()
	line, err := bufio.NewReader(ready).ReadBytes('\n')
	if ctx.Err() != nil {
		return fmt.Errorf("waiting for the daemon: %w", ctx.Err())
	}
	if err != nil {
		return errors.New("the daemon ended before it was ready")
	}
	var v verdict
	if err := json.Unmarshal(line, &v); err != nil {
		return fmt.Errorf("decoding the daemon's answer: %w", err)
	}
	if v.Error != "" {
		return errors.New(v.Error)
	}
	return nil
}

// writePassword keeps the BMCs' password for the daemon and for clients.
func (p place) writePassword(password string) error {
	if password == "" {
		if _, err := os.Stat(p.passwordFile()); err == nil {
			return nil
		}
		password = rand.Text()
	}
	return statefile.Write(p.passwordFile(), []byte(password+"\n"))
}

func (p place) makeLink() error {
	if err := os.MkdirAll(p.run, 0o700); err != nil {
		return fmt.Errorf("making run directory: %w", err)
	}
	var stat syscall.Stat_t
	if err := syscall.Lstat(p.run, &stat); err != nil {
		return fmt.Errorf("looking at run directory %q: %w", p.run, err)
	}
	if int(stat.Uid) != os.Geteuid() || stat.Mode&0o022 != 0 { // below /tmp anybody could have made it
		return fmt.Errorf("using run directory %q: it belongs to user %d, or others may write to it", p.run, stat.Uid)
	}
	if err := os.Remove(p.link()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replacing link of lab %q: %w", p.name, err)
	}
	if err := os.Symlink(p.dir, p.link()); err != nil {
		return fmt.Errorf("linking lab %q: %w", p.name, err)
	}
	return nil
}

// openForwards opens the sockets outside: one per BMC, where possible on the
// port of last time, then those of the specification.
func openForwards(p place, r *record) ([]*os.File, error) {
	last, err := p.readRecord()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	r.BMCForwards = map[string]string{}
	var files []*os.File
	for _, m := range r.Spec.Machines {
		file, address, err := listenOutside(or(last.BMCForwards[m.Name], "127.0.0.1:0"), true)
		if err != nil {
			return nil, errors.Join(err, closeAll(files))
		}
		r.BMCForwards[m.Name] = address
		files = append(files, file)
	}
	for _, f := range r.Spec.Forwards {
		file, _, err := listenOutside(f.Listen, false)
		if err != nil {
			return nil, errors.Join(err, closeAll(files))
		}
		files = append(files, file)
	}
	return files, nil
}

// listenOutside opens a socket in the caller's network namespace, as a file to
// hand to the daemon.
func listenOutside(address string, orAny bool) (*os.File, string, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil && orAny {
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, "", fmt.Errorf("opening forward on %q: %w", address, err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return nil, "", fmt.Errorf("opening forward on %q: %w", address, err)
	}
	return file, listener.Addr().String(), nil
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, file := range files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

func ignoreFinished(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Daemon is a lab's daemon as its starter sees it.
type Daemon struct {
	place   place
	process *exec.Cmd
}

// Dir is the lab's directory.
func (d *Daemon) Dir() string { return d.place.dir }

// Wait waits for the daemon's end, for a lab in the foreground.
func (d *Daemon) Wait() error { return d.process.Wait() }

// Stop asks the daemon to end.
func (d *Daemon) Stop() error { return ignoreFinished(d.process.Process.Signal(syscall.SIGTERM)) }
