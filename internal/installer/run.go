package installer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Options are Run's other inputs. Only Config is required.
type Options struct {
	Config Config
	Logger hclog.Logger
	// Log gives the log lines since its last call; they go with the reports.
	Log func() []string
	// Uptime is the time since the kernel started; nil: since Run was called.
	Uptime func() time.Duration
	// ReportEvery is the pause between reports; 0 is 1 s.
	ReportEvery time.Duration
	// GiveUpAfter is how long the agent may refuse this machine's token before
	// it powers off; 0 is 10 minutes. An agent that can't be reached is waited
	// for without end: it may be restarting.
	GiveUpAfter time.Duration
}

// ErrRefused says that the agent refused this machine for GiveUpAfter; it was
// powered off.
var ErrRefused = errors.New("the agent refuses this machine's token")

// maxBackoff bounds the pause between attempts to reach the agent.
const maxBackoff = 2 * time.Second

// maxLog is how many unsent log lines are kept.
const maxLog = 400

// Run is the installer's whole life: network, session, then reports and orders
// until an order boots the machine (nil), ctx ends, or the agent refuses it
// (ErrRefused).
func Run(ctx context.Context, m Machine, o Options) error {
	r, err := newRunner(m, o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.worker = newWorker(ctx, r.logger, r.execute)
	defer r.worker.stop()
	defer cancel() // runs before stop: the order ends at once

	inspected := make(chan error, 1)
	go func() { inspected <- r.inspect(ctx) }() // beside DHCP: it takes as long
	if err := m.Links.Up(ctx, o.Config); err != nil {
		return fmt.Errorf("bringing the network up: %w", err)
	}
	r.logger.Info("network up", "since start", r.options.Uptime().Round(time.Millisecond))
	select {
	case err := <-inspected:
		if err != nil {
			return fmt.Errorf("making the inventory: %w", err)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.loop(ctx)
}

type runner struct {
	machine Machine
	options Options
	logger  hclog.Logger
	client  *client
	images  *http.Client
	worker  *worker
	store   inventoryStore

	log     []string
	refused time.Time // since when the agent refuses; zero: it does not
	backoff time.Duration
}

func newRunner(m Machine, o Options) (*runner, error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("choosing a nonce: %w", err)
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Uptime == nil {
		began := time.Now()
		o.Uptime = func() time.Duration { return time.Since(began) }
	}
	if o.ReportEvery == 0 {
		o.ReportEvery = time.Second
	}
	if o.GiveUpAfter == 0 {
		o.GiveUpAfter = 10 * time.Minute
	}
	pinned := pinnedClient(o.Config.Pin)
	return &runner{machine: m, options: o, logger: o.Logger, images: imageClient(pinned, o.Config.AgentURL),
		client: &client{http: pinned, base: o.Config.AgentURL, token: o.Config.Token, nonce: hex.EncodeToString(nonce)}}, nil
}

func (r *runner) loop(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if r.client.key == "" {
			if err := r.openSession(ctx); err != nil {
				return err
			}
			continue
		}
		ended, err := r.turn(ctx)
		if ended || err != nil {
			return err
		}
	}
}

// openSession tries once, and pauses when it failed. The error is final.
func (r *runner) openSession(ctx context.Context) error {
	resp, err := r.client.open(ctx)
	switch {
	case err == nil:
		r.logger.Info("session open", "host", resp.Host)
		r.refused, r.backoff = time.Time{}, 0
		r.store.resend()
		return nil
	case errors.Is(err, errUnauthorized):
		if r.refused.IsZero() {
			r.refused = time.Now()
		}
		if time.Since(r.refused) >= r.options.GiveUpAfter {
			r.worker.stop()
			return errors.Join(fmt.Errorf("%w for %s", ErrRefused, r.options.GiveUpAfter), r.machine.Boot.PowerOff())
		}
	}
	r.logger.Warn("no session yet", "error", err)
	return r.pause(ctx)
}

// turn is one exchange and the pause after it.
func (r *runner) turn(ctx context.Context) (ended bool, err error) {
	changed, progress := r.worker.watch()
	report, sent := r.report(progress)
	began := time.Now()
	o, interrupted, err := r.exchange(ctx, report, changed)
	switch {
	case interrupted:
		return false, nil
	case errors.Is(err, errUnauthorized):
		r.logger.Warn("session over, opening another")
		r.client.key = ""
		return false, nil
	case err != nil:
		r.logger.Warn("agent not reached", "error", err)
		return false, r.pause(ctx)
	}
	r.backoff, r.log = 0, nil
	r.store.sent(sent)
	if next := r.worker.acknowledged(progress); next != nil {
		return r.leave(progress.OrderID, next)
	}
	r.worker.take(o)
	return false, r.wait(ctx, changed, r.options.ReportEvery-time.Since(began))
}

// leave does what ends the installer. When it fails, a plain reboot is next.
func (r *runner) leave(id string, next func() error) (ended bool, err error) {
	if err := next(); err != nil {
		r.logger.Error("cannot start the installed system, rebooting instead", "error", err)
		r.worker.instead(id, r.machine.Boot.Reboot, "reboot")
		return false, nil
	}
	return true, nil
}

func (r *runner) report(p *order.Progress) (order.Report, uint64) {
	inv, version := r.store.due()
	if r.options.Log != nil {
		r.log = append(r.log, r.options.Log()...)
		r.log = r.log[max(0, len(r.log)-maxLog):]
	}
	return order.Report{Inventory: inv, Progress: p, Uptime: r.options.Uptime(), Log: r.log}, version
}

// exchange reports. A change while the agent holds its answer interrupts it, so
// that the change is reported at once; the agent gives its order again.
func (r *runner) exchange(ctx context.Context, report order.Report, changed <-chan struct{}) (o order.Order, interrupted bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	fired := make(chan bool, 1)
	go func() {
		select {
		case <-changed:
			cancel()
			fired <- true
		case <-done:
			fired <- false
		}
	}()
	o, err = r.client.exchange(ctx, report)
	close(done)
	return o, <-fired && err != nil, err
}

// wait ends after d, at a change, or when the inventory was amended.
func (r *runner) wait(ctx context.Context, changed <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(max(0, d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-t.C:
	case amend := <-r.amendments():
		r.store.amend(amend)
	}
	return nil
}

func (r *runner) amendments() <-chan func(*order.Inventory) { return r.machine.Inspector.Amendments() }

// pause backs off after a failure.
func (r *runner) pause(ctx context.Context) error {
	r.backoff = min(max(2*r.backoff, 100*time.Millisecond), maxBackoff)
	t := time.NewTimer(r.backoff)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
