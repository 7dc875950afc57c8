package bmc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// UnsupportedError is a wish that this BMC can't fulfil. It travels inside a
// *fault.Error.
type UnsupportedError struct {
	// What is the capability: "power action", "boot target".
	What string
	// Wanted is what was asked for.
	Wanted string
	// Works is what would work, as far as the BMC says.
	Works []string
}

func (e *UnsupportedError) Error() string {
	works := "nothing it names"
	if len(e.Works) > 0 {
		works = strings.Join(e.Works, ", ")
	}
	return fmt.Sprintf("%s %q is not supported; supported: %s", e.What, e.Wanted, works)
}

// Difference is one property that reads back other than it was written.
type Difference struct{ Property, Want, Got string }

// MismatchError is a write that the BMC took but that doesn't read back. It
// travels inside a *fault.Error.
type MismatchError struct{ Differences []Difference }

func (e *MismatchError) Error() string {
	var parts []string
	for _, d := range e.Differences {
		parts = append(parts, fmt.Sprintf("%s is %q, asked for %q", d.Property, d.Got, d.Want))
	}
	return "reads back different: " + strings.Join(parts, ", ")
}

func subject(base *url.URL) string { return fmt.Sprintf("bmc %q", base.String()) }

// transportFault classes a request that got no answer.
func transportFault(base *url.URL, err error) *fault.Error {
	f := &fault.Error{Subject: subject(base), Err: err}
	if certificateFault(f, err) {
		return f
	}
	f.Class, f.Attribute = fault.Retryable, "bmc.url"
	f.Summary = "the BMC can't be reached"
	f.Expected = "an answer from " + base.Host
	f.Advice = "check that the address is right, that the BMC is up and that its network is reachable from here"
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var netErr net.Error
	switch {
	case errors.Is(err, context.Canceled):
		f.Summary, f.Seen, f.Advice = "the request was cancelled", "cancelled before "+base.Host+" answered", ""
	case errors.Is(err, errTooLarge):
		f.Summary, f.Seen = "the BMC's answer is too large", fmt.Sprintf("more than %d bytes", maxBody)
		f.Expected, f.Advice = "a Redfish resource", "check that the URL is that of a BMC"
	case errors.As(err, &dns):
		f.Seen = fmt.Sprintf("DNS: the name %q does not resolve", base.Hostname())
	case errors.Is(err, syscall.ECONNREFUSED):
		f.Seen = fmt.Sprintf("%s: connection refused", base.Host)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"), errors.As(err, &record):
		f.Class = fault.NeedsPerson
		f.Summary, f.Seen = "the BMC does not speak TLS on this port", base.Host+": TLS: an answer that is not TLS"
		f.Advice = "correct the port, or the scheme, of bmc.url"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &netErr) && netErr.Timeout():
		f.Seen = fmt.Sprintf("%s: timeout", base.Host)
	case strings.Contains(err.Error(), "tls:"):
		f.Seen = fmt.Sprintf("%s: TLS handshake failed: %v", base.Host, rootCause(err))
		f.Advice = "check that the BMC's firmware offers TLS 1.2 or later"
	default:
		f.Seen = fmt.Sprintf("%s: %v", base.Host, rootCause(err))
	}
	return f
}

// certificateFault fills f and says true when err is about trust.
func certificateFault(f *fault.Error, err error) bool {
	f.Class = fault.NeedsPerson
	var pin *pinError
	if errors.As(err, &pin) {
		f.Attribute, f.Summary = "bmc.fingerprint", "the BMC's certificate is not the pinned one"
		f.Seen, f.Expected = "fingerprint "+pin.seen, "fingerprint "+pin.want
		f.Advice = "if the BMC's certificate was renewed on purpose, set bmc.fingerprint to the one seen; otherwise find out who answers at this address. No password was sent"
		return true
	}
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &verify) && !errors.As(err, &unknown) {
		return false
	}
	f.Attribute, f.Summary = "bmc.ca", "the BMC's certificate can't be verified"
	f.Seen = rootCause(err).Error()
	f.Expected = "a certificate that verifies against bmc.ca or the system's roots, for the name in bmc.url"
	if verify != nil && len(verify.UnverifiedCertificates) > 0 {
		f.Seen += "; its fingerprint is " + fingerprint(verify.UnverifiedCertificates[0].Raw)
	}
	f.Advice = "compare the fingerprint with the one that the BMC itself displays and set bmc.fingerprint, or give its authority as bmc.ca. No password was sent"
	return true
}

func rootCause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
