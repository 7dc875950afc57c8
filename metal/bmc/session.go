package bmc

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

const (
	defaultSessions = "/redfish/v1/SessionService/Sessions"
	// closeGrace bounds a logout, or waiting for a login's answer, when the
	// caller's context has ended: a forgotten session occupies one of as few as
	// eight places (iDRAC, gofish issue 75) for half an hour.
	closeGrace = 5 * time.Second
)

// logIn opens a session unless another goroutine has replaced the stale one.
func (c *Client) logIn(ctx context.Context, stale string) error {
	select {
	case c.login <- struct{}{}:
		defer func() { <-c.login }()
	case <-ctx.Done():
		return transportFault(c.wire.base, ctx.Err())
	}
	auth, err := c.credential()
	if err != nil {
		return err
	}
	if auth.token != stale || auth.basic {
		return nil
	}
	p := c.known()
	remembered := p.Sessions != ""
	if !remembered && !p.Basic {
		if p, err = c.readRoot(ctx); err != nil {
			return err
		}
	}
	var a *answer
	if !p.Basic {
		if a, err = c.openSession(ctx, p.Sessions); err != nil {
			return err
		}
	}
	if a != nil && noSessions(a) && remembered {
		// Another BMC may be there by now.
		if p, err = c.readRoot(ctx); err != nil {
			return err
		}
		if !p.Basic {
			if a, err = c.openSession(ctx, p.Sessions); err != nil {
				return err
			}
		}
	}
	if p.Basic || noSessions(a) {
		// Without sessions there is only the password itself (DSP0266 "HTTP
		// Basic authentication").
		c.learn(func(p *place) { p.Sessions, p.Basic = "", true })
		c.setAuth(credential{basic: true})
		return nil
	}
	return c.take(a)
}

func noSessions(a *answer) bool {
	return a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed || a.status == http.StatusNotImplemented
}

func (c *Client) setAuth(a credential) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.auth = a
}

// openSession posts the password. Once that is sent, the answer is waited for
// a while even if ctx ends, so that the session can be deleted.
func (c *Client) openSession(ctx context.Context, where string) (*answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, transportFault(c.wire.base, err)
	}
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		t := time.NewTimer(closeGrace)
		defer t.Stop()
		select {
		case <-t.C:
			cancel()
		case <-inner.Done():
		}
	})
	defer stop()
	return c.wire.send(inner, request{method: http.MethodPost, path: where,
		body: map[string]string{"UserName": c.cfg.Username, "Password": c.cfg.Password}}, func(http.Header) {})
}

// take keeps the token of an opened session, or tells why there is none.
func (c *Client) take(a *answer) error {
	if a.ok() {
		token := a.header.Get("X-Auth-Token")
		if token == "" {
			// Some answer a failed login with 200 (bmclib supermicro.go:194).
			return c.reject(a, refusedLogin)
		}
		c.wire.veil.keep("token", token)
		c.setAuth(credential{token: token, session: sessionPath(a)})
		return nil
	}
	switch {
	case a.says("PasswordChangeRequired"):
		return c.reject(a, agedPassword)
	case a.status == http.StatusUnauthorized,
		a.says("Unauthorized", "AccessDenied", "InvalidCredential", "AuthenticationFail", "RAC0212"):
		return c.reject(a, refusedLogin)
	case a.says("SessionLimitExceeded", "RAC0218"):
		f := c.refused("logging in", a)
		f.Class, f.Advice = fault.Retryable, "close other sessions on the BMC, or wait until they time out"
		return f
	}
	return c.refused("logging in", a)
}

// sessionPath is where to delete the session: the Location header, which may be
// a whole URL, or the body's @odata.id.
func sessionPath(a *answer) string {
	if u, err := url.Parse(a.header.Get("Location")); err == nil && strings.HasPrefix(u.Path, "/redfish/") {
		return u.EscapedPath()
	} else if err == nil {
		if i := strings.Index(u.Path, "/redfish/v1/"); i > 0 { // behind a path prefix
			return u.Path[i:]
		}
	}
	var l link
	if decode(a.body, &l) == nil {
		return l.ID
	}
	return ""
}

// Close deletes the session and closes the connection. It may be called twice.
// When ctx has ended it takes up to 5 s of its own. The error, a *fault.Error,
// says that the session may be left to the BMC's time-out.
func (c *Client) Close(ctx context.Context) error {
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer cancel()
	}
	select {
	case c.login <- struct{}{}: // a login that is under way leaves a session too
		defer func() { <-c.login }()
	case <-ctx.Done():
		return transportFault(c.wire.base, ctx.Err())
	}
	c.mu.Lock()
	auth := c.auth
	c.closed, c.auth = true, credential{}
	c.mu.Unlock()
	defer c.wire.http.CloseIdleConnections()
	if auth.session == "" {
		return nil
	}
	a, err := c.wire.send(ctx, request{method: http.MethodDelete, path: auth.session, repeatable: true}, c.authorize(auth))
	if err != nil {
		return err
	}
	if a.ok() || a.status == http.StatusNotFound || a.status == http.StatusUnauthorized {
		return nil // 401 and 404: it is gone already
	}
	return c.refused("closing the session", a)
}
