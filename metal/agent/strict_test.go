package agent

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestRequestsAreTakenStrictly(t *testing.T) {
	spec := `"spec":{"name":"n1","bmc":{"url":"https://192.0.2.1","credentials":"lab"},"boot_mac":"52:54:00:00:00:01"}`
	cases := []struct {
		name, method, path, body string
		status                   int
		attribute, text          string
	}{
		{"unknown field", "PUT", "/v1/hosts/n1", `{` + spec + `,"colour":"red"}`, 400, "colour", "unknown field"},
		{"unknown nested field", "PUT", "/v1/hosts/n1", `{"spec":{"name":"n1","bmc":{"pasword":"x"}}}`, 400, "pasword", "unknown field"},
		{"wrong type", "PUT", "/v1/hosts/n1", `{"spec":{"name":"n1","boot_mac":7}}`, 400, "spec.boot_mac", "number"},
		{"no JSON", "PUT", "/v1/hosts/n1", `name: n1`, 400, "", "not one valid JSON document"},
		{"empty body", "PUT", "/v1/hosts/n1", ``, 400, "", "not one valid JSON document"},
		{"two documents", "PUT", "/v1/hosts/n1", `{` + spec + `}{}`, 400, "", "more than one"},
		{"other name", "PUT", "/v1/hosts/n2", `{` + spec + `}`, 400, "name", "differs"},
		{"no name", "PUT", "/v1/hosts/n1", `{"spec":{}}`, 400, "name", "not a valid name"},
		{"remembered other host", "PUT", "/v1/hosts/n1/recall", `{` + spec + `,"recall":{"name":"n2"}}`, 400, "recall.name", "another"},
		{"oversized host", "PUT", "/v1/hosts/n1", `{"spec":{"name":"` + strings.Repeat("a", maxHostBody) + `"}}`, 413, "", "too large"},
		{"oversized space", "PUT", "/v1/hosts/n1", `{` + spec + `}` + strings.Repeat(" ", maxHostBody), 413, "", "too large"},
		{"oversized cluster", "PUT", "/v1/clusters/c", `{"name":"c","network_manifest":"` + strings.Repeat("a", maxClusterBody) + `"}`, 413, "", "too large"},
		{"oversized facility", "PUT", "/v1/facility", `{"name":"` + strings.Repeat("a", maxHostBody) + `"}`, 413, "", "too large"},
		{"deep nesting", "PUT", "/v1/hosts/n1", strings.Repeat(`{"spec":`, 20000), 400, "", "not one valid JSON document"},
		{"facility name", "PUT", "/v1/facility", `{"name":"A B"}`, 400, "name", "not a valid name"},
		{"misspelt parameter", "DELETE", "/v1/hosts/n1?abandom=true", ``, 400, `"abandom"`, "unknown query parameter"},
		{"parameter twice", "DELETE", "/v1/hosts/n1?abandon=true&abandon=false", ``, 400, "abandon", "twice"},
		{"parameter on delete", "DELETE", "/v1/facility?force=true", ``, 400, `"force"`, "unknown query parameter"},
		{"no boolean", "GET", "/v1/hosts/n1?refresh=perhaps", ``, 400, "refresh", "perhaps"},
		{"no revision", "GET", "/v1/hosts/n1?after=-1", ``, 400, "after", "-1"},
		{"wait for nothing", "GET", "/v1/hosts/n1?wait=5", ``, 400, "wait", "nothing to wait for"},
		{"no wait", "GET", "/v1/clusters/c?after=1&wait=0", ``, 400, "wait", "seconds"},
		{"refresh and wait", "GET", "/v1/hosts/n1?after=1&refresh=true", ``, 400, "refresh", "exclude"},
		{"no ttl", "GET", "/v1/clusters/c/kubeconfig?ttl=soon", ``, 400, "ttl", "soon"},
		{"negative ttl", "GET", "/v1/clusters/c/kubeconfig?ttl=-1h", ``, 400, "ttl", "above 0"},
		{"endless ttl", "GET", "/v1/clusters/c/kubeconfig?ttl=90000h", ``, 400, "ttl", "at most"},
		{"no path", "GET", "/v2/hosts", ``, 404, "", "no such path"},
		{"no method", "PATCH", "/v1/hosts/n1", ``, 405, "", "GET or PUT or DELETE"},
		{"events follow", "GET", "/v1/events?follow=maybe", ``, 400, "follow", "maybe"},
	}
	eachTransport(t, func(t *testing.T, h *harness) {
		for _, c := range cases {
			response, body := h.raw(t, c.method, c.path, c.body)
			var answer errorAnswer
			if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Error == nil {
				t.Errorf("%s: answer %q is no fault: %v", c.name, body, err)
				continue
			}
			if response.StatusCode != c.status || answer.Error.Attribute != c.attribute || !strings.Contains(body, c.text) {
				t.Errorf("%s: status %d, want %d with attribute %q and %q: %s", c.name, response.StatusCode, c.status, c.attribute, c.text, body)
			}
			if len(body) > 2000 {
				t.Errorf("%s: the answer repeats %d bytes", c.name, len(body))
			}
		}
		if calls := h.fake.called(); calls != "" {
			t.Errorf("malformed requests reached the engine:\n%s", calls)
		}
		if response, _ := h.raw(t, "PATCH", "/v1/hosts/n1", ""); response.Header.Get("Allow") != "GET, PUT, DELETE" {
			t.Errorf("Allow %q", response.Header.Get("Allow"))
		}
	})
}

