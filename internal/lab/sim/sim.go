package sim

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Config is one simulated server. Only Dir is required.
type Config struct {
	// Dir holds the disks and the BMC's settings. A server that is made again in
	// the same directory is the same server, with the power state it had.
	Dir string
	// Name is the server's name; default "sim-1".
	Name string
	// Listen is the BMC's address; default 127.0.0.1 with any port.
	Listen string
	// Username and Password are the BMC's account; default admin and a random one.
	Username, Password string
	// DiskBytes are the sizes of the disks; default one of 64 MiB.
	DiskBytes []int64
	// NICs is the number of ports; default 1.
	NICs int
	// MemoryMB and CPUs are what the inventory says; default 4096 and 4.
	MemoryMB int64
	CPUs     int
	// NoKexec makes the installer reboot into what it wrote.
	NoKexec bool
	// IgnoreButton makes the deployed system ignore the power button, as hung
	// systems do. The installer always does.
	IgnoreButton bool
	// ReportEvery is the pause between the installer's reports; 0: its default.
	ReportEvery time.Duration
	// System is run as the deployed system, from its start until the machine
	// loses power or is reset, which ends its context. Root is the directory
	// that stands for its root file system. Nil: it does nothing.
	System func(ctx context.Context, root, cmdline string)
	// Quirks are ways in which the BMC differs from the standard: names of
	// bmc.Quirks and bmc.Profiles.
	Quirks []string
	// Now is the BMC's clock; nil: time.Now.
	Now    func() time.Time
	Logger hclog.Logger
}

// Server is a running simulated server.
type Server struct {
	// URL is the BMC's: https://127.0.0.1:port.
	URL                string
	Username, Password string
	// Fingerprint is the SHA-256, in hex, of the BMC's certificate (DER).
	Fingerprint string
	MACs        []string
	// DiskPath is the file of the first disk; DiskPaths are all.
	DiskPath  string
	DiskPaths []string
	Hardware  bmc.Hardware

	machine *machine
	bmc     *bmc.BMC
	served  chan error
}

// New makes a server with power off, or as it was when it was closed, and its
// BMC listening.
func New(config Config) (*Server, error) {
	config.complete()
	hardware := config.hardware()
	m, err := newMachine(config, hardware)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return nil, fmt.Errorf("opening BMC of %q: %w", config.Name, err)
	}
	address := listener.Addr().(*net.TCPAddr)
	b, err := bmc.New(bmc.Config{
		Hardware: hardware, Machine: m, Username: config.Username, Password: config.Password, Dir: config.Dir, Address: address.IP,
		Quirks: config.Quirks, Now: config.Now, Logger: config.Logger,
	})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	sum := sha256.Sum256(b.Certificate())
	s := &Server{
		URL: "https://" + listener.Addr().String(), Username: config.Username, Password: config.Password,
		Fingerprint: hex.EncodeToString(sum[:]), Hardware: hardware, machine: m, bmc: b, served: make(chan error, 1),
	}
	for _, disk := range hardware.Disks {
		s.DiskPaths = append(s.DiskPaths, config.diskPath(disk.ID))
	}
	s.MACs = macs(hardware)
	s.DiskPath = s.DiskPaths[0]
	go func() { s.served <- b.Serve(listener) }()
	if err := b.Restore(context.Background()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends the BMC, then the machine, which keeps its disks and settings.
func (s *Server) Close() error {
	err := s.bmc.Close()
	return errors.Join(err, <-s.served, s.machine.PowerOff(context.Background()))
}

// On says whether the server has power.
func (s *Server) On() bool { return s.machine.On() }

// Running says what runs on the server: see the Running constants.
func (s *Server) Running() string { return s.machine.running() }

// Console is the serial console since the last power-on.
func (s *Server) Console() string {
	text, _ := s.machine.Console() // never fails
	return string(text)
}

// Panic resets the machine from inside, as a kernel does that panics.
func (s *Server) Panic() { s.machine.resetFromInside() }

func (c *Config) complete() {
	if c.Name == "" {
		c.Name = "sim-1"
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Username == "" {
		c.Username = "admin"
	}
	if c.Password == "" {
		c.Password = rand.Text()
	}
	if len(c.DiskBytes) == 0 {
		c.DiskBytes = []int64{64 << 20}
	}
	c.NICs, c.CPUs = max(c.NICs, 1), max(c.CPUs, 4)
	c.MemoryMB = max(c.MemoryMB, 4096)
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
}

func (c Config) diskPath(id string) string { return filepath.Join(c.Dir, id+".raw") }

// hardware derives everything that identifies the server from its name.
func (c Config) hardware() bmc.Hardware {
	id := func(part string) [32]byte { return sha256.Sum256([]byte("sim/" + c.Name + "/" + part)) }
	u := id("uuid")
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80 // RFC 9562, version 8
	serial := id("serial")
	h := bmc.Hardware{
		Name: c.Name, Manufacturer: "nanometal", Model: "Simulated Server", Serial: fmt.Sprintf("SIM%X", serial[:5]),
		UUID:        fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:16]),
		BIOSVersion: "1.0", Firmware: bmc.FirmwareUEFI, CPUs: c.CPUs, CPUModel: "Simulated CPU", MemoryMB: c.MemoryMB,
	}
	for i, size := range c.DiskBytes {
		name := fmt.Sprintf("disk-%d", i+1)
		d := id(name)
		h.Disks = append(h.Disks, bmc.Disk{ID: name, Model: "Simulated Disk", Serial: fmt.Sprintf("DISK%X", d[:6]), SizeBytes: size})
	}
	for i := range c.NICs {
		name := fmt.Sprintf("nic-%d", i+1)
		d := id(name)
		h.NICs = append(h.NICs, bmc.NIC{ID: name, MAC: fmt.Sprintf("52:54:01:%02x:%02x:%02x", d[0], d[1], d[2]), SpeedMbps: 1000})
	}
	return h
}

func macs(h bmc.Hardware) []string {
	var all []string
	for _, nic := range h.NICs {
		all = append(all, nic.MAC)
	}
	return all
}

// facts is the inventory that the installer reports.
func facts(h bmc.Hardware) order.Inventory {
	inventory := order.Inventory{
		System:   order.System{Manufacturer: h.Manufacturer, Product: h.Model, Serial: h.Serial, UUID: h.UUID},
		CPU:      order.CPU{Model: h.CPUModel, Sockets: 1, Cores: h.CPUs, Threads: h.CPUs, Arch: "amd64"},
		Firmware: order.Firmware{Vendor: h.Manufacturer, Version: h.BIOSVersion, Mode: h.Firmware}, MemoryMB: h.MemoryMB,
	}
	for i, nic := range h.NICs {
		inventory.NICs = append(inventory.NICs, order.NIC{Name: fmt.Sprintf("eth%d", i), MAC: nic.MAC, Link: true, SpeedMbps: nic.SpeedMbps, Driver: "sim"})
	}
	return inventory
}

// fileDisks are the disks for the installer.
func (c Config) fileDisks(h bmc.Hardware) ([]*installer.FileDisk, error) {
	var disks []*installer.FileDisk
	for i, disk := range h.Disks {
		made, err := installer.NewFileDisk(c.diskPath(disk.ID), disk.SizeBytes, order.Disk{
			Name: "/dev/vd" + string(rune('a'+i)), Model: disk.Model, Vendor: h.Manufacturer, Serial: disk.Serial,
		})
		if err != nil {
			return nil, err
		}
		disks = append(disks, made)
	}
	return disks, nil
}
