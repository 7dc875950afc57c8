package bmc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"net"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// pinError is a certificate other than the pinned one.
type pinError struct{ seen, want string }

func (e *pinError) Error() string {
	return fmt.Sprintf("certificate fingerprint %s is not the pinned %s", e.seen, e.want)
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// tlsConfig applies t. VerifyConnection rather than VerifyPeerCertificate
// checks the pin, because it also runs when a session is resumed.
func (t trust) tlsConfig() *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: t.roots, InsecureSkipVerify: t.insecure || t.pin != nil}
	if t.pin != nil {
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return &pinError{seen: "(none)", want: hex.EncodeToString(t.pin)}
			}
			der := s.PeerCertificates[0].Raw
			if sum := sha256.Sum256(der); !bytes.Equal(sum[:], t.pin) {
				return &pinError{seen: fingerprint(der), want: hex.EncodeToString(t.pin)}
			}
			return nil
		}
	}
	return cfg
}

// FetchFingerprint gives the SHA-256 of the DER form of the certificate that
// the BMC at url shows, in lower-case hex, without sending it anything. It is
// what a person compares with the BMC's own display before pinning it. At most
// 30 s; errors are *fault.Error.
func FetchFingerprint(ctx context.Context, url string) (string, error) {
	base, err := parseURL(url)
	if err != nil {
		return "", err
	}
	if base.Scheme != "https" {
		return "", fault.Invalid("bmc.url", "no certificate without TLS", base.Scheme, "https")
	}
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	port := base.Port()
	if port == "" {
		port = "443"
	}
	// Nothing is verified on purpose: the answer is what is to be verified.
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second},
		Config: &tls.Config{InsecureSkipVerify: true, ServerName: base.Hostname()}}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(base.Hostname(), port))
	if err != nil {
		return "", transportFault(base, err)
	}
	defer conn.Close()
	certs := conn.(*tls.Conn).ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return "", &fault.Error{Class: fault.NeedsPerson, Subject: subject(base), Attribute: "bmc.url",
			Summary: "the server shows no certificate", Advice: "check that the URL is that of the BMC's web server"}
	}
	return fingerprint(certs[0].Raw), nil
}