func TestPanicIsAnswered(t *testing.T) {
	eachTransport(t, func(t *testing.T, h *harness) {
		h.fake.panics = true
		_, err := h.Hosts(t.Context())
		wantFault(t, err, fault.Final, "failed internally")
		h.fake.panics = false
		if _, err := h.Hosts(t.Context()); err != nil {
			t.Fatalf("after a panic: %v", err)
		}
		if log := h.log.String(); !strings.Contains(log, "the fake was told to panic") || !strings.Contains(log, "fake_test.go") {
			t.Error("the log has no trace of the panic")
		}
	})
}

// No credential may show in a log or in an answer, wherever it was put.
func TestCredentialsStayHidden(t *testing.T) {
	const canary = "c4n4ry"
	bodies := []string{
		`{"lab":{"username":"c4n4ry-user","password":"c4n4ry-password"}}`,
		`{"lab":{"username":"u","c4n4ry":"p"}}`,
		`{"lab":"c4n4ry"}`,
		`"c4n4ry"`,
		`c4n4ry`,
		`{"lab":{"username":"u","password":"c4n4ry"}} {"c4n4ry":1}`,
		`{"lab":{"username":"u","password":"` + strings.Repeat(canary, maxHostBody/4) + `"}}`,
	}
	eachTransport(t, func(t *testing.T, h *harness) {
		for i, body := range bodies {
			response, answer := h.raw(t, http.MethodPost, "/v1/credentials", body)
			if want := i == 0; want != (response.StatusCode == http.StatusNoContent) {
				t.Errorf("body %d: status %d", i, response.StatusCode)
			}
			if strings.Contains(answer, canary) {
				t.Errorf("body %d: the answer repeats it: %s", i, answer)
			}
		}
		response, number := h.raw(t, http.MethodPost, "/v1/credentials", `{"lab":{"username":"u","password":31337}}`)
		if response.StatusCode != http.StatusBadRequest || strings.Contains(number, "31337") {
			t.Errorf("a password that is a number: %d %s", response.StatusCode, number)
		}
		offered := map[string]facility.Credentials{"lab": {Username: "u", Password: canary}}
		h.fake.fail = errors.New("the engine fails")
		if err := h.OfferCredentials(t.Context(), offered); err != nil {
			t.Fatal(err)
		}
		_, err := h.ApplyHost(t.Context(), hostSpec("n1"), nil)
		h.stop()
		if all := err.Error() + h.log.String() + h.fake.called(); strings.Contains(all, canary) || strings.Contains(all, "31337") {
			t.Errorf("a credential shows:\n%s", all)
		}
		if err := h.OfferCredentials(t.Context(), offered); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("offering to a stopped agent: %v", err)
		}
	})
}

// Whatever comes in, the answer is a status or a fault in JSON, and what reaches
// the engine is about the object of the path.
func FuzzPut(f *testing.F) {
	fake := newFake()
	handler := NewHandler(fake.engines(), nil)
	for _, body := range []string{
		`{"spec":{"name":"n1","bmc":{"url":"https://192.0.2.1","credentials":"lab"},"boot_mac":"52:54:00:00:00:01"}}`,
		`{"spec":{"name":"n1"},"recall":{"name":"n1","state":"available","revision":18446744073709551615}}`,
		`{"name":"n1","kubernetes_version":"v1.36.4","workers":["a"],"kubeadm_patches":{"a":"b"}}`,
		`{"name":"n1","networks":[{"name":"a","cidr":"192.0.2.0/24"}],"services":{"http_port":-1}}`,
		`{"n1":{"username":"u","password":"p"}}`, `null`, `[]`, `{"spec":null}`, `{"Spec":{"NAME":"n1"}}`, "\xff\xfe", `{"a":1e999}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, path := range []string{"/v1/hosts/n1", "/v1/hosts/n1/recall", "/v1/clusters/n1", "/v1/facility", "/v1/facility/recall", "/v1/credentials"} {
			status, answer := serveOnce(handler, path, body)
			var failure errorAnswer
			err := json.Unmarshal(answer, &failure)
			switch {
			case status == http.StatusNoContent && len(answer) == 0:
			case err != nil && status != http.StatusOK:
				t.Fatalf("%s: status %d, answer %q: %v", path, status, answer, err)
			case status >= http.StatusInternalServerError, status != http.StatusOK && failure.Error == nil:
				t.Fatalf("%s: status %d, answer %q", path, status, answer)
			}
		}
		for name := range fake.hosts {
			if name != "n1" {
				t.Fatalf("host %q came to be", name)
			}
		}
		for name := range fake.clusters {
			if name != "n1" {
				t.Fatalf("cluster %q came to be", name)
			}
		}
		fake.calls = nil
	})
}
