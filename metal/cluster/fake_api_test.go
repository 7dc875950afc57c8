package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/nanometal/terraform-provider-metal/metal/host"
	"github.com/nanometal/terraform-provider-metal/metal/kubeadm"
)

// fakeAPI is an API server that knows just what this package asks of one. It
// begins to answer when a control plane was booted, with that cluster's PKI.
type fakeAPI struct {
	w      *world
	server *httptest.Server

	mu      sync.Mutex
	tls     *tls.Config
	endAt   string
	objects map[string]map[string]any
	writes  []string
	// plugin is whether nodes become Ready: once the manifest's DaemonSet is there.
	plugin bool
	// heldPods are not evicted.
	heldPods map[string]bool
}

func newFakeAPI(t *testing.T, w *world) *fakeAPI {
	a := &fakeAPI{w: w, objects: map[string]map[string]any{}, heldPods: map[string]bool{}}
	a.server = httptest.NewUnstartedServer(a)
	// Connections that managers drop in the middle are part of the tests.
	a.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.server.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.tls == nil {
			return nil, errors.New("no cluster yet")
		}
		return a.tls, nil
	}}
	a.server.StartTLS()
	t.Cleanup(a.server.Close)
	return a
}

// dial stands for the network between the agent and the hosts.
func (a *fakeAPI) dial(ctx context.Context, network, address string) (net.Conn, error) {
	a.mu.Lock()
	up := a.tls != nil && address == a.endAt
	a.mu.Unlock()
	if !up {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, a.server.Listener.Addr().String())
}

// kubeadm does what kubeadm would with the files of a deployment.
func (a *fakeAPI) kubeadm(name string, d host.Deployment) error {
	files := map[string][]byte{}
	for _, f := range d.Files {
		files[f.Path] = f.Content
	}
	var token string
	if raw, ok := files[kubeadm.StateDir+"/pki/ca.key"]; ok {
		if err := a.start(files[kubeadm.StateDir+"/pki/ca.crt"], raw, files[kubeadm.StateDir+"/kubeadm.yaml"]); err != nil {
			return err
		}
	} else {
		var join struct {
			Discovery struct {
				BootstrapToken struct{ Token string }
			}
		}
		if err := yaml.Unmarshal(files[kubeadm.StateDir+"/kubeadm.yaml"], &join); err != nil {
			return err
		}
		token = join.Discovery.BootstrapToken.Token
	}
	go a.register(name, token)
	return nil
}

// start brings the API server up, with its token.
func (a *fakeAPI) start(caPEM, keyPEM, config []byte) error {
	pair, err := tls.X509KeyPair(caPEM, keyPEM)
	if err != nil {
		return err
	}
	var init struct {
		BootstrapTokens  []struct{ Token string }
		LocalAPIEndpoint struct{ AdvertiseAddress string }
	}
	if err := yaml.Unmarshal([]byte(strings.SplitN(string(config), "---", 2)[0]), &init); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	address := init.LocalAPIEndpoint.AdvertiseAddress
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(7), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(address)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, pair.Leaf, key.Public(), pair.PrivateKey)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	clients.AddCert(pair.Leaf)
	a.put("/api/v1/namespaces/kube-system/secrets/"+tokenName(kubeadm.Token(init.BootstrapTokens[0].Token)), tokenSecret(kubeadm.Token(init.BootstrapTokens[0].Token), time.Now()).Object)
	a.put("/api/v1/namespaces/kube-system/pods/coredns", pod("kube-system", "coredns", "", "Running", nil))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endAt = net.JoinHostPort(address, "6443")
	a.tls = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: clients, NextProtos: []string{"h2", "http/1.1"},
	}
	return nil
}

// register makes the node join as soon as its token is good, like kubeadm's
// discovery. It gives up with the test.
func (a *fakeAPI) register(name, token string) {
	for a.w.t.Context().Err() == nil {
		if token == "" || a.tokenGood(kubeadm.Token(token)) {
			labels := map[string]any{}
			if token == "" {
				labels["node-role.kubernetes.io/control-plane"] = ""
			}
			a.put("/api/v1/nodes/"+name, map[string]any{"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": name, "labels": labels}})
			return
		}
		select {
		case <-a.w.t.Context().Done():
		case <-time.After(time.Millisecond):
		}
	}
}

func (a *fakeAPI) tokenGood(t kubeadm.Token) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	secret := a.objects["/api/v1/namespaces/kube-system/secrets/"+tokenName(t)]
	if secret == nil {
		return false
	}
	data := secret["data"].(map[string]any)
	expiration, err := base64.StdEncoding.DecodeString(data["expiration"].(string))
	if err != nil {
		return false
	}
	at, err := time.Parse(time.RFC3339, string(expiration))
	return err == nil && at.After(time.Now())
}

func (a *fakeAPI) put(path string, object map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.objects[path] = object
}

