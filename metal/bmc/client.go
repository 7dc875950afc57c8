package bmc

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Client controls one server over one connection. Its methods may be called
// from several goroutines; requests to the BMC are sent one at a time.
type Client struct {
	cfg  Config
	wire *wire
	key  string // in cfg.Cache

	login chan struct{} // held while logging in
	mu    sync.Mutex    // guards what follows
	auth  credential
	// rejected is set once the BMC refused the password: it is never sent again.
	rejected *fault.Error
	closed   bool
	seen     *computerSystem
	// noConsole remembers that there is no console log.
	noConsole bool

	now   func() time.Time
	pause func(context.Context, time.Duration) error
}

// credential is how requests are authorized: by a session's token, or by
// password where there are no sessions.
type credential struct {
	token   string
	session string
	basic   bool
}

// Connect logs in, once, and finds the server behind the BMC. Where there is no
// session service, each request carries the password. A password that is
// refused is not tried again, because repeated failures lock accounts. The
// caller closes the client. Errors are *fault.Error.
func Connect(ctx context.Context, cfg Config) (*Client, error) {
	c, err := newClient(cfg)
	if err != nil {
		return nil, err
	}
	if err := c.connect(ctx); err != nil {
		if closing := c.Close(ctx); closing != nil {
			c.cfg.Logger.Warn("closing after a failed connect", "error", closing)
		}
		return nil, err
	}
	return c, nil
}

func newClient(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	base, err := parseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	t, err := cfg.trust()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, key: pathsKey(base.String(), cfg.SystemID), login: make(chan struct{}, 1), now: time.Now, pause: pause}
	c.wire = newWire(base, t, cfg.Timeout, cfg.Logger)
	c.wire.veil.keep("password", cfg.Password)
	c.wire.veil.keep("basic", cfg.Username+":"+cfg.Password)
	if base.Scheme == "http" {
		cfg.Logger.Warn("the BMC's password is sent without encryption", "url", base.String())
	}
	return c, nil
}

func (c *Client) connect(ctx context.Context) error {
	if err := c.logIn(ctx, ""); err != nil {
		return err
	}
	_, _, err := c.systemPath(ctx)
	return err
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// LastAnswer is the last request and what came of it, one line of at most 500
// bytes without secrets, for diagnostics.
func (c *Client) LastAnswer() string { return c.wire.lastAnswer() }

// Requests counts what was sent and how many connections it took.
func (c *Client) Requests() (requests, connections int64) {
	return c.wire.requests.Load(), c.wire.connections.Load()
}

func (c *Client) subject() string { return subject(c.wire.base) }

func (c *Client) evidence() []string { return []string{c.LastAnswer()} }

func (c *Client) learn(change func(*place)) { c.cfg.Cache.update(c.key, change) }

func (c *Client) known() place { return c.cfg.Cache.get(c.key) }

func quoted(s string) string { return fmt.Sprintf("%q", clean(s, maxText)) }

// authorize adds what auth has to a request.
func (c *Client) authorize(auth credential) func(http.Header) {
	return func(h http.Header) {
		switch {
		case auth.token != "":
			h.Set("X-Auth-Token", auth.token)
		case auth.basic:
			h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(c.cfg.Username+":"+c.cfg.Password)))
		}
	}
}

// send sends an authorized request. A session that the BMC forgot (time-out,
// restart of the BMC) is renewed once: its password was accepted before.
func (c *Client) send(ctx context.Context, r request) (*answer, error) {
	auth, err := c.credential()
	if err != nil {
		return nil, err
	}
	a, err := c.wire.send(ctx, r, c.authorize(auth))
	if err != nil || a.status != http.StatusUnauthorized {
		return a, err
	}
	if auth.basic {
		return nil, c.reject(a, refusedLogin)
	}
	if err := c.logIn(ctx, auth.token); err != nil {
		return nil, err
	}
	if auth, err = c.credential(); err != nil {
		return nil, err
	}
	if a, err = c.wire.send(ctx, r, c.authorize(auth)); err != nil || a.status != http.StatusUnauthorized {
		return a, err
	}
	return nil, c.wire.veilFault(&fault.Error{Class: fault.NeedsPerson, Subject: c.subject(), Attribute: "bmc.credentials",
		Summary: "the BMC refuses a session that it has just opened", Seen: a.line, Evidence: c.evidence(),
		Advice: "check the account's privileges on the BMC, and restart the BMC if they are right"})
}

func (c *Client) credential() (credential, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.rejected != nil:
		again := *c.rejected // callers add to faults
		return credential{}, &again
	case c.closed:
		return credential{}, &fault.Error{Class: fault.Retryable, Subject: c.subject(), Summary: "the connection to the BMC is closed"}
	}
	return c.auth, nil
}

// Why a login is not tried again.
const (
	refusedLogin = "the BMC refuses the username or password"
	agedPassword = "the BMC wants the password to be changed first"
)

// reject remembers that the login is refused, and why.
func (c *Client) reject(a *answer, why string) *fault.Error {
	f := c.wire.veilFault(&fault.Error{Class: fault.NeedsPerson, Subject: c.subject(), Attribute: "bmc.credentials",
		Summary: why, Seen: a.line, Expected: "a login that is accepted", Evidence: c.evidence(),
		Advice: "correct the credentials, on the BMC or here; they were tried once and won't be tried again by themselves, because BMCs lock accounts"})
	kept := *f
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rejected = &kept
	return f
}

// transient are identifiers of messages that mean "later": HPE during POST
// (ironic redfish-post-boot-retry), iDRAC whose data sources are not up (sushy
// SYS518, badfish issue 129), DMTF's Base registry.
var transient = []string{"DuringSystemPOST", "InPostState", "SYS518", "SWC0700", "ServiceTemporarilyUnavailable",
	"ServiceInUnknownState", "ServiceShuttingDown", "ResourceInStandby", "ResourceInUse", "OperationTimeout", "RAC0218", "SessionLimitExceeded"}

// refused is the fault of an answer that is not a success.
func (c *Client) refused(doing string, a *answer) *fault.Error {
	f := &fault.Error{Class: fault.NeedsPerson, Subject: c.subject(), Seen: a.line, Evidence: c.evidence(),
		Summary: doing + " failed"}
	for _, m := range a.messages() {
		if m.Resolution != "" && !strings.EqualFold(m.Resolution, "none") {
			f.Advice = "the BMC says: " + clean(c.wire.veil.hide(m.Resolution), 300)
			break
		}
	}
	advise := func(class fault.Class, attribute, advice string) {
		f.Class, f.Attribute = class, attribute
		if f.Advice == "" {
			f.Advice = advice
		}
	}
	switch {
	case a.status >= 300 && a.status < 400:
		f.Seen += ", redirected to " + quoted(a.header.Get("Location"))
		advise(fault.NeedsPerson, "bmc.url", "set bmc.url to where it redirects, if that is the BMC; redirects are not followed")
	case a.status == http.StatusForbidden:
		advise(fault.NeedsPerson, "bmc.credentials", "give the account the privilege to configure and control the server")
	case a.status >= 500 && a.status != http.StatusNotImplemented, a.says(transient...), a.status == http.StatusNotFound,
		a.status == http.StatusConflict, a.status == http.StatusPreconditionFailed, a.status == http.StatusTooManyRequests,
		a.status == http.StatusRequestTimeout, a.status == http.StatusLocked:
		advise(fault.Retryable, "", "if it stays so, restart the BMC or update its firmware")
	default:
		advise(fault.NeedsPerson, "", "look up the message in the vendor's Redfish documentation; a firmware update may help")
	}
	return c.wire.veilFault(f)
}
