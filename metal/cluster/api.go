package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
)

const (
	requestTimeout = 30 * time.Second
	// adminTTL is the life of our own client certificate; it covers a clock that
	// is off and the longest bootstrap timeout.
	adminTTL   = 48 * time.Hour
	systemNS   = "kube-system"
	userAgent  = "nanometal"
	pageSize   = 500
	maxObjects = 50000
)

var (
	nodesGVR   = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
	podsGVR    = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	secretsGVR = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
)

// connection is how one cluster's API server is asked.
type connection struct {
	transport *http.Transport
	dialer    *dialer
	discovery *discovery.DiscoveryClient
	dynamic   dynamic.Interface
	mapper    *restmapper.DeferredDiscoveryRESTMapper
}

// connect prepares a connection with a fresh administrator's certificate. It
// sends nothing.
func (m *Manager) connect(rec Record) (*connection, error) {
	pair, err := kubeadm.AdminCertificate(rec.PKI, adminTTL, m.Now(), kubeadm.AdminOptions{User: "nanometal", Rand: m.Rand})
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("loading the client certificate for cluster %q: %w", rec.Spec.Name, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(rec.PKI.CA.Certificate) {
		return nil, fmt.Errorf("loading the CA of cluster %q: no certificate", rec.Spec.Name)
	}
	// A transport of our own: client-go keeps those that it makes for ever.
	d := &dialer{dial: m.Dial}
	c := &connection{dialer: d, transport: &http.Transport{
		DialContext:         d.DialContext,
		TLSClientConfig:     &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, Time: m.Now},
		TLSHandshakeTimeout: requestTimeout, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}}
	// No rate limit of client-go's (QPS -1): the polls have pauses of their own.
	config := &rest.Config{Host: rec.Endpoint, Transport: c.transport, Timeout: requestTimeout, QPS: -1, UserAgent: userAgent}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing the client of cluster %q: %w", rec.Spec.Name, err)
	}
	if c.discovery, err = discovery.NewDiscoveryClientForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("preparing the client of cluster %q: %w", rec.Spec.Name, err)
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("preparing the client of cluster %q: %w", rec.Spec.Name, err)
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.discovery))
	return c, nil
}

// close ends all that goes on and leaves no connection behind.
func (c *connection) close() {
	c.transport.CloseIdleConnections()
	c.dialer.closeAll()
}

// look asks for all that decisions need. It fails when the API server is not ready.
func (c *connection) look(ctx context.Context, rec Record) (*apiView, error) {
	if err := c.discovery.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return nil, fmt.Errorf("asking the API server whether it is ready: %w", err)
	}
	var v apiView
	var err error
	if v.Nodes, err = c.nodes(ctx); err != nil {
		return nil, err
	}
	if v.TokenExpires, err = c.tokenExpires(ctx, rec.Token); err != nil {
		return nil, err
	}
	if v.Pending, err = c.pendingPods(ctx); err != nil {
		return nil, err
	}
	return &v, nil
}

// list gives all objects of a kind, page by page.
func (c *connection) list(ctx context.Context, what schema.GroupVersionResource, namespace string, o metav1.ListOptions) ([]unstructured.Unstructured, error) {
	o.Limit = pageSize
	var out []unstructured.Unstructured
	for {
		page, err := c.dynamic.Resource(what).Namespace(namespace).List(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", what.Resource, err)
		}
		out = append(out, page.Items...)
		if len(out) > maxObjects {
			return nil, fmt.Errorf("listing %s: more than %d", what.Resource, maxObjects)
		}
		if o.Continue = page.GetContinue(); o.Continue == "" {
			return out, nil
		}
	}
}

func (c *connection) nodes(ctx context.Context) (map[string]Node, error) {
	items, err := c.list(ctx, nodesGVR, "", metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	out := make(map[string]Node, len(items))
	for _, item := range items {
		out[item.GetName()] = toNode(item)
	}
	return out, nil
}

func toNode(u unstructured.Unstructured) Node {
	n := Node{Name: u.GetName(), Role: RoleWorker, Ready: condition(u, "Ready")}
	if _, ok := u.GetLabels()["node-role.kubernetes.io/control-plane"]; ok {
		n.Role = RoleControlPlane
	}
	n.Version, _, _ = unstructured.NestedString(u.Object, "status", "nodeInfo", "kubeletVersion")
	for _, address := range objects(u.Object, "status", "addresses") {
		if address["type"] == "InternalIP" && n.Address == "" {
			n.Address, _ = address["address"].(string)
		}
	}
	return n
}

// condition says whether a condition of the object's status is "True".
func condition(u unstructured.Unstructured, kind string) bool {
	for _, c := range objects(u.Object, "status", "conditions") {
		if c["type"] == kind {
			return c["status"] == "True"
		}
	}
	return false
}

// objects gives the mappings of the list at a path; what is not one is passed over.
func objects(object map[string]any, path ...string) []map[string]any {
	value, _, err := unstructured.NestedFieldNoCopy(object, path...)
	list, ok := value.([]any)
	if err != nil || !ok {
		return nil
	}
	var out []map[string]any
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// tokenExpires is zero when there is no such token.
func (c *connection) tokenExpires(ctx context.Context, t kubeadm.Token) (time.Time, error) {
	secret, err := c.dynamic.Resource(secretsGVR).Namespace(systemNS).Get(ctx, tokenName(t), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("asking for the bootstrap token: %w", err)
	}
	return expiry(secret)
}

// pendingPods names the pods of kube-system that don't run; that there is none
// at all counts as one.
func (c *connection) pendingPods(ctx context.Context) ([]string, error) {
	pods, err := c.list(ctx, podsGVR, systemNS, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return []string{"none yet"}, nil
	}
	var out []string
	for _, pod := range pods {
		if why := pending(pod); why != "" {
			out = append(out, pod.GetName()+" ("+why+")")
		}
	}
	return out, nil
}

// pending says why a pod does not run; empty when it does.
func pending(pod unstructured.Unstructured) string {
	phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase")
	if phase != "Running" && phase != "Succeeded" {
		return phase
	}
	for _, container := range objects(pod.Object, "status", "containerStatuses") {
		if reason, _, _ := unstructured.NestedString(container, "state", "waiting", "reason"); reason != "" {
			return reason
		}
	}
	return ""
}
