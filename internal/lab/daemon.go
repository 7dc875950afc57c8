package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
	"github.com/nanometal/terraform-provider-metal/internal/lab/machine"
	"github.com/nanometal/terraform-provider-metal/internal/lab/network"
	"github.com/nanometal/terraform-provider-metal/internal/lab/statefile"
)

// The file descriptors that the daemon inherits: where it says that it is
// ready, the lab's lock, then the forwards' sockets.
const (
	readyFD        = 3
	lockFD         = 4
	firstForwardFD = 5
)

// daemon holds a lab. It runs inside the lab's network namespace.
type daemon struct {
	place    place
	record   record
	logger   hclog.Logger
	password string
	servers  []*server
	accel    machine.Verdict
	work     sync.WaitGroup
}

// server is one machine with its BMC.
type server struct {
	spec    MachineSpec
	config  machine.Config
	machine *machine.Machine
	bmc     *bmc.BMC
	address string
}

// RunDaemon is the daemon's main function: it returns when the context ends,
// with everything stopped. It is started by Up, which sets up its environment.
func RunDaemon(ctx context.Context, dir string, logger hclog.Logger) error {
	ready := inherited(readyFD, "ready")
	defer ready.Close()
	lock := inherited(lockFD, "lock") // held until everything is stopped
	defer lock.Close()
	d := &daemon{place: place{dir: dir}, logger: logger}
	ctx, cancel := context.WithCancel(ctx)
	err := d.start(ctx)
	if sayErr := say(ready, err); err == nil {
		err = sayErr
	}
	if err == nil {
		logger.Info("lab is up", "name", d.record.Spec.Name, "machines", len(d.servers), "accelerator", d.accel.Accelerator)
		<-ctx.Done()
	}
	cancel()
	return errors.Join(err, d.stop())
}

// inherited takes over a descriptor, and keeps it from the daemon's children:
// a QEMU that outlives the daemon must not hold the lock.
func inherited(fd int, name string) *os.File {
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), name)
}

func say(ready *os.File, err error) error {
	var v verdict
	if err != nil {
		v.Error = err.Error()
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding verdict: %w", err)
	}
	if _, err := ready.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("telling that the lab is ready: %w", err)
	}
	return nil
}

func (d *daemon) start(ctx context.Context) error {
	var err error
	if d.record, err = d.place.readRecord(); err != nil {
		return err
	}
	d.place.name, d.place.run = d.record.Spec.Name, d.record.RunDir
	if d.password, err = d.place.password(); err != nil {
		return err
	}
	if err := d.identify(); err != nil {
		return err
	}
	if err := d.makeNetwork(); err != nil {
		return err
	}
	if d.accel, err = accelerator(ctx, d.place.dir, d.record.Spec.Accelerator); err != nil {
		return err
	}
	for i, spec := range d.record.Spec.Machines {
		s, err := d.makeServer(i, spec)
		if err != nil {
			return err
		}
		d.servers = append(d.servers, s)
		if err := d.serveBMC(s); err != nil {
			return err
		}
	}
	if err := d.forward(ctx); err != nil {
		return err
	}
	if err := d.control(ctx); err != nil {
		return err
	}
	for _, s := range d.servers {
		if err := s.bmc.Restore(ctx); err != nil {
			return fmt.Errorf("restoring the power of %q: %w", s.spec.Name, err)
		}
	}
	return nil
}

// identify writes down who and where the daemon is, for Down and Exec.
func (d *daemon) identify() error {
	var stat syscall.Stat_t
	if err := syscall.Stat("/proc/self/ns/net", &stat); err != nil {
		return fmt.Errorf("looking at the network namespace: %w", err)
	}
	d.record.NamespaceInode = stat.Ino
	d.record.DaemonPID = os.Getpid()
	return statefile.WriteJSON(d.place.recordFile(), d.record)
}

func (d *daemon) makeNetwork() error {
	spec := d.record.Spec
	bridge, err := spec.bridge()
	if err != nil {
		return err
	}
	layout := network.Layout{Bridge: bridge}
	for i, m := range spec.Machines {
		address, err := spec.bmcAddress(i)
		if err != nil {
			return err
		}
		layout.Aliases = append(layout.Aliases, address)
		for n := range m.NICs {
			layout.Taps = append(layout.Taps, tap(i, n))
		}
	}
	return network.Configure(layout)
}

func (d *daemon) makeServer(i int, spec MachineSpec) (*server, error) {
	hardware, err := d.record.Spec.hardware(spec)
	if err != nil {
		return nil, err
	}
	address, err := d.record.Spec.bmcAddress(i)
	if err != nil {
		return nil, err
	}
	s := &server{spec: spec, address: address.String()}
	s.config = machine.Config{Hardware: hardware, Dir: d.place.machineDir(spec.Name), Accelerator: d.accel.Accelerator, Logger: d.logger}
	for n := range spec.NICs {
		s.config.Taps = append(s.config.Taps, tap(i, n))
	}
	if spec.Firmware == bmc.FirmwareUEFI {
		if s.config.Firmware, err = machine.FindFirmware(); err != nil {
			return nil, err
		}
	}
	if s.machine, err = machine.New(s.config); err != nil {
		return nil, err
	}
	s.bmc, err = bmc.New(bmc.Config{
		Hardware: hardware, Machine: s.machine, Username: d.record.Spec.BMCUser, Password: d.password, Dir: s.config.Dir,
		Quirks: spec.BMCQuirks, Address: address.AsSlice(), MAC: mac(d.record.Spec.Name, spec.Name, "bmc"), Logger: d.logger,
	})
	return s, err
}

func (d *daemon) serveBMC(s *server) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(s.address, "443"))
	if err != nil {
		return fmt.Errorf("opening BMC of %q: %w", s.spec.Name, err)
	}
	d.work.Go(func() {
		if err := s.bmc.Serve(listener); err != nil {
			d.logger.Error("BMC stopped", "machine", s.spec.Name, "error", err)
		}
	})
	return nil
}

// forward serves the inherited sockets, in the order in which Up opened them.
func (d *daemon) forward(ctx context.Context) error {
	var targets []string
	for _, s := range d.servers {
		targets = append(targets, net.JoinHostPort(s.address, "443"))
	}
	for _, f := range d.record.Spec.Forwards {
		targets = append(targets, f.Target)
	}
	for i, target := range targets {
		file := inherited(firstForwardFD+i, "forward to "+target)
		listener, err := net.FileListener(file)
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("opening forward to %q: %w", target, err)
		}
		d.work.Go(func() {
			if err := network.Forward(ctx, listener, target, d.logger); err != nil {
				d.logger.Error("forward stopped", "target", target, "error", err)
			}
		})
	}
	return nil
}

// stop closes the BMCs before it takes the power away, so that the machines
// that are on come back at the next start.
func (d *daemon) stop() error {
	var errs []error
	for _, s := range d.servers {
		errs = append(errs, s.bmc.Close())
	}
	for _, s := range d.servers {
		errs = append(errs, s.machine.PowerOff(context.Background()))
	}
	d.work.Wait()
	d.logger.Info("lab is down", "name", d.place.name)
	return errors.Join(errs...)
}
