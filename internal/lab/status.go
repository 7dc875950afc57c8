package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab/network"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Status is what a running lab says of itself.
type Status struct {
	Name string `json:"name"`
	Dir  string `json:"dir"`
	// PID is the daemon's.
	PID int `json:"pid"`
	// Namespace is the name of the network namespace, empty without root.
	Namespace string `json:"namespace,omitempty"`
	Subnet    string `json:"subnet"`
	// Bridge is the name of the bridge, and Address its address: the agent's.
	Bridge  string `json:"bridge"`
	Address string `json:"address"`
	// Accelerator is what the machines run with, and why.
	Accelerator       string          `json:"accelerator"`
	AcceleratorReason string          `json:"accelerator_reason"`
	BMCUser           string          `json:"bmc_user"`
	BMCPasswordFile   string          `json:"bmc_password_file"`
	Forwards          []ForwardSpec   `json:"forwards,omitempty"`
	Machines          []MachineStatus `json:"machines"`
}

// MachineStatus is one server of a running lab.
type MachineStatus struct {
	Name     string   `json:"name"`
	Power    string   `json:"power"`
	Firmware string   `json:"firmware"`
	UUID     string   `json:"uuid"`
	Serial   string   `json:"serial"`
	CPUs     int      `json:"cpus"`
	MemoryMB int64    `json:"memory_mb"`
	MACs     []string `json:"macs"`
	// BMCURL is the BMC inside the lab; BMCForward the same from outside.
	BMCURL     string `json:"bmc_url"`
	BMCForward string `json:"bmc_forward"`
	// BMCFingerprint is the SHA-256, in hex, of the BMC's certificate (DER).
	BMCFingerprint string       `json:"bmc_fingerprint"`
	Disks          []DiskStatus `json:"disks"`
	Console        string       `json:"console"`
	// PID is QEMU's, 0 when the machine is off.
	PID int `json:"pid,omitempty"`
}

// DiskStatus is one disk's file.
type DiskStatus struct {
	Path      string `json:"path"`
	Serial    string `json:"serial"`
	SizeBytes int64  `json:"size_bytes"`
}

func (d *daemon) status() Status {
	spec := d.record.Spec
	s := Status{
		Name: spec.Name, Dir: d.place.dir, PID: os.Getpid(), Subnet: spec.Subnet, Bridge: network.BridgeName,
		Accelerator: d.accel.Accelerator, AcceleratorReason: d.accel.Reason,
		BMCUser: spec.BMCUser, BMCPasswordFile: d.place.passwordFile(), Forwards: spec.Forwards,
	}
	if bridge, err := spec.bridge(); err == nil {
		s.Address = bridge.String()
	}
	if !d.record.Rootless {
		s.Namespace = d.place.namespace()
	}
	for _, server := range d.servers {
		s.Machines = append(s.Machines, d.machineStatus(server))
	}
	return s
}

func (d *daemon) machineStatus(s *server) MachineStatus {
	h := s.config.Hardware
	sum := sha256.Sum256(s.bmc.Certificate())
	m := MachineStatus{
		Name: h.Name, Power: "off", Firmware: h.Firmware, UUID: h.UUID, Serial: h.Serial, CPUs: h.CPUs, MemoryMB: h.MemoryMB,
		BMCURL: "https://" + s.address, BMCForward: "https://" + d.record.BMCForwards[h.Name],
		BMCFingerprint: hex.EncodeToString(sum[:]), Console: s.config.ConsolePath(), PID: s.machine.PID(),
	}
	if s.machine.On() {
		m.Power = "on"
	}
	for _, nic := range h.NICs {
		m.MACs = append(m.MACs, nic.MAC)
	}
	for _, disk := range h.Disks {
		m.Disks = append(m.Disks, DiskStatus{Path: s.config.DiskPath(disk.ID), Serial: disk.Serial, SizeBytes: disk.SizeBytes})
	}
	return m
}

// control answers status requests on the lab's socket.
func (d *daemon) control(ctx context.Context) error {
	if err := os.Remove(d.place.socket()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("opening control socket: %w", err)
	}
	listener, err := net.Listen("unix", d.place.socket())
	if err != nil {
		return fmt.Errorf("opening control socket: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(d.status()); err != nil {
			d.logger.Debug("status client went away", "error", err)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	d.work.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.logger.Error("control socket stopped", "error", err)
		}
	})
	return nil
}

// statusTimeout bounds the answer of a daemon on the same machine.
const statusTimeout = 30 * time.Second

// maxStatus bounds it in size: 50 machines need about 50 kB.
const maxStatus = 4 << 20

// ReadStatus asks the daemon of the lab of that name.
func ReadStatus(ctx context.Context, name, dir string) (Status, error) {
	var s Status
	p, err := findPlace(name, dir)
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	var dialer net.Dialer
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", p.socket())
	}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://lab/status", nil)
	if err != nil {
		return s, fmt.Errorf("asking lab %q: %w", name, err)
	}
	response, err := client.Do(request)
	if err != nil {
		return s, &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("lab %q", name), Summary: "is not running", Seen: err.Error(),
			Expected: "a daemon that answers on " + p.socket(), Advice: fmt.Sprintf("start it with \"lab up --name %s\"", name), Err: err}
	}
	defer response.Body.Close()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxStatus)).Decode(&s); err != nil {
		return s, fmt.Errorf("asking lab %q: decoding its status: %w", name, err)
	}
	return s, nil
}

// Machine gives the status of one machine.
func (s Status) Machine(name string) (MachineStatus, error) {
	var known []string
	for _, m := range s.Machines {
		if m.Name == name {
			return m, nil
		}
		known = append(known, m.Name)
	}
	return MachineStatus{}, fmt.Errorf("finding machine %q of lab %q: it has %q", name, s.Name, known)
}
