package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab/bmc"
)

// The user of the simulated BMCs.
const (
	mockUser     = "admin"
	mockPassword = "not-a-secret"
)

// requestTime is how long a simulated BMC takes for one request; handshakeTime
// how long for a TLS handshake where handshakes are slow. Real BMCs take 100 to
// 500 ms for one.
const (
	requestTime   = 50 * time.Millisecond
	handshakeTime = 150 * time.Millisecond
)

// mocks are BMCs, the lab's own, that answer one request at a time and slowly,
// and count.
type mocks struct {
	urls      []string
	machines  []*button
	handshake atomic.Int64 // nanoseconds
	requests  atomic.Int64
	tls       atomic.Int64
	servers   []*http.Server
	bmcs      []*bmc.BMC
}

// button is a machine that is only on or off.
type button struct {
	mu    sync.Mutex
	board bmc.Board
	on    bool
}

func (b *button) Attach(board bmc.Board) { b.board = board }

func (b *button) On() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.on
}

func (b *button) set(on bool) {
	b.mu.Lock()
	changed := b.on != on
	b.on = on
	b.mu.Unlock()
	if !changed {
		return
	}
	if on {
		b.board.NextBoot()
	}
	b.board.PowerChanged(on)
}

func (b *button) PowerOn(context.Context) error     { b.set(true); return nil }
func (b *button) PowerOff(context.Context) error    { b.set(false); return nil }
func (b *button) PressButton(context.Context) error { b.set(false); return nil }
func (b *button) Reset(context.Context) error       { b.board.NextBoot(); return nil }
func (b *button) Console() ([]byte, error)          { return nil, nil }

func startMocks(ctx context.Context, n int, dir string) (*mocks, error) {
	m := &mocks{}
	certificate, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			m.tls.Add(1)
			return nil, pause(ctx, time.Duration(m.handshake.Load()))
		}}
	for i := range n {
		if err := m.start(ctx, i, dir, config); err != nil {
			m.close()
			return nil, fmt.Errorf("starting simulated BMC %d: %w", i, err)
		}
	}
	return m, nil
}

func (m *mocks) start(ctx context.Context, i int, dir string, config *tls.Config) error {
	machine := &button{}
	name := fmt.Sprintf("server-%d", i+1)
	b, err := bmc.New(bmc.Config{Machine: machine, Username: mockUser, Password: mockPassword, Dir: filepath.Join(dir, name),
		Address: net.IPv4(127, 0, 0, 1), MAC: "02:00:00:00:00:01",
		Hardware: bmc.Hardware{Name: name, Manufacturer: "Lab", Model: "Bench", Serial: name,
			UUID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), BIOSVersion: "1", Firmware: bmc.FirmwareUEFI, CPUs: 2,
			CPUModel: "virtual", MemoryMB: 2048, NICs: []bmc.NIC{{ID: "nic-1", MAC: fmt.Sprintf("02:00:00:01:%02x:%02x", i/256, i%256), SpeedMbps: 1000}}}})
	if err != nil {
		return err
	}
	m.bmcs, m.machines = append(m.bmcs, b), append(m.machines, machine)
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var one sync.Mutex
	server := &http.Server{ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			m.requests.Add(1)
			one.Lock()
			defer one.Unlock()
			if pause(r.Context(), requestTime) == nil {
				b.ServeHTTP(w, r)
			}
		})}
	m.servers, m.urls = append(m.servers, server), append(m.urls, "https://"+listener.Addr().String())
	go func() { _ = server.Serve(tls.NewListener(listener, config)) }() // until close
	return nil
}

// reset switches all machines off and begins to count anew.
func (m *mocks) reset(handshake time.Duration) {
	for _, machine := range m.machines {
		machine.set(false)
	}
	m.handshake.Store(int64(handshake))
	m.requests.Store(0)
	m.tls.Store(0)
}

// on counts the machines that are on.
func (m *mocks) on(n int) int {
	on := 0
	for _, machine := range m.machines[:n] {
		if machine.On() {
			on++
		}
	}
	return on
}

func (m *mocks) close() {
	for _, server := range m.servers {
		_ = server.Close() // nothing is left to be lost
	}
	for _, b := range m.bmcs {
		_ = b.Close()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
