package bmc

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// FuzzAnswers reads any bytes as each kind of resource and as an error: without
// panic, within the limits, and never with control characters in what is shown.
func FuzzAnswers(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal("no trees", err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var tree map[string]json.RawMessage
		if err := json.Unmarshal(raw, &tree); err != nil {
			f.Fatal(err)
		}
		for _, r := range tree {
			f.Add([]byte(r))
		}
	}
	for _, s := range []string{`{"error":{"code":"a","message":"b","@Message.ExtendedInfo":{"MessageId":"c"}}}`, `{"error":"text"}`,
		`{"error":{"@Message.ExtendedInfo":["a",null,3,[],{"Message":{}}]}}`, `{"@Message.ExtendedInfo":"x"}`, `{"Boot":[],"Links":7}`, `null`, `[`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var s computerSystem
		if decode(b, &s) == nil {
			boot := s.Boot.boot()
			check(t, maxText, boot.Enabled, boot.Target, boot.Mode, s.serial())
			check(t, maxText, boot.Supports...)
			s.path = "/redfish/v1/Systems/1"
			for _, p := range bootForms(Boot{Enabled: "Once", Target: "Cd", Mode: "UEFI"}, &s, false, true) {
				if _, err := json.Marshal(p.boot); err != nil {
					t.Error(err)
				}
			}
		}
		var p page
		if decode(b, &p) == nil && len(p.Members) > maxMembers {
			t.Errorf("%d members", len(p.Members))
		}
		var m wireMedium
		if decode(b, &m) == nil {
			check(t, maxText, m.medium().ID)
			check(t, maxText, m.medium().Types...)
		}
		a := &answer{status: 400, body: b}
		if ms := a.messages(); len(ms) > maxMessages {
			t.Errorf("%d messages", len(ms))
		}
		check(t, 500, clean(a.summary(), 500))
		check(t, 17, parseMAC(string(b)))
	})
}

func check(t *testing.T, n int, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if len(s) > n || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			t.Errorf("unfit to show: %q", s)
		}
	}
}

// FuzzResolve checks that no reference leads to another server.
func FuzzResolve(f *testing.F) {
	for _, s := range []string{"/redfish/v1/Systems/1", "http://other/redfish/v1/", "//other/redfish/v1/", "/redfish/%2e%2e/x", "/redfish/v1/x?$skip=1#y", "\\\\other", "/redfish/\n", ":@other/redfish/"} {
		f.Add(s)
	}
	base, err := parseURL("https://bmc.example:8443/prefix/redfish/v1/")
	if err != nil {
		f.Fatal(err)
	}
	w := &wire{base: base}
	f.Fuzz(func(t *testing.T, ref string) {
		u, err := w.resolve(ref)
		if err != nil {
			return
		}
		if u.Scheme != "https" || u.Host != "bmc.example:8443" || u.User != nil || !strings.HasPrefix(u.Path, "/prefix/redfish/") {
			t.Errorf("%q leads to %q", ref, u)
		}
	})
}
