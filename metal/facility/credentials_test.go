package facility

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestCredentialsNeverPrint(t *testing.T) {
	c := Credentials{Username: "canary-user", Password: "canary-password"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
		for _, value := range []any{c, &c, []Credentials{c}, map[string]Credentials{"lab": c}, struct{ C Credentials }{c}} {
			if got := fmt.Sprintf(verb, value); strings.Contains(got, "canary") || strings.Contains(got, "63616e617279") {
				t.Errorf("Sprintf(%q, %T) shows the credentials: %s", verb, value, got)
			}
		}
	}
	if err := fmt.Errorf("trying %v: %w", c, ErrNotFound); strings.Contains(err.Error(), "canary") || !errors.Is(err, ErrNotFound) {
		t.Errorf("error %q", err)
	}
}

func TestCredentialsTravelAsJSON(t *testing.T) {
	want := Credentials{Username: "u", Password: "p"}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != `{"username":"u","password":"p"}` {
		t.Fatalf("wire form %s", data)
	}
	var got Credentials
	if err := json.Unmarshal(data, &got); err != nil || got != want {
		t.Fatalf("read back %q, %v", got.Username, err)
	}
}
