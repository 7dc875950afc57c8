package bmc

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestConnectAndClose(t *testing.T) {
	f := newFake(t, "generic")
	c, err := Connect(context.Background(), f.config())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Close(ended); err != nil {
		t.Errorf("close with an ended context: %v", err)
	}
	if err := c.Close(context.Background()); err != nil {
		t.Errorf("second close: %v", err)
	}
	if len(f.sessions) != 0 || f.opened != 1 {
		t.Errorf("%d of %d sessions left", len(f.sessions), f.opened)
	}
	if _, err := c.Power(context.Background()); err == nil {
		t.Error("a closed client still works")
	}
}

func TestFailedConnectLeavesNoSession(t *testing.T) {
	f := newFake(t, "generic")
	f.on("GET /redfish/v1/Systems", answering(9, 503, "Base.1.8.ServiceTemporarilyUnavailable", "later"))
	_, err := Connect(context.Background(), f.config())
	wantFault(t, err, fault.Retryable, "", "ServiceTemporarilyUnavailable")
	if f.opened != 1 || len(f.sessions) != 0 {
		t.Errorf("%d of %d sessions left", len(f.sessions), f.opened)
	}
}

func TestCancelledLoginLeavesNoSession(t *testing.T) {
	f := newFake(t, "generic")
	ctx, cancel := context.WithCancel(context.Background())
	f.on("POST /redfish/v1/SessionService/Sessions", func(http.ResponseWriter, *http.Request, int) bool {
		cancel()
		return false
	})
	if _, err := Connect(ctx, f.config()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want cancelled", err)
	}
	if f.opened != 1 || len(f.sessions) != 0 {
		t.Errorf("%d of %d sessions left", len(f.sessions), f.opened)
	}
}

func TestWrongPasswordIsTriedOnce(t *testing.T) {
	const sessions = "POST /redfish/v1/SessionService/Sessions"
	for name, prepare := range map[string]func(*fake, *Config){
		"session": func(_ *fake, c *Config) { c.Password = "wrong" },
		"iLO's 400": func(f *fake, _ *Config) {
			f.on(sessions, answering(9, 400, "iLO.2.14.UnauthorizedLoginAttempt", "no"))
		},
		"success without a token": func(f *fake, _ *Config) {
			f.on(sessions, func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(200); return true })
		},
		"basic": func(f *fake, c *Config) {
			delete(f.tree["/redfish/v1/"], "SessionService")
			delete(f.tree["/redfish/v1/"], "Links")
			c.Password = "wrong"
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			cfg := f.config()
			prepare(f, &cfg)
			_, err := Connect(context.Background(), cfg)
			wantFault(t, err, fault.NeedsPerson, "bmc.credentials", "username or password")
			if n := len(f.log); n != 2 {
				t.Errorf("sent %d requests, want the service root and one try: %v", n, f.log)
			}
		})
	}
}

func TestRejectedSessionIsRenewedOnceAndNoMore(t *testing.T) {
	f := newFake(t, "generic")
	c := f.connect(f.config())
	f.mu.Lock()
	clear(f.sessions) // the BMC restarted
	f.mu.Unlock()
	if _, err := c.Power(context.Background()); err != nil {
		t.Fatalf("after a restart of the BMC: %v", err)
	}
	f.mu.Lock()
	clear(f.sessions)
	f.mu.Unlock()
	f.on("POST /redfish/v1/SessionService/Sessions", answering(99, 401, "Base.1.8.AccessDenied", "changed"))
	for range 3 {
		_, err := c.Power(context.Background())
		wantFault(t, err, fault.NeedsPerson, "bmc.credentials")
	}
	if n := f.count("POST /redfish/v1/SessionService/Sessions"); n != 3 {
		t.Errorf("password sent %d times, want 3: connect, renewal, one refusal", n)
	}
}