func (a *fakeAPI) paths(prefix string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for path := range a.objects {
		if strings.HasPrefix(path, prefix) {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

func pod(namespace, name, node, phase string, extra map[string]any) map[string]any {
	metadata := map[string]any{"name": name, "namespace": namespace}
	for k, v := range extra {
		metadata[k] = v
	}
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": map[string]any{"nodeName": node}, "status": map[string]any{"phase": phase}}
}

func (a *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if r.Method != http.MethodGet {
		a.w.did("begin " + r.Method + " " + r.URL.Path)
		defer func() { a.w.did("end " + r.Method + " " + r.URL.Path) }()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	status, answer := a.answer(r, body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(answer); err != nil && r.Context().Err() == nil {
		a.w.t.Errorf("answering %s: %v", r.URL, err)
	}
}

func failure(code int, reason string) (int, any) {
	return code, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason}
}

func (a *fakeAPI) answer(r *http.Request, body []byte) (int, any) {
	path := r.URL.Path
	switch {
	case path == "/readyz":
		return 200, "ok"
	case r.Method == http.MethodGet && discoveryAnswers(a.objects, path) != nil:
		return 200, discoveryAnswers(a.objects, path)
	case r.Method == http.MethodGet:
		return a.get(path, r.URL.Query().Get("fieldSelector"))
	}
	a.writes = append(a.writes, r.Method+" "+path+" "+r.Header.Get("Content-Type"))
	switch r.Method {
	case http.MethodPatch:
		return a.patch(path, body)
	case http.MethodDelete:
		if a.objects[path] == nil {
			return failure(404, "NotFound")
		}
		delete(a.objects, path)
		return 200, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"}
	case http.MethodPost:
		target := strings.TrimSuffix(path, "/eviction")
		if a.heldPods[target] {
			return failure(429, "TooManyRequests")
		}
		delete(a.objects, target)
		return 201, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Success"}
	}
	return failure(405, "MethodNotAllowed")
}

func (a *fakeAPI) get(path, selector string) (int, any) {
	if object := a.objects[path]; object != nil {
		return 200, a.shown(path, object)
	}
	kind, ok := map[string]string{"nodes": "NodeList", "pods": "PodList"}[path[strings.LastIndex(path, "/")+1:]]
	if !ok {
		return failure(404, "NotFound")
	}
	items := []any{}
	for p, object := range a.objects {
		inAll := path == "/api/v1/pods" && strings.HasPrefix(p, "/api/v1/namespaces/") && strings.Contains(p, "/pods/")
		if !inAll && !strings.HasPrefix(p, path+"/") {
			continue
		}
		spec, _ := object["spec"].(map[string]any)
		if selector == "" || fmt.Sprint("spec.nodeName=", spec["nodeName"]) == selector {
			items = append(items, a.shown(p, object))
		}
	}
	return 200, map[string]any{"kind": kind, "apiVersion": "v1", "metadata": map[string]any{}, "items": items}
}

// shown adds what a kubelet would report.
func (a *fakeAPI) shown(path string, object map[string]any) map[string]any {
	name, isNode := strings.CutPrefix(path, "/api/v1/nodes/")
	if !isNode {
		return object
	}
	ready := "False"
	if a.plugin {
		ready = "True"
	}
	out := map[string]any{}
	for k, v := range object {
		out[k] = v
	}
	out["status"] = map[string]any{
		"conditions": []any{map[string]any{"type": "Ready", "status": ready}},
		"addresses":  []any{map[string]any{"type": "InternalIP", "address": "addr-of-" + name}},
		"nodeInfo":   map[string]any{"kubeletVersion": "v1.36.4"},
	}
	return out
}

func (a *fakeAPI) patch(path string, body []byte) (int, any) {
	var patch map[string]any
	if err := yaml.Unmarshal(body, &patch); err != nil {
		return failure(400, "BadRequest")
	}
	if namespace, ok := strings.CutPrefix(path, "/api/v1/namespaces/"); ok && strings.Contains(namespace, "/") {
		namespace, _, _ = strings.Cut(namespace, "/")
		if !slices.Contains([]string{"default", "kube-system"}, namespace) && a.objects["/api/v1/namespaces/"+namespace] == nil {
			return failure(404, "NotFound")
		}
	}
	if strings.Contains(path, "/daemonsets/") {
		a.plugin = true
	}
	if object := a.objects[path]; object != nil {
		for k, v := range patch {
			if k != "spec" || object["spec"] == nil {
				object[k] = v
			}
		}
		patch = object
	}
	a.objects[path] = patch
	return 200, patch
}

// discoveryAnswers are the unaggregated discovery documents.
func discoveryAnswers(objects map[string]map[string]any, path string) any {
	resource := func(name, kind string, namespaced bool) any {
		return map[string]any{"name": name, "kind": kind, "namespaced": namespaced, "verbs": []string{"get", "list", "patch"}}
	}
	list := func(version string, resources ...any) any {
		return map[string]any{"kind": "APIResourceList", "groupVersion": version, "resources": resources}
	}
	group := func(name, version string) any {
		v := map[string]any{"groupVersion": name + "/" + version, "version": version}
		return map[string]any{"name": name, "versions": []any{v}, "preferredVersion": v}
	}
	_, crd := objects["/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.org"]
	switch path {
	case "/api":
		return map[string]any{"kind": "APIVersions", "versions": []string{"v1"}}
	case "/api/v1":
		return list("v1", resource("namespaces", "Namespace", false), resource("secrets", "Secret", true), resource("configmaps", "ConfigMap", true))
	case "/apis/apps/v1":
		return list("apps/v1", resource("daemonsets", "DaemonSet", true))
	case "/apis/apiextensions.k8s.io/v1":
		return list("apiextensions.k8s.io/v1", resource("customresourcedefinitions", "CustomResourceDefinition", false))
	case "/apis":
		groups := []any{group("apps", "v1"), group("apiextensions.k8s.io", "v1")}
		if crd {
			groups = append(groups, group("example.org", "v1"))
		}
		return map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
	case "/apis/example.org/v1":
		if crd {
			return list("example.org/v1", resource("widgets", "Widget", true))
		}
	}
	return nil
}
