package bmc

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

const (
	testUser     = "admin"
	testPassword = `canary-pa"ss/wörd`
	testToken    = "canary-token-5b1f"
)

// fake is a BMC made of a tree of resources. It answers GET from the tree,
// merges PATCHes into it, follows the reset, insert and eject actions, and
// keeps sessions; hooks replace any answer.
type fake struct {
	*httptest.Server
	t     testing.TB
	delay time.Duration // before each answer

	mu       sync.Mutex
	tree     map[string]map[string]any
	hooks    map[string]hook
	log      []string // "METHOD path"
	bodies   map[string][]map[string]any
	sessions map[string]string // token by path
	opened   int
	conns    int
	etag     int
	// lag is how many readings of a system still show the power before.
	lag   int
	stale any
}

// hook answers instead of the tree; false leaves it to the tree. n counts from 1.
type hook func(w http.ResponseWriter, r *http.Request, n int) bool

func newFake(t testing.TB, vendor string) *fake {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + vendor + ".json")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, hooks: map[string]hook{}, bodies: map[string][]map[string]any{}, sessions: map[string]string{}}
	if err := json.Unmarshal(raw, &f.tree); err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			f.mu.Lock()
			f.conns++
			f.mu.Unlock()
		}
	}
	f.Config.ErrorLog = hclog.NewNullLogger().StandardLogger(nil)
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

func (f *fake) on(request string, h hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hooks[request] = h
}

// system gives the properties of the first system, to be changed under mu.
func (f *fake) system() map[string]any {
	for path, r := range f.tree {
		if _, ok := r["PowerState"]; ok && strings.Contains(path, "/Systems/") {
			return r
		}
	}
	f.t.Fatal("no system in the tree")
	return nil
}

func (f *fake) set(change func(system map[string]any)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.system())
}

func (f *fake) boot(property string) any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.system()["Boot"].(map[string]any)[property]
}

func (f *fake) sent(request string) []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bodies[request]
}

func (f *fake) count(request string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, l := range f.log {
		if strings.HasPrefix(l, request) {
			n++
		}
	}
	return n
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.delay > 0 {
		t := time.NewTimer(f.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
			return
		}
	}
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	name := r.Method + " " + r.URL.RequestURI()
	var body map[string]any
	if len(raw) > 0 && json.Unmarshal(raw, &body) != nil {
		http.Error(w, "bad JSON", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.log = append(f.log, name)
	f.bodies[name] = append(f.bodies[name], body)
	n, h := len(f.bodies[name]), f.hooks[name]
	f.mu.Unlock()
	if h != nil && h(w, r, n) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer(w, r, body)
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request, body map[string]any) {
	where := r.URL.RequestURI()
	if strings.TrimRight(where, "/") == "/redfish/v1/SessionService/Sessions" && r.Method == http.MethodPost {
		f.openSession(w, body)
		return
	}
	if where != "/redfish/v1/" && !f.allowed(r) {
		refuse(w, 401, "Base.1.8.NoValidSession", "There is no valid session established with the implementation.")
		return
	}
	if _, ok := f.sessions[where]; ok && r.Method == http.MethodDelete {
		delete(f.sessions, where)
		w.WriteHeader(204)
		return
	}
	if base, action, ok := strings.Cut(where, "/Actions/"); ok && r.Method == http.MethodPost {
		f.act(w, base, strings.Trim(action, "/"), body)
		return
	}
	res, ok := f.tree[where]
	if !ok {
		res, ok = f.tree[strings.TrimRight(where, "/")]
	}
	switch {
	case !ok:
		refuse(w, 404, "Base.1.8.ResourceMissingAtURI", "The resource at the URI "+where+" was not found.")
	case r.Method == http.MethodPatch:
		merge(res, body)
		f.etag++
		w.WriteHeader(204)
	default:
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, f.etag))
		was := res["PowerState"]
		if f.lag > 0 && was != nil {
			f.lag--
			res["PowerState"] = f.stale
			defer func() { res["PowerState"] = was }()
		}
		writeJSON(w, 200, res)
	}
}