func TestBasicAuthenticationWithoutSessions(t *testing.T) {
	for name, prepare := range map[string]func(*fake){
		"absent": func(f *fake) {
			delete(f.tree["/redfish/v1/"], "SessionService")
			delete(f.tree["/redfish/v1/"], "Links")
		},
		"promised but absent": func(f *fake) {
			f.on("POST /redfish/v1/SessionService/Sessions", answering(9, 405, "Base.1.8.OperationNotAllowed", "no"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			prepare(f)
			c := f.connect(f.config())
			if p, err := c.Power(context.Background()); err != nil || p != PowerOff {
				t.Errorf("power %q, %v", p, err)
			}
			if f.opened != 0 {
				t.Errorf("%d sessions opened", f.opened)
			}
		})
	}
}

func TestSessionLimitIsRetryable(t *testing.T) {
	f := newFake(t, "idrac")
	f.on("POST /redfish/v1/SessionService/Sessions", answering(9, 503, "IDRAC.2.5.RAC0218", "The maximum number of user sessions is reached."))
	_, err := Connect(context.Background(), f.config())
	wantFault(t, err, fault.Retryable, "", "RAC0218", "close other sessions")
}

func TestTrust(t *testing.T) {
	f := newFake(t, "generic")
	print, err := FetchFingerprint(context.Background(), f.URL)
	if err != nil || print != fingerprint(certOf(f).Certificate[0]) {
		t.Fatalf("fingerprint %q, %v", print, err)
	}
	other := strings.Repeat("ab", 32)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certOf(f).Certificate[0]}))
	stranger := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: strangerCert(t)}))
	colons := strings.ToUpper(print[:2] + ":" + print[2:4] + ":" + print[4:])
	for name, tc := range map[string]struct {
		change    func(*Config)
		attribute string
		parts     []string
	}{
		"pinned":             {func(c *Config) { c.Fingerprint = print }, "", nil},
		"pinned with colons": {func(c *Config) { c.Fingerprint = colons }, "", nil},
		"authority":          {func(c *Config) { c.CA = ca }, "", nil},
		"other pin":          {func(c *Config) { c.Fingerprint = other }, "bmc.fingerprint", []string{print, other, "No password was sent"}},
		"system's roots":     {func(*Config) {}, "bmc.ca", []string{print}},
		"other authority":    {func(c *Config) { c.CA = stranger }, "bmc.ca", []string{print}},
		"no fingerprint":     {func(c *Config) { c.Fingerprint = "abc" }, "bmc.fingerprint", []string{"64 hex digits"}},
		"no PEM":             {func(c *Config) { c.CA = "abc" }, "bmc.ca", []string{"PEM"}},
		"two ways":           {func(c *Config) { c.CA, c.Insecure = ca, true }, "bmc.fingerprint", []string{"one of them"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := f.config()
			cfg.Insecure = false
			tc.change(&cfg)
			before := f.count("POST")
			c, err := Connect(context.Background(), cfg)
			if tc.attribute == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Close(context.Background()); err != nil {
					t.Error(err)
				}
				return
			}
			wantFault(t, err, fault.NeedsPerson, tc.attribute, tc.parts...)
			if f.count("POST") != before {
				t.Error("the password was sent")
			}
		})
	}
}

