package bmc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Config is one virtual BMC.
type Config struct {
	Hardware Hardware
	Machine  Machine
	// Username and Password are the only account.
	Username string
	Password string
	// Dir holds the certificate, the settings and the media.
	Dir string
	// Address and MAC are the BMC's own, as it shows them.
	Address net.IP
	MAC     string
	// Quirks are ways in which the BMC differs from the standard: names of
	// Quirks and Profiles.
	Quirks []string
	// Now is the clock; nil means time.Now.
	Now    func() time.Time
	Logger hclog.Logger
}

// BMC is a virtual BMC. It is a Board for its machine.
type BMC struct {
	config      Config
	certificate tls.Certificate
	router      *router
	sessions    *sessions
	quirks      []quirk
	handler     http.Handler

	// background is cancelled by Close; downloads and delayed restarts hang on it.
	background context.Context
	stop       context.CancelFunc
	working    sync.WaitGroup

	mu      sync.Mutex
	state   state
	restart bool // a graceful restart waits for the power to go off
	closed  bool
	// powerOn and powerChanged are the last change of power, for the quirks.
	powerOn      bool
	powerChanged time.Time
}

var _ Board = (*BMC)(nil)

// New makes a BMC with the settings of its directory, and attaches it to its
// machine. A machine that was on when the BMC was closed is not switched on:
// see Restore.
func New(config Config) (*BMC, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Username == "" || config.Password == "" {
		return nil, fmt.Errorf("making BMC of %q: user name and password must not be empty", config.Hardware.Name)
	}
	if err := os.MkdirAll(config.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making BMC of %q: %w", config.Hardware.Name, err)
	}
	certificate, err := loadCertificate(config.Dir, config.Hardware.Name, config.Address, config.Now())
	if err != nil {
		return nil, fmt.Errorf("making BMC of %q: %w", config.Hardware.Name, err)
	}
	b := &BMC{config: config, certificate: certificate}
	b.background, b.stop = context.WithCancel(context.Background())
	b.sessions = newSessions(config.Now)
	if err := b.loadState(); err != nil {
		return nil, fmt.Errorf("making BMC of %q: %w", config.Hardware.Name, err)
	}
	if b.quirks, err = expandQuirks(config.Quirks); err != nil {
		return nil, fmt.Errorf("making BMC of %q: %w", config.Hardware.Name, err)
	}
	b.router = b.routes()
	b.bend(b.router)
	b.handler = b.protect(http.HandlerFunc(b.serve))
	config.Machine.Attach(b)
	return b, nil
}

// Restore does what the power restore policy says after the facility's power
// came back: by default it brings back the last power state.
func (b *BMC) Restore(ctx context.Context) error {
	b.mu.Lock()
	policy, last := b.state.PowerRestorePolicy, b.state.LastPowerOn
	b.mu.Unlock()
	if policy == restoreAlwaysOn || policy == restoreLastState && last {
		return b.config.Machine.PowerOn(ctx)
	}
	return nil
}

// Serve answers on a listener until Close; TLS is added here.
func (b *BMC) Serve(listener net.Listener) error {
	server := &http.Server{
		Handler:           b.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      mediaTimeout + time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          b.config.Logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	done := context.AfterFunc(b.background, func() { server.Close() })
	defer done()
	err := server.Serve(tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{b.certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving BMC of %q: %w", b.config.Hardware.Name, err)
}

// ServeHTTP answers without TLS, for tests.
func (b *BMC) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.handler.ServeHTTP(w, r) }

// Certificate is the certificate (DER) that the BMC shows.
func (b *BMC) Certificate() []byte { return b.certificate.Certificate[0] }

// Close stops serving. What the machine does from here on, such as losing its
// power because the lab ends, no longer counts as the last power state.
func (b *BMC) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	b.working.Wait()
	return nil
}

func (b *BMC) path(name string) string { return filepath.Join(b.config.Dir, name) }
