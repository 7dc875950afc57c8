package bmc

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestOpenResources(t *testing.T) {
	b := newBench(t)
	for _, path := range []string{"/redfish", "/redfish/", "/redfish/v1", "/redfish/v1/", odataPath, metadataPath} {
		r := b.do("GET", path, "", "Authorization", "").want(200)
		if got := r.header.Get("OData-Version"); got != "4.0" {
			t.Errorf("%s: OData-Version %q", path, got)
		}
	}
	if kind := b.do("GET", metadataPath, "", "Authorization", "").header.Get("Content-Type"); kind != "application/xml" {
		t.Errorf("metadata has type %q", kind)
	}
	b.do("POST", metadataPath, "", "Authorization", "").want(401)
}

func TestAuthentication(t *testing.T) {
	b := newBench(t)
	for name, authorization := range map[string]string{
		"none": "", "wrong password": "Basic YWRtaW46d3Jvbmc=", "rubbish": "Bearer x",
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{system, managers, sessionsPath, "/redfish/v1/NoSuch", "/elsewhere"} {
				b.do("GET", path, "", "Authorization", authorization).want(401).wantMessage("AccessDenied")
			}
			b.do("POST", resetPath, `{"ResetType":"On"}`, "Authorization", authorization).want(401)
		})
	}
	if b.machine.On() {
		t.Error("the machine was switched on without a password")
	}
}

func TestPasswordStaysInside(t *testing.T) {
	b := newBench(t)
	b.do("POST", sessionsPath, `{"UserName":"admin","Password":"another secret"}`).want(401)
	for path := range b.tree() {
		raw := string(b.do("GET", path, "").raw)
		if strings.Contains(raw, testPassword) || strings.Contains(raw, "another secret") {
			t.Errorf("%s shows a password", path)
		}
	}
}

func TestSessions(t *testing.T) {
	b := newBench(t)
	login := `{"UserName":"admin","Password":"` + testPassword + `"}`
	b.do("POST", sessionsPath, `{"UserName":"admin"}`, "Authorization", "").want(400).wantMessage("PropertyMissing")
	b.do("POST", sessionsPath, `{"UserName":"admin","Password":"no"}`, "Authorization", "").want(401)
	for _, path := range []string{sessionsPath, sessionsPath + "/Members", sessionsPath + "/"} {
		r := b.do("POST", path, login, "Authorization", "").want(201)
		token, where := r.header.Get("X-Auth-Token"), r.header.Get("Location")
		if token == "" || where == "" || r.json()["@odata.id"] != where {
			t.Fatalf("token %q, location %q, body %s", token, where, r.raw)
		}
		b.do("GET", system, "", "Authorization", "", "X-Auth-Token", token).want(200)
		b.do("GET", where, "", "Authorization", "", "X-Auth-Token", token).want(200)
		b.do("DELETE", where, "", "Authorization", "", "X-Auth-Token", token).want(204)
		b.do("GET", system, "", "Authorization", "", "X-Auth-Token", token).want(401)
		b.do("DELETE", where, "").want(404).wantMessage("ResourceMissingAtURI")
	}
}

func TestSessionExpires(t *testing.T) {
	b := newBench(t)
	b.do("PATCH", sessionService, `{"SessionTimeout":60}`).want(200)
	for _, wrong := range []string{`29`, `86401`, `60.5`} {
		b.do("PATCH", sessionService, `{"SessionTimeout":`+wrong+`}`).want(400).wantMessage("PropertyValueFormatError")
	}
	b.do("PATCH", sessionService, `{"SessionTimeout":"60"}`).want(400).wantMessage("PropertyValueTypeError")
	token := b.do("POST", sessionsPath, `{"UserName":"admin","Password":"`+testPassword+`"}`).want(201).header.Get("X-Auth-Token")
	use := func() reply { return b.do("GET", system, "", "Authorization", "", "X-Auth-Token", token) }
	b.clock.advance(59 * time.Second)
	use().want(200)
	b.clock.advance(59 * time.Second) // its use kept it alive
	use().want(200)
	b.clock.advance(61 * time.Second)
	use().want(401)
}

func TestSessionLimit(t *testing.T) {
	b := newBench(t)
	login := `{"UserName":"admin","Password":"` + testPassword + `"}`
	for range maxSessions {
		b.do("POST", sessionsPath, login).want(201)
	}
	b.do("POST", sessionsPath, login).want(503).wantMessage("SessionLimitExceeded")
	if got := b.get(sessionsPath)["Members@odata.count"]; got != float64(maxSessions) {
		t.Errorf("%v sessions, want %d", got, maxSessions)
	}
}

