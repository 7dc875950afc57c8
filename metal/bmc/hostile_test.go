package bmc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestHostileAnswers(t *testing.T) {
	raw := func(body string) hook {
		return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			_, _ = io.WriteString(w, body) // the client hangs up on some
			return true
		}
	}
	slow := func(w http.ResponseWriter, r *http.Request, _ int) bool {
		w.WriteHeader(200)
		_, _ = io.WriteString(w, `{"Id":`)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	header := func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		for i := range 100 {
			w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("a", 1000))
		}
		return false
	}
	for name, tc := range map[string]struct {
		hook      hook
		class     fault.Class
		attribute string
		part      string
	}{
		"huge body":          {raw(`{"Id":"` + strings.Repeat("a", maxBody) + `"}`), fault.Retryable, "bmc.url", "too large"},
		"slow body":          {slow, fault.Retryable, "bmc.url", "timeout"},
		"huge header":        {header, fault.Retryable, "bmc.url", "header"},
		"not JSON":           {raw(`<html>login</html>`), fault.Retryable, "bmc.url", "not a Redfish resource"},
		"half JSON":          {raw(`{"Id":"1","PowerState":"On"`), fault.Retryable, "bmc.url", "not a Redfish resource"},
		"empty":              {raw(``), fault.Retryable, "bmc.url", "not a Redfish resource"},
		"a list":             {raw(`[{"Id":"1"}]`), fault.Retryable, "bmc.url", "not a Redfish resource"},
		"deep":               {raw(`{"Boot":` + strings.Repeat(`[`, 1<<20)), fault.Retryable, "bmc.url", "not a Redfish resource"},
		"HTML error":         {answering(9, 500, strings.Repeat("x", 1<<20), strings.Repeat("y", 1<<20)), fault.Retryable, "", "500"},
		"no power in a list": {raw(`{"PowerState":["On"]}`), fault.Retryable, "", "does not say"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			f.on("GET /redfish/v1/Systems/1", tc.hook)
			cfg := f.config()
			if name == "slow body" {
				cfg.Timeout = 400 * time.Millisecond
			}
			c := f.connect(cfg)
			_, err := c.Power(context.Background())
			fe := wantFault(t, err, tc.class, tc.attribute, tc.part)
			if len(fe.Detail()) > 4000 || len(c.LastAnswer()) > 500 {
				t.Errorf("detail of %d bytes, last answer of %d", len(fe.Detail()), len(c.LastAnswer()))
			}
		})
	}
}

func TestEndlessCollections(t *testing.T) {
	const nics = "/redfish/v1/Systems/1/EthernetInterfaces"
	for name, tc := range map[string]struct {
		page func(n int) map[string]any
		most int
	}{
		"a page that is its own next": {func(int) map[string]any {
			return map[string]any{"Members": []any{map[string]any{"@odata.id": nics + "/1"}}, "Members@odata.nextLink": nics}
		}, 2},
		"members that are the collection": {func(int) map[string]any {
			return map[string]any{"Members": []any{map[string]any{"@odata.id": nics}, map[string]any{"@odata.id": nics}}}
		}, 1},
		"ever new empty pages": {func(n int) map[string]any {
			return map[string]any{"Members": []any{}, "Members@odata.nextLink": fmt.Sprintf("%s?$skip=%d", nics, n)}
		}, maxPages},
		"fifty thousand members": {func(int) map[string]any {
			m := make([]any, 50000)
			for i := range m {
				m[i] = map[string]any{"@odata.id": fmt.Sprintf("%s/x%d", nics, i)}
			}
			return map[string]any{"Members": m}
		}, maxInterfaces + 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			n := 0
			answer := func(w http.ResponseWriter, _ *http.Request, _ int) bool {
				n++
				writeJSON(w, 200, tc.page(n))
				return true
			}
			f.on("GET "+nics, answer)
			for i := range 100 {
				f.on(fmt.Sprintf("GET %s?$skip=%d", nics, i), answer)
			}
			if _, err := f.connect(f.config()).System(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := f.count("GET " + nics); got > tc.most {
				t.Errorf("%d requests, want at most %d", got, tc.most)
			}
		})
	}
}

// TestCredentialsStayHere lets a BMC name another server in redirects and
// references.
func TestCredentialsStayHere(t *testing.T) {
	var asked int
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer elsewhere.Close()
	f := newFake(t, "generic")
	f.on("GET /redfish/v1/Systems/1/EthernetInterfaces", func(w http.ResponseWriter, r *http.Request, _ int) bool {
		http.Redirect(w, r, elsewhere.URL+"/redfish/v1/", http.StatusTemporaryRedirect)
		return true
	})
	c := f.connect(f.config())
	_, err := c.System(context.Background())
	wantFault(t, err, fault.NeedsPerson, "bmc.url", "307", elsewhere.URL)
	for _, ref := range []string{elsewhere.URL + "/redfish/v1/x", "//" + strings.TrimPrefix(elsewhere.URL, "http://") + "/redfish/v1/x",
		"/etc/passwd", "redfish/v1", "", "/redfish/../x", "@" + elsewhere.URL, "mailto:a", "/redfish/\x00"} {
		if a, err := c.get(context.Background(), ref, &struct{}{}); err == nil && a.ok() {
			t.Errorf("%q was answered: %s", ref, a.line)
		}
	}
	if asked != 0 {
		t.Errorf("the other server was asked %d times", asked)
	}
}

