package bmc

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Defaults of Config.
const (
	DefaultTimeout      = 30 * time.Second
	DefaultPowerTimeout = 3 * time.Minute
	DefaultBootTimeout  = 30 * time.Second
	DefaultMediaTimeout = time.Minute
)

// Config says which BMC to control and how to trust it.
type Config struct {
	// URL of the Redfish service, "https://10.0.0.5"; a path in front of
	// /redfish/v1 is kept. It must not carry credentials.
	URL string
	// Username and Password are used for one login; they are never logged.
	Username string
	Password string
	// Fingerprint pins the server certificate: SHA-256 of its DER form in hex,
	// colons allowed. Mutually exclusive with CA and Insecure.
	Fingerprint string
	// CA is a PEM bundle to verify against instead of the system's roots.
	CA string
	// Insecure accepts any certificate.
	Insecure bool
	// SystemID selects one ComputerSystem where there are several: its Id, or
	// the last segment of its path.
	SystemID string
	// Logger gets one debug line per request, without bodies. Default: none.
	Logger hclog.Logger
	// Timeout bounds one request with its answer. Default 30 s.
	Timeout time.Duration
	// PowerTimeout, BootTimeout and MediaTimeout bound how long a change may
	// take until it is read back. Defaults 3 min, 30 s and 1 min.
	PowerTimeout time.Duration
	BootTimeout  time.Duration
	MediaTimeout time.Duration
	// Cache keeps discovered paths between connections; one may serve any
	// number of BMCs. Nil discovers anew on each Connect.
	Cache *Paths
}

func (c Config) withDefaults() Config {
	fill := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	fill(&c.Timeout, DefaultTimeout)
	fill(&c.PowerTimeout, DefaultPowerTimeout)
	fill(&c.BootTimeout, DefaultBootTimeout)
	fill(&c.MediaTimeout, DefaultMediaTimeout)
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.Cache == nil {
		c.Cache = &Paths{}
	}
	return c
}

// trust is what a server certificate is judged by.
type trust struct {
	pin      []byte
	roots    *x509.CertPool
	insecure bool
}

func (c Config) trust() (trust, error) {
	given := 0
	for _, b := range []bool{c.Fingerprint != "", c.CA != "", c.Insecure} {
		if b {
			given++
		}
	}
	if given > 1 {
		return trust{}, fault.Invalid("bmc.fingerprint", "more than one way to trust the BMC's certificate",
			"several of fingerprint, ca and insecure", "one of them, or none for the system's roots")
	}
	t := trust{insecure: c.Insecure}
	if c.Fingerprint != "" {
		pin, err := parseFingerprint(c.Fingerprint)
		if err != nil {
			return trust{}, fault.Invalid("bmc.fingerprint", "not a SHA-256 fingerprint", c.Fingerprint,
				"64 hex digits, colons allowed")
		}
		t.pin = pin
	}
	if c.CA != "" {
		t.roots = x509.NewCertPool()
		if !t.roots.AppendCertsFromPEM([]byte(c.CA)) {
			return trust{}, fault.Invalid("bmc.ca", "no certificate in the CA bundle",
				fmt.Sprintf("%d bytes without a PEM certificate", len(c.CA)), "PEM blocks of type CERTIFICATE")
		}
	}
	return t, nil
}

func parseFingerprint(s string) ([]byte, error) {
	s = strings.TrimSpace(s)
	if len(s) > 7 && strings.EqualFold(s[:7], "sha256:") {
		s = s[7:]
	}
	pin, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil {
		return nil, fmt.Errorf("parsing fingerprint %q: %w", s, err)
	}
	if len(pin) != 32 {
		return nil, fmt.Errorf("parsing fingerprint %q: %d bytes instead of 32", s, len(pin))
	}
	return pin, nil
}

// parseURL gives the service's base: scheme, host, and a path prefix without
// "/redfish/v1" and trailing slash.
func parseURL(raw string) (*url.URL, error) {
	invalid := func(seen string) error {
		return fault.Invalid("bmc.url", "not the URL of a BMC", seen, `"https://address" or "https://address:port"`)
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The error of url.Parse repeats the text, which may hold a password.
		return nil, invalid("text that is no URL")
	}
	switch {
	case u.User != nil:
		return nil, invalid("a URL with credentials inside; they are given apart")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, invalid(fmt.Sprintf("scheme %q", u.Scheme))
	case u.Hostname() == "":
		return nil, invalid("no address in " + clean(raw, 100))
	case u.RawQuery != "" || u.Fragment != "":
		return nil, invalid("a query or fragment")
	}
	prefix := strings.TrimRight(u.EscapedPath(), "/")
	prefix = strings.TrimRight(strings.TrimSuffix(prefix, "/redfish/v1"), "/")
	base, err := url.Parse(u.Scheme + "://" + u.Host + prefix)
	if err != nil {
		return nil, invalid("text that is no URL")
	}
	return base, nil
}
