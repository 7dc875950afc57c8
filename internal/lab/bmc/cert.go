package bmc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab/statefile"
)

const certificateFile = "bmc.pem"

// loadCertificate reads the BMC's certificate and key, or makes them at the
// first start; they stay the same, so that a pinned fingerprint does.
func loadCertificate(dir, name string, address net.IP, now time.Time) (tls.Certificate, error) {
	path := filepath.Join(dir, certificateFile)
	pair, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if pair, err = makeCertificate(name, address, now); err == nil {
			err = statefile.Write(path, pair)
		}
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("loading certificate: %w", err)
	}
	certificate, err := tls.X509KeyPair(pair, pair)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("loading certificate %q: %w", path, err)
	}
	return certificate, nil
}

func makeCertificate(name string, address net.IP, now time.Time) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name + "-bmc"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{name + "-bmc"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if address != nil && !address.IsLoopback() {
		template.IPAddresses = append(template.IPAddresses, address)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}