// TestNoSecretIsShown lets a BMC echo all that it was sent in its refusals.
func TestNoSecretIsShown(t *testing.T) {
	const bootURL, mediaURL = "http://10.0.0.1/canary-boot/t0ken?x=canary-q", "https://10.0.0.1/canary-image.iso"
	echo := func(w http.ResponseWriter, r *http.Request, _ int) bool {
		body, _ := io.ReadAll(r.Body)
		user, pass, _ := r.BasicAuth()
		text := fmt.Sprintf("%v %s %s %s", r.Header, body, user, pass)
		var fields struct {
			Password string
			Image    string
			Boot     struct{ HttpBootUri string }
		}
		_ = json.Unmarshal(body, &fields) // GETs have none
		text += fields.Password + fields.Image + fields.Boot.HttpBootUri + base64.StdEncoding.EncodeToString([]byte(fields.Password))
		refuse(w, 400, "Base.1.8."+r.Header.Get("X-Auth-Token"), strings.Repeat("z", 250)+text)
		return true
	}
	var logged syncBuffer
	var shown strings.Builder
	show := func(c *Client, err error) {
		t.Helper()
		if err == nil {
			t.Error("no error to look at")
			return
		}
		j, _ := json.Marshal(fault.From(err))
		fmt.Fprintf(&shown, "%v\n%s\n%s\n%+v\n", err, fault.From(err).Detail(), j, err)
		for e := err; e != nil; e = errors.Unwrap(e) {
			fmt.Fprintln(&shown, e.Error())
			if strings.Contains(e.Error(), "hidden") {
				break // what is below is for the program, not for show
			}
		}
		if c != nil {
			fmt.Fprintln(&shown, c.LastAnswer())
		}
	}
	for _, basic := range []bool{false, true} {
		f := newFake(t, "generic")
		cfg := f.config()
		cfg.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: &logged})
		f.on("POST /redfish/v1/SessionService/Sessions", echo)
		if basic {
			f.on("POST /redfish/v1/SessionService/Sessions", answering(9, 405, "Base.1.8.OperationNotAllowed", "no"))
		} else {
			_, err := Connect(context.Background(), cfg)
			show(nil, err)
			f.on("POST /redfish/v1/SessionService/Sessions", nil)
		}
		c := f.connect(cfg)
		ctx := context.Background()
		f.set(func(s map[string]any) { s["Boot"].(map[string]any)["HttpBootUri"] = bootURL })
		for _, request := range []string{systemPatch, resetPost, "POST /redfish/v1/Managers/BMC/VirtualMedia/CD1/Actions/VirtualMedia.InsertMedia"} {
			f.on(request, echo)
		}
		show(c, c.SetBoot(ctx, Boot{Enabled: "Once", Target: "UefiHttp", HTTPBootURI: bootURL + "2"}))
		show(c, c.RequestPower(ctx, ForceOff))
		show(c, c.InsertMedia(ctx, "", mediaURL))
		f.on(systemPatch, func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(204); return true })
		show(c, c.SetBoot(ctx, Boot{Enabled: "Once", Target: "UefiHttp", HTTPBootURI: bootURL + "3"}))
		f.on("GET /redfish/v1/Systems/1", echo)
		_, err := c.Power(ctx)
		show(c, err)
	}
	for where, text := range map[string]string{"errors": shown.String(), "logs": logged.String()} {
		if i := strings.Index(text, "canary"); i >= 0 {
			t.Errorf("a secret in %s: %s", where, text[max(0, i-100):min(len(text), i+100)])
		}
		if where == "logs" && !strings.Contains(text, "PATCH /redfish/v1/Systems/1 -> 400") {
			t.Errorf("the logs don't tell what happened: %s", text[:min(len(text), 2000)])
		}
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestOneRequestAtATime calls from many goroutines.
func TestOneRequestAtATime(t *testing.T) {
	f := newFake(t, "generic")
	f.delay = time.Millisecond
	var inside, most int
	f.on("GET /redfish/v1/Systems/1", func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		f.mu.Lock()
		inside++
		most = max(most, inside)
		f.mu.Unlock()
		defer func() { f.mu.Lock(); inside--; f.mu.Unlock() }()
		writeJSON(w, 200, map[string]any{"PowerState": "On"})
		return true
	})
	c := f.connect(f.config())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Power(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, connections := c.Requests(); most != 1 || connections != 1 {
		t.Errorf("%d requests at once, %d connections", most, connections)
	}
}

func TestLastAnswer(t *testing.T) {
	f := newFake(t, "generic")
	f.on(resetPost, answering(9, 403, "Base.1.8.InsufficientPrivilege", "There are insufficient privileges."))
	c := f.connect(f.config())
	if err := c.RequestPower(context.Background(), On); err == nil {
		t.Error("no error")
	}
	want := "POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset -> 403 Base.1.8.InsufficientPrivilege: There are insufficient privileges."
	if got := c.LastAnswer(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
