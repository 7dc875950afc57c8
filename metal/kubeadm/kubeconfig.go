package kubeadm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"time"

	"sigs.k8s.io/yaml"
)

// The administrator that certificates are made for unless told otherwise:
// kubeadm's super-admin. The group system:masters is known to the API server
// itself, so that it works from the first moment, before kubeadm has made the
// binding of the group kubeadm:cluster-admins, and whatever happens to bindings.
const (
	DefaultAdminUser  = "kubernetes-super-admin"
	DefaultAdminGroup = "system:masters"
)

// AdminOptions choose who a client certificate is for. The zero value is good.
type AdminOptions struct {
	// User is the certificate's common name; default DefaultAdminUser.
	User string
	// Groups are its organisations; default DefaultAdminGroup.
	Groups []string
	// Rand is used for the serial number; default crypto/rand.
	Rand io.Reader
}

func (o AdminOptions) withDefaults() AdminOptions {
	if o.User == "" {
		o.User = DefaultAdminUser
	}
	if len(o.Groups) == 0 {
		o.Groups = []string{DefaultAdminGroup}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return o
}

// AdminCertificate makes a client certificate signed by the cluster CA. It is
// valid for ttl from now, never longer than the CA, and backdated by a day for
// servers whose clock is behind.
func AdminCertificate(p PKI, ttl time.Duration, now time.Time, o AdminOptions) (KeyPair, error) {
	o = o.withDefaults()
	if ttl <= 0 {
		return KeyPair{}, fmt.Errorf("making a client certificate for %q: its time to live is %v, not above zero", o.User, ttl)
	}
	ca, caKey, err := p.CA.parse()
	if err != nil {
		return KeyPair{}, fmt.Errorf("making a client certificate for %q: %w", o.User, err)
	}
	notBefore, notAfter := now.Add(-backdate).UTC(), now.Add(ttl).UTC()
	if notBefore.Before(ca.NotBefore) {
		notBefore = ca.NotBefore
	}
	if notAfter.After(ca.NotAfter) {
		notAfter = ca.NotAfter
	}
	if !now.Before(notAfter) {
		return KeyPair{}, fmt.Errorf("making a client certificate for %q: the cluster CA expired at %s", o.User, ca.NotAfter.Format(time.RFC3339))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), o.Rand)
	if err != nil {
		return KeyPair{}, fmt.Errorf("making a client key for %q: %w", o.User, err)
	}
	serial, err := newSerial(o.Rand)
	if err != nil {
		return KeyPair{}, fmt.Errorf("making a client certificate for %q: %w", o.User, err)
	}
	der, err := x509.CreateCertificate(o.Rand, &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: o.User, Organization: o.Groups},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}, ca, key.Public(), caKey)
	if err != nil {
		return KeyPair{}, fmt.Errorf("signing a client certificate for %q: %w", o.User, err)
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return KeyPair{}, fmt.Errorf("encoding the client key of %q: %w", o.User, err)
	}
	return KeyPair{Certificate: encodePEM("CERTIFICATE", der), Key: keyPEM}, nil
}

type kubeconfig struct {
	APIVersion     string         `json:"apiVersion"`
	Kind           string         `json:"kind"`
	Clusters       []namedCluster `json:"clusters"`
	Users          []namedUser    `json:"users"`
	Contexts       []namedContext `json:"contexts"`
	CurrentContext string         `json:"current-context"`
}

type namedCluster struct {
	Name    string `json:"name"`
	Cluster struct {
		Server string `json:"server"`
		CA     []byte `json:"certificate-authority-data"`
	} `json:"cluster"`
}

type namedUser struct {
	Name string `json:"name"`
	User struct {
		Certificate []byte `json:"client-certificate-data"`
		Key         []byte `json:"client-key-data"`
	} `json:"user"`
}

type namedContext struct {
	Name    string `json:"name"`
	Context struct {
		Cluster string `json:"cluster"`
		User    string `json:"user"`
	} `json:"context"`
}

// AdminKubeconfig makes a kubeconfig with a fresh AdminCertificate. endpoint is
// the API server's URL, "https://address:6443". The result is a secret.
func AdminKubeconfig(p PKI, endpoint, clusterName string, ttl time.Duration, now time.Time, o AdminOptions) ([]byte, error) {
	o = o.withDefaults()
	pair, err := AdminCertificate(p, ttl, now, o)
	if err != nil {
		return nil, err
	}
	var cluster namedCluster
	cluster.Name = clusterName
	cluster.Cluster.Server, cluster.Cluster.CA = endpoint, p.CA.Certificate
	var user namedUser
	user.Name = o.User
	user.User.Certificate, user.User.Key = pair.Certificate, pair.Key
	var context namedContext
	context.Name = o.User + "@" + clusterName
	context.Context.Cluster, context.Context.User = clusterName, o.User
	out, err := yaml.Marshal(kubeconfig{
		APIVersion: "v1", Kind: "Config",
		Clusters: []namedCluster{cluster}, Users: []namedUser{user}, Contexts: []namedContext{context},
		CurrentContext: context.Name,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the kubeconfig of %q: %w", clusterName, err)
	}
	return out, nil
}
