package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func testWalker(server *httptest.Server) *walker {
	sum := sha256.Sum256(server.Certificate().Raw)
	return &walker{base: server.URL, user: "u", password: "p", client: pinned(hex.EncodeToString(sum[:])), found: map[string]any{}}
}

func TestDumpLeavesOutWhatChangesByItself(t *testing.T) {
	resources := map[string]string{
		"/redfish/v1":           `{"@odata.id":"/redfish/v1","S":{"@odata.id":"/redfish/v1/Systems/1/"},"L":{"@odata.id":"/redfish/v1/Systems/1/LogServices/E/Entries"},"X":{"@odata.id":"/redfish/v1/SessionService/Sessions"},"F":{"@odata.id":"/redfish/v1/Chassis/1#/Fans/0"}}`,
		"/redfish/v1/Systems/1": `{"@odata.id":"/redfish/v1/Systems/1","@odata.etag":"1","DateTime":"now","List":[{"LastResetTime":"x","Kept":1}],"Up":{"@odata.id":"/redfish/v1"}}`,
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := resources[r.URL.Path]
		if user, password, _ := r.BasicAuth(); !ok || user != "u" || password != "p" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, body)
	}))
	defer server.Close()
	w := testWalker(server)
	if err := w.walk(context.Background(), "/redfish/v1"); err != nil {
		t.Fatal(err)
	}
	if len(w.found) != 2 {
		t.Errorf("found %v", w.found)
	}
	want := map[string]any{"@odata.id": "/redfish/v1/Systems/1", "List": []any{map[string]any{"Kept": 1.0}}, "Up": map[string]any{"@odata.id": "/redfish/v1"}}
	if got := w.found["/redfish/v1/Systems/1"]; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestDumpIsBounded(t *testing.T) {
	n := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n++
		fmt.Fprintf(w, `{"Next":{"@odata.id":"/redfish/v1/%d"}}`, n)
	}))
	defer server.Close()
	err := testWalker(server).walk(context.Background(), "/redfish/v1")
	if err == nil || !strings.Contains(err.Error(), "more than 5000 resources") {
		t.Errorf("error %v", err)
	}
}

func TestDumpPinsTheCertificate(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	w := testWalker(server)
	w.client = pinned(strings.Repeat("00", 32))
	if err := w.walk(context.Background(), "/redfish/v1"); err == nil || !strings.Contains(err.Error(), "another certificate") {
		t.Errorf("error %v", err)
	}
}