func strangerCert(t *testing.T) []byte {
	t.Helper()
	der, err := makeCert()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	silent := l.Addr().String() // accepts by its backlog and never answers
	defer l.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := gone.Addr().String()
	gone.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	mover := httptest.NewServer(http.RedirectHandler("https://elsewhere.example/", http.StatusMovedPermanently))
	defer mover.Close()
	for name, tc := range map[string]struct {
		url   string
		class fault.Class
		parts []string
	}{
		"refused":     {"https://" + refusing, fault.Retryable, []string{refusing, "refused"}},
		"timeout":     {"https://" + silent, fault.Retryable, []string{silent, "timeout"}},
		"DNS":         {"https://bmc.invalid", fault.Retryable, []string{"bmc.invalid", "DNS"}},
		"no TLS":      {strings.Replace(plain.URL, "http:", "https:", 1), fault.NeedsPerson, []string{"TLS"}},
		"no Redfish":  {plain.URL, fault.NeedsPerson, []string{"no Redfish service", "404"}},
		"moved":       {mover.URL, fault.NeedsPerson, []string{"301", "elsewhere.example"}},
		"no scheme":   {"10.0.0.5", fault.NeedsPerson, []string{"https://address"}},
		"credentials": {"https://u:canary@10.0.0.5", fault.NeedsPerson, []string{"credentials inside"}},
		"garbage":     {"https://u:canary@10.0.0.5:port", fault.NeedsPerson, []string{"no URL"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{URL: tc.url, Username: testUser, Password: testPassword, Insecure: true}
			switch name {
			case "timeout":
				cfg.Timeout = 300 * time.Millisecond
			case "DNS":
				cfg.Timeout = 2 * time.Second // where no resolver answers
			}
			_, err := Connect(context.Background(), cfg)
			fe := wantFault(t, err, tc.class, "bmc.url", tc.parts...)
			if strings.Contains(fe.Error()+fe.Detail(), "canary") {
				t.Errorf("secret in %v", fe)
			}
		})
	}
}

func TestSeveralSystems(t *testing.T) {
	f := newFake(t, "generic")
	f.tree["/redfish/v1/Systems"]["Members"] = []any{map[string]any{"@odata.id": "/redfish/v1/Systems/1"}, map[string]any{"@odata.id": "/redfish/v1/Systems/HGX_0/"}}
	_, err := Connect(context.Background(), f.config())
	wantFault(t, err, fault.NeedsPerson, "bmc.system_id", "1, HGX_0")
	cfg := f.config()
	cfg.SystemID = "2"
	_, err = Connect(context.Background(), cfg)
	wantFault(t, err, fault.NeedsPerson, "bmc.system_id", "1, HGX_0", `"2"`)
	for _, id := range []string{"1", "/redfish/v1/Systems/1/"} {
		cfg.SystemID = id
		if _, err := f.connect(cfg).Power(context.Background()); err != nil {
			t.Errorf("system %q: %v", id, err)
		}
	}
	f.tree["/redfish/v1/Systems"]["Members"] = []any{}
	_, err = Connect(context.Background(), f.config())
	wantFault(t, err, fault.Retryable, "bmc.url", "no system")
}

func TestRememberedPathsThatMoved(t *testing.T) {
	f := newFake(t, "generic")
	cfg := f.config()
	cfg.Cache = &Paths{}
	f.connect(cfg)
	f.mu.Lock()
	moved := f.tree["/redfish/v1/Systems/1"]
	delete(f.tree, "/redfish/v1/Systems/1")
	f.tree["/redfish/v1/Systems/Self"] = moved
	f.tree["/redfish/v1/Systems"]["Members"] = []any{map[string]any{"@odata.id": "/redfish/v1/Systems/Self"}}
	f.mu.Unlock()
	if p, err := f.connect(cfg).Power(context.Background()); err != nil || p != PowerOff {
		t.Errorf("power %q, %v", p, err)
	}
	cfg.Cache.Forget(f.URL)
	if len(cfg.Cache.known) != 0 {
		t.Errorf("not forgotten: %v", cfg.Cache.known)
	}
}

func TestCloseDuringRenewalLeavesNoSession(t *testing.T) {
	f := newFake(t, "generic")
	c := f.connect(f.config())
	f.mu.Lock()
	clear(f.sessions)
	f.mu.Unlock()
	renewing, done := make(chan struct{}), make(chan error, 1)
	f.on("POST /redfish/v1/SessionService/Sessions", func(http.ResponseWriter, *http.Request, int) bool {
		close(renewing)
		return false
	})
	go func() {
		_, err := c.Power(context.Background())
		done <- err
	}()
	<-renewing
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Logf("the request that was under way: %v", err) // it may have been in time
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.opened != 2 || len(f.sessions) != 0 {
		t.Errorf("%d of %d sessions left", len(f.sessions), f.opened)
	}
}
