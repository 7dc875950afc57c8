package facility

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"time"
)

// keyPair is the certificate of the installer service. Installers and new nodes
// trust nothing but this very certificate, whose digest they are given, so its
// names do not matter, and it is made once per facility.
type keyPair struct {
	Certificate []byte `json:"certificate"` // DER
	Key         []byte `json:"key"`         // PKCS #8 DER
}

func (s *store) keyPair(now time.Time) (keyPair, error) {
	var pair keyPair
	if found, err := s.get(bucketSite, "certificate", &pair); found || err != nil {
		return pair, err
	}
	pair, err := newKeyPair(now)
	if err != nil {
		return pair, fmt.Errorf("making the installer service's certificate: %w", err)
	}
	return pair, s.put(bucketSite, "certificate", pair)
}

func newKeyPair(now time.Time) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return keyPair{}, err
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "metal facility agent"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(20, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return keyPair{}, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	return keyPair{Certificate: der, Key: raw}, err
}

func (k keyPair) tls() (tls.Certificate, error) {
	key, err := x509.ParsePKCS8PrivateKey(k.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading the installer service's key: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{k.Certificate}, PrivateKey: key}, nil
}

// pin is the SHA-256 of the certificate in hex, as order.CmdlinePin has it.
func (k keyPair) pin() string {
	sum := sha256.Sum256(k.Certificate)
	return hex.EncodeToString(sum[:])
}

// pinSPKI is the SHA-256 of the public key in base64, as curl's --pinnedpubkey
// has it.
func (k keyPair) pinSPKI() (string, error) {
	cert, err := x509.ParseCertificate(k.Certificate)
	if err != nil {
		return "", fmt.Errorf("reading the installer service's certificate: %w", err)
	}
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}
