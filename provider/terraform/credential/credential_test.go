package credential

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEarlierSourcesWin(t *testing.T) {
	pair := func(from string) facility.Credentials { return facility.Credentials{Username: "u", Password: from} }
	s := Source{
		Block:       map[string]facility.Credentials{"all-three": pair("block")},
		Environment: []string{"METAL_BMC_ALL_THREE_USERNAME=u", "METAL_BMC_ALL_THREE_PASSWORD=env", "METAL_BMC_TWO_USERNAME=u", "METAL_BMC_TWO_PASSWORD=env", "PATH=/bin"},
		Dir: folder(t, map[string]string{"all-three.json": `{"username":"u","password":"dir"}`, "two/username": "u\n", "two/password": "dir\n",
			"one/username": "u\r\n", "one/password": " spaces stay \n", "..data/username": "no", "README": "no"}),
	}
	want := map[string]facility.Credentials{"all-three": pair("block"), "two": pair("env"), "one": pair(" spaces stay ")}
	all, err := s.All()
	if err != nil || !reflect.DeepEqual(reveal(all), reveal(want)) {
		t.Errorf("All() = %v, %v, want %v", reveal(all), err, reveal(want))
	}
	for name, pair := range want {
		if got, ok, err := s.Resolve(name); !ok || err != nil || got != pair {
			t.Errorf("Resolve(%q) = %q, %t, %v", name, got.Password, ok, err)
		}
	}
	if got, ok, err := s.Resolve("Two"); !ok || err != nil || got.Password != "env" {
		t.Errorf("a name in capitals is not found in the environment: %t, %v", ok, err)
	}
	for _, name := range []string{"none", "../one", "one/username", ".", "..", ""} {
		if _, ok, err := s.Resolve(name); ok || err != nil {
			t.Errorf("Resolve(%q) = %t, %v, want nothing", name, ok, err)
		}
	}
}

// reveal makes credentials comparable in a failure's text: they print nothing.
func reveal(in map[string]facility.Credentials) map[string]string {
	out := map[string]string{}
	for name, c := range in {
		out[name] = c.Username + ":" + c.Password
	}
	return out
}

func TestErrorsNameThePlaceAndNoSecret(t *testing.T) {
	const canary = "canary-3d5"
	for name, c := range map[string]struct {
		source Source
		want   string
	}{
		"password missing": {Source{Environment: []string{"METAL_BMC_A_USERNAME=" + canary}}, "METAL_BMC_A_PASSWORD"},
		"username missing": {Source{Environment: []string{"METAL_BMC_A_PASSWORD=" + canary}}, "METAL_BMC_A_USERNAME"},
		"not JSON":         {Source{Dir: folder(t, map[string]string{"a.json": canary})}, "a.json"},
		"no username":      {Source{Dir: folder(t, map[string]string{"a.json": `{"password":"` + canary + `"}`})}, "a.json"},
		"wrong type":       {Source{Dir: folder(t, map[string]string{"a.json": `{"username":"` + canary + `","password":7}`})}, "a.json"},
		"half a folder":    {Source{Dir: folder(t, map[string]string{"a/username": canary})}, "password"},
		"too large":        {Source{Dir: folder(t, map[string]string{"a.json": strings.Repeat(canary, maxFile)})}, "larger"},
		"no folder":        {Source{Dir: filepath.Join(t.TempDir(), "absent")}, "absent"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.source.All()
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
				t.Errorf("All() gave %v, want an error with %q and no secret", err, c.want)
			}
		})
	}
}
