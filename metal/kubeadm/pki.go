package kubeadm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"time"
)

const (
	// caValidity is kubeadm's own (caCertificateValidityPeriod, 87600h).
	caValidity = 10 * 365 * 24 * time.Hour
	// backdate lets servers accept what we sign although their clock is behind:
	// one that keeps local time in its real-time clock is up to 14 hours off
	// until NTP has corrected it, and kubeadm dates all it signs like the CA.
	backdate = 24 * time.Hour
)

// KeyPair is a certificate with its key, both in PEM.
type KeyPair struct {
	Certificate []byte `json:"certificate"`
	Key         Secret `json:"key"`
}

// PKI is what identifies a cluster: whoever holds it is the cluster. Its JSON
// form holds the keys and is for a store that keeps secrets; no formatting verb
// or logger shows them.
type PKI struct {
	// CA signs API server, kubelet and user certificates.
	CA KeyPair `json:"ca"`
	// FrontProxyCA signs the aggregation layer's client certificate.
	FrontProxyCA KeyPair `json:"front_proxy_ca"`
	// EtcdCA signs etcd's members and clients.
	EtcdCA KeyPair `json:"etcd_ca"`
	// ServiceAccount signs service account tokens; its Certificate is the
	// public key.
	ServiceAccount KeyPair `json:"service_account"`
}

// NewPKI makes three certificate authorities (ECDSA P-256, ten years) and the
// service account key. rand is used for serial numbers; key generation uses the
// system's source whatever rand is (crypto/ecdsa since Go 1.26).
func NewPKI(rand io.Reader, now time.Time) (PKI, error) {
	var p PKI
	for _, ca := range []struct {
		name string
		into *KeyPair
	}{{"kubernetes", &p.CA}, {"front-proxy-ca", &p.FrontProxyCA}, {"etcd-ca", &p.EtcdCA}} {
		pair, err := newCA(rand, now, ca.name)
		if err != nil {
			return PKI{}, fmt.Errorf("making the certificate authority %q: %w", ca.name, err)
		}
		*ca.into = pair
	}
	pair, err := newKeyPair(rand)
	if err != nil {
		return PKI{}, fmt.Errorf("making the service account key: %w", err)
	}
	p.ServiceAccount = pair
	return p, nil
}

func newCA(rand io.Reader, now time.Time, name string) (KeyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand)
	if err != nil {
		return KeyPair{}, err
	}
	serial, err := newSerial(rand)
	if err != nil {
		return KeyPair{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		DNSNames:              []string{name},
		NotBefore:             now.Add(-backdate).UTC(),
		NotAfter:              now.Add(caValidity).UTC(),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand, template, template, key.Public(), key)
	if err != nil {
		return KeyPair{}, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return KeyPair{}, err
	}
	return KeyPair{Certificate: encodePEM("CERTIFICATE", der), Key: keyPEM}, nil
}

func newKeyPair(rand io.Reader) (KeyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand)
	if err != nil {
		return KeyPair{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return KeyPair{}, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return KeyPair{}, err
	}
	return KeyPair{Certificate: encodePEM("PUBLIC KEY", public), Key: keyPEM}, nil
}

// newSerial gives a positive number of 127 bits (RFC 5280 section 4.1.2.2
// allows 20 octets).
func newSerial(rand io.Reader) (*big.Int, error) {
	var b [16]byte
	if _, err := io.ReadFull(rand, b[:]); err != nil {
		return nil, err
	}
	b[0] &= 0x7f
	b[15] |= 1
	return new(big.Int).SetBytes(b[:]), nil
}

// encodeKey uses SEC 1 ("EC PRIVATE KEY"), the form that kubeadm writes.
func encodeKey(key *ecdsa.PrivateKey) (Secret, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return Secret(encodePEM("EC PRIVATE KEY", der)), nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// parse gives the pair's certificate and key.
func (k KeyPair) parse() (*x509.Certificate, crypto.Signer, error) {
	block, _ := pem.Decode(k.Certificate)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, nil, errors.New("reading a certificate: no CERTIFICATE block")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("reading a certificate: %w", err)
	}
	block, _ = pem.Decode(k.Key)
	if block == nil || block.Type != "EC PRIVATE KEY" {
		return nil, nil, fmt.Errorf("reading the key of %q: no EC PRIVATE KEY block", cert.Subject.CommonName)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the key of %q: %w", cert.Subject.CommonName, err)
	}
	if public, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(key.Public()) {
		return nil, nil, fmt.Errorf("reading the key of %q: it does not belong to the certificate", cert.Subject.CommonName)
	}
	return cert, key, nil
}

// CAHash is the form of the cluster CA's public key that `kubeadm join` pins:
// "sha256:" and the hex SHA-256 of its SubjectPublicKeyInfo.
func (p PKI) CAHash() (string, error) {
	block, _ := pem.Decode(p.CA.Certificate)
	if block == nil {
		return "", errors.New("hashing the cluster CA: no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("hashing the cluster CA: %w", err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// Equal says whether both are the same cluster's.
func (p PKI) Equal(q PKI) bool {
	return bytes.Equal(p.CA.Certificate, q.CA.Certificate) && bytes.Equal(p.CA.Key, q.CA.Key)
}

// Format implements fmt.Formatter for every verb.
func (p PKI) Format(s fmt.State, _ rune) { writeRedacted(s, p.String()) }

// String names the cluster CA, and no key.
func (p PKI) String() string {
	hash, err := p.CAHash()
	if err != nil {
		return "PKI(empty)"
	}
	return "PKI(ca " + hash + ")"
}

// GoString is String.
func (p PKI) GoString() string { return p.String() }

// LogValue is String.
func (p PKI) LogValue() slog.Value { return slog.StringValue(p.String()) }