func TestRequestLimits(t *testing.T) {
	b := newBench(t)
	b.do("PATCH", system, `{"AssetTag":"`+strings.Repeat("x", maxBody)+`"}`).want(413).wantMessage("PayloadTooLarge")
	b.do("PATCH", system, `{"AssetTag":`).want(400).wantMessage("MalformedJSON")
	b.do("PATCH", system, `[1]`).want(400).wantMessage("MalformedJSON")
	b.do("PATCH", system, `null`).want(400).wantMessage("MalformedJSON")
	b.do("PATCH", system, `{"AssetTag":"x"}`, "Content-Type", "text/plain").want(415)
	b.do("GET", system, "", "OData-Version", "3.0").want(412)
	b.do("GET", system+"?$expand=*", "").want(501).wantMessage("QueryParameterUnsupported")
	b.do("GET", system+"?$top=-1", "").want(400)
	b.do("GET", system+"?unknown=1", "").want(200)
	r := b.do("PUT", system, `{}`).want(405).wantMessage("OperationNotAllowed")
	if got := r.header.Get("Allow"); got != "GET, HEAD, PATCH" {
		t.Errorf("Allow %q", got)
	}
	if r := b.do("HEAD", system, "").want(200); len(r.raw) != 0 || r.header.Get("ETag") == "" {
		t.Errorf("HEAD gave %d bytes and ETag %q", len(r.raw), r.header.Get("ETag"))
	}
}

func TestETags(t *testing.T) {
	b := newBench(t)
	tag := b.do("GET", system, "").header.Get("ETag")
	if b.get(system)["@odata.etag"] != tag {
		t.Error("the header's ETag is not the body's")
	}
	b.do("GET", system, "", "If-None-Match", tag).want(304)
	b.do("PATCH", system, `{"AssetTag":"a"}`, "If-Match", `"other"`).want(412).wantMessage("PreconditionFailed")
	next := b.do("PATCH", system, `{"AssetTag":"a"}`, "If-Match", `"other", `+tag).want(200).header.Get("ETag")
	if next == tag || next != b.do("GET", system, "").header.Get("ETag") {
		t.Errorf("ETag %s after %s", next, tag)
	}
	b.do("PATCH", system, `{"AssetTag":"b"}`, "If-Match", tag).want(412)
	b.do("PATCH", system, `{"AssetTag":"b"}`, "If-Match", "*").want(200)
	before := b.do("GET", manager, "").header.Get("ETag")
	b.clock.advance(time.Hour)
	if after := b.do("GET", manager, "").header.Get("ETag"); after != before {
		t.Error("the clock changes the ETag")
	}
}

// tree walks all resources that are linked from the root.
func (b *bench) tree() map[string]map[string]any {
	b.t.Helper()
	found := map[string]map[string]any{}
	queue := []string{root}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		if found[path] != nil {
			continue
		}
		found[path] = b.get(path)
		queue = append(queue, uris(found[path])...)
	}
	return found
}

func uris(value any) []string {
	var all []string
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if s, ok := member.(string); ok && (name == "@odata.id" || name == "@Redfish.ActionInfo") {
				all = append(all, s)
			}
			all = append(all, uris(member)...)
		}
	case []any:
		for _, member := range v {
			all = append(all, uris(member)...)
		}
	}
	return all
}

var typeFormat = regexp.MustCompile(`^#([A-Za-z]+)(\.v\d+_\d+_\d+)?\.([A-Za-z]+)$`)

// TestSchemaShape checks what DSP0266 says of every resource (9.6, 9.7).
func TestSchemaShape(t *testing.T) {
	b := newBench(t)
	b.do("POST", sessionsPath, `{"UserName":"admin","Password":"`+testPassword+`"}`).want(201)
	b.reset("On").want(204)
	b.machine.console = "line one\nline two"
	metadata := string(b.do("GET", metadataPath, "").raw)
	tree := b.tree()
	if len(tree) < 40 {
		t.Errorf("only %d resources are linked", len(tree))
	}
	for path, resource := range tree {
		if resource["@odata.id"] != path {
			t.Errorf("%s: @odata.id is %v", path, resource["@odata.id"])
		}
		kind, _ := resource["@odata.type"].(string)
		parts := typeFormat.FindStringSubmatch(kind)
		if parts == nil || parts[1] != parts[3] {
			t.Errorf("%s: type %q", path, kind)
			continue
		}
		if !strings.Contains(metadata, `"`+parts[1]+parts[2]+`"`) {
			t.Errorf("%s: type %q is not in the metadata", path, kind)
		}
		if name, _ := resource["Name"].(string); name == "" {
			t.Errorf("%s: no Name", path)
		}
		if strings.HasSuffix(parts[1], "Collection") {
			members, _ := resource["Members"].([]any)
			if resource["Members"] == nil || resource["Members@odata.count"] != float64(len(members)) {
				t.Errorf("%s: members %v, count %v", path, resource["Members"], resource["Members@odata.count"])
			}
		} else if id, _ := resource["Id"].(string); id == "" {
			t.Errorf("%s: no Id", path)
		}
		checkActions(t, b, path, resource)
	}
}

// checkActions follows the targets: a GET of one is not allowed, but it is there.
func checkActions(t *testing.T, b *bench, path string, resource map[string]any) {
	actions, _ := resource["Actions"].(map[string]any)
	for name, action := range actions {
		target, _ := action.(map[string]any)["target"].(string)
		if !strings.HasPrefix(target, path+"/Actions/") {
			t.Errorf("%s: action %s has target %q", path, name, target)
		}
		if status := b.do("GET", target, "").status; status != http.StatusMethodNotAllowed {
			t.Errorf("%s: GET of target %q gives %d", path, target, status)
		}
	}
}
