package kubeconfig

import (
	"strings"
	"testing"
)

const good = `apiVersion: v1
kind: Config
clusters:
- name: c
  cluster:
    server: https://10.0.0.1:6443
    certificate-authority-data: Q0E=
users:
- name: u
  user:
    client-certificate-data: Y2VydA==
    client-key-data: a2V5
`

func TestParse(t *testing.T) {
	got, err := parse([]byte(good))
	if err != nil || got != (access{"https://10.0.0.1:6443", "CA", "cert", "key"}) {
		t.Errorf("parse gave %d fields, %v", len(got.host), err)
	}
	for name, text := range map[string]string{
		"empty": "", "not YAML": "{", "a list": "[]", "no user": good[:strings.Index(good, "users")],
		"no key": strings.Replace(good, "    client-key-data: a2V5\n", "", 1), "not base64": strings.Replace(good, "a2V5", "%%canary%%", 1),
	} {
		if _, err := parse([]byte(text)); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: parse gave %v, want an error without the text", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := parse(text)
		if err == nil && (got.host == "" || got.ca == "" || got.certificate == "" || got.key == "") {
			t.Error("an incomplete kubeconfig was taken")
		}
	})
}