func (f *fake) openSession(w http.ResponseWriter, body map[string]any) {
	if body["UserName"] != testUser || body["Password"] != testPassword {
		refuse(w, 401, "Base.1.8.AccessDenied", fmt.Sprintf("The credentials %v / %v were denied.", body["UserName"], body["Password"]))
		return
	}
	f.opened++
	path := fmt.Sprintf("/redfish/v1/SessionService/Sessions/%d", f.opened)
	f.sessions[path] = fmt.Sprintf("%s-%d", testToken, f.opened)
	w.Header().Set("X-Auth-Token", f.sessions[path])
	w.Header().Set("Location", f.URL+path)
	writeJSON(w, 201, map[string]any{"@odata.id": path})
}

func (f *fake) allowed(r *http.Request) bool {
	if u, p, ok := r.BasicAuth(); ok {
		return u == testUser && p == testPassword
	}
	for _, t := range f.sessions {
		if t == r.Header.Get("X-Auth-Token") {
			return true
		}
	}
	return false
}

func (f *fake) act(w http.ResponseWriter, base, action string, body map[string]any) {
	res := f.tree[base]
	if res == nil {
		res = f.tree[base+"/"]
	}
	switch action {
	case "ComputerSystem.Reset":
		was := res["PowerState"]
		res["PowerState"] = map[any]string{"On": "On", "ForceOn": "On", "ForceRestart": "On", "PowerCycle": "On"}[body["ResetType"]]
		if res["PowerState"] == "" {
			res["PowerState"] = "Off"
		}
		f.stale = was
	case "VirtualMedia.InsertMedia":
		res["Image"], res["Inserted"] = body["Image"], true
	case "VirtualMedia.EjectMedia":
		res["Image"], res["Inserted"] = nil, false
	default:
		refuse(w, 404, "Base.1.8.ActionNotSupported", action)
		return
	}
	w.WriteHeader(204)
}

func merge(into, from map[string]any) {
	for k, v := range from {
		sub, ok := v.(map[string]any)
		if old, is := into[k].(map[string]any); ok && is {
			merge(old, sub)
			continue
		}
		into[k] = v
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

func refuse(w http.ResponseWriter, status int, id, text string) {
	writeJSON(w, status, map[string]any{"error": map[string]any{"code": id, "message": "see extended information",
		"@Message.ExtendedInfo": []any{map[string]any{"MessageId": id, "Message": text}}}})
}

// answering gives a hook that refuses the first n requests.
func answering(n, status int, id, text string) hook {
	return func(w http.ResponseWriter, _ *http.Request, i int) bool {
		if i > n {
			return false
		}
		refuse(w, status, id, text)
		return true
	}
}

func (f *fake) config() Config {
	return Config{URL: f.URL, Username: testUser, Password: testPassword, Insecure: true}
}

// connect gives a client whose waiting takes no real time.
func (f *fake) connect(cfg Config) *Client {
	f.t.Helper()
	c, err := Connect(context.Background(), cfg)
	if err != nil {
		f.t.Fatalf("connect: %v", err)
	}
	hurry(c)
	f.t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			f.t.Errorf("close: %v", err)
		}
	})
	return c
}

// hurry lets pauses pass at once on a clock of their own.
func hurry(c *Client) {
	var mu sync.Mutex
	now := time.Unix(0, 0)
	c.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	c.pause = func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
		return ctx.Err()
	}
}

// wantFault checks class and attribute, and that the text has all the parts.
func wantFault(t testing.TB, err error, class fault.Class, attribute string, parts ...string) *fault.Error {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) {
		t.Fatalf("got %v, want a *fault.Error", err)
	}
	if f.Class != class || f.Attribute != attribute {
		t.Errorf("got class %q attribute %q, want %q %q: %v", f.Class, f.Attribute, class, attribute, err)
	}
	for _, p := range parts {
		if !strings.Contains(f.Error()+"\n"+f.Detail(), p) {
			t.Errorf("no %q in %q\n%s", p, f.Error(), f.Detail())
		}
	}
	return f
}

func certOf(f *fake) *tls.Certificate { return &f.TLS.Certificates[0] }
