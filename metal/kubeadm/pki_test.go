package kubeadm

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

var epoch = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func testPKI(t *testing.T) PKI {
	t.Helper()
	p, err := NewPKI(rand.Reader, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPKI(t *testing.T) {
	p := testPKI(t)
	seen := map[string]bool{}
	for name, pair := range map[string]KeyPair{"kubernetes": p.CA, "front-proxy-ca": p.FrontProxyCA, "etcd-ca": p.EtcdCA} {
		cert, key, err := pair.parse()
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AddCert(cert)
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: epoch, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if cert.Subject.CommonName != name || !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
			t.Errorf("%s: subject %q, CA %v, usage %b", name, cert.Subject.CommonName, cert.IsCA, cert.KeyUsage)
		}
		if cert.NotAfter.Sub(epoch) != caValidity || epoch.Sub(cert.NotBefore) != backdate {
			t.Errorf("%s: valid from %v to %v", name, cert.NotBefore, cert.NotAfter)
		}
		if k := key.Public().(*ecdsa.PublicKey); k.Curve.Params().Name != "P-256" {
			t.Errorf("%s: curve %s", name, k.Curve.Params().Name)
		}
		seen[cert.SerialNumber.String()] = true
	}
	if len(seen) != 3 {
		t.Errorf("serial numbers are not unique: %v", seen)
	}
	block, _ := pem.Decode(p.ServiceAccount.Certificate)
	if block == nil || block.Type != "PUBLIC KEY" {
		t.Errorf("service account public key: %s", p.ServiceAccount.Certificate)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestPKIWithoutRandomness(t *testing.T) {
	if _, err := NewPKI(broken{}, epoch); err == nil || !strings.Contains(err.Error(), `"kubernetes": no entropy`) {
		t.Errorf("got %v", err)
	}
	if _, err := NewToken(broken{}); err == nil {
		t.Error("NewToken gave a token without randomness")
	}
}

// What shows a PKI must not show its keys; what stores it must not lose them.
func TestSecretsStayHidden(t *testing.T) {
	p := testPKI(t)
	token := Token("abcdef.0123456789abcdef")
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "pki", p, "key", p.CA.Key, "token", token)
	var shown strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&shown, verb+verb+verb+verb+verb, p, &p, p.CA, token, struct{ P PKI }{p})
	}
	all := shown.String() + logged.String()
	key := string(p.CA.Key)
	for _, secret := range []string{key[40:80], fmt.Sprintf("%x", []byte(key[40:60])), "0123456789abcdef", fmt.Sprintf("%d", []byte(key[40:60]))} {
		if strings.Contains(all, strings.Trim(secret, "[]")) {
			t.Errorf("formatting shows %q", secret)
		}
	}
	stored, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back PKI
	if err := json.Unmarshal(stored, &back); err != nil {
		t.Fatal(err)
	}
	if !back.Equal(p) || !bytes.Equal(back.ServiceAccount.Key, p.ServiceAccount.Key) || !bytes.Equal(back.EtcdCA.Key, p.EtcdCA.Key) {
		t.Error("JSON and back gives another PKI")
	}
}

func TestKubeconfig(t *testing.T) {
	p := testPKI(t)
	raw, err := AdminKubeconfig(p, "https://172.30.0.11:6443", "mgmt", time.Hour, epoch, AdminOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var k kubeconfig
	if err := yaml.UnmarshalStrict(raw, &k); err != nil {
		t.Fatal(err)
	}
	if k.CurrentContext != "kubernetes-super-admin@mgmt" || k.Contexts[0].Context.User != k.Users[0].Name || k.Clusters[0].Cluster.Server != "https://172.30.0.11:6443" {
		t.Errorf("got context %q of %+v", k.CurrentContext, k.Contexts)
	}
	if _, err := tls.X509KeyPair(k.Users[0].User.Certificate, k.Users[0].User.Key); err != nil {
		t.Error(err)
	}
	block, _ := pem.Decode(k.Users[0].User.Certificate)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(k.Clusters[0].Cluster.CA)
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for at, valid := range map[time.Duration]bool{-23 * time.Hour: true, 0: true, 59 * time.Minute: true, 61 * time.Minute: false} {
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: epoch.Add(at), KeyUsages: usages})
		if (err == nil) != valid {
			t.Errorf("at %v: %v, want valid %v", at, err, valid)
		}
	}
	if cert.Subject.CommonName != DefaultAdminUser || len(cert.Subject.Organization) != 1 || cert.Subject.Organization[0] != DefaultAdminGroup {
		t.Errorf("subject %v", cert.Subject)
	}
}

func TestAdminCertificateBounds(t *testing.T) {
	p := testPKI(t)
	if _, err := AdminCertificate(p, 0, epoch, AdminOptions{}); err == nil {
		t.Error("a time to live of 0 was accepted")
	}
	if _, err := AdminCertificate(p, time.Hour, epoch.Add(caValidity), AdminOptions{}); err == nil || !strings.Contains(err.Error(), "CA expired") {
		t.Errorf("with an expired CA: %v", err)
	}
	if _, err := AdminCertificate(PKI{}, time.Hour, epoch, AdminOptions{}); err == nil {
		t.Error("an empty PKI signed")
	}
	pair, err := AdminCertificate(p, 100*365*24*time.Hour, epoch, AdminOptions{User: "eve", Groups: []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, _, err := pair.parse()
	if err != nil || cert.NotAfter.Sub(epoch) != caValidity || cert.Subject.CommonName != "eve" || len(cert.Subject.Organization) != 2 {
		t.Errorf("got %v until %v, %v", cert.Subject, cert.NotAfter, err)
	}
}

func TestMixedPairIsRefused(t *testing.T) {
	p := testPKI(t)
	p.CA.Key = p.EtcdCA.Key
	if _, err := AdminCertificate(p, time.Hour, epoch, AdminOptions{}); err == nil || !strings.Contains(err.Error(), "does not belong") {
		t.Errorf("got %v", err)
	}
}

func TestToken(t *testing.T) {
	counts := map[rune]int{}
	for range 400 {
		token, err := NewToken(rand.Reader)
		if err != nil || !token.Valid() || token.ID()+"."+token.SecretHalf() != token.Reveal() {
			t.Fatalf("token %q, %v", token.Reveal(), err)
		}
		for _, c := range strings.Replace(token.Reveal(), ".", "", 1) {
			counts[c]++
		}
	}
	if len(counts) != 36 {
		t.Errorf("%d different characters, want 36", len(counts))
	}
	if Token("x").ID() != "" || Token("x").SecretHalf() != "" {
		t.Error("halves of an invalid token")
	}
}
