package bmc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"strings"
)

// maxBody bounds a request; the longest real one is a few hundred bytes.
const maxBody = 256 << 10

// protect sets the headers that every response has (DSP0266, 8.1) and checks
// those that every request is checked for.
func (b *BMC) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("OData-Version", "4.0")
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if v := r.Header.Get("OData-Version"); v != "" && v != "4.0" {
			b.refuse(w, r, fail(http.StatusPreconditionFailed, message{"HeaderInvalid",
				"Header 'OData-Version' is invalid.", []string{"OData-Version"}, Critical,
				"Correct the request header and resubmit the request.", ""}))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if b.bendWire(w, r) {
			return
		}
		next.ServeHTTP(w, r)
	})
}

// serve finds the resource, checks who asks, and runs the method.
func (b *BMC) serve(w http.ResponseWriter, r *http.Request) {
	m, id := b.router.find(r.URL.Path)
	if m == nil || !m.open(r.Method) {
		if !b.authenticate(r) {
			b.refuse(w, r, unauthorized(r.URL.Path))
			return
		}
	}
	if m == nil {
		b.refuse(w, r, missing(r.URL.Path))
		return
	}
	if r.URL.Path == metadataPath {
		b.metadata(w, r)
		return
	}
	b.dispatch(w, r, m, id)
}

func (b *BMC) dispatch(w http.ResponseWriter, r *http.Request, m *method, id string) {
	var result *answer
	var problem *failure
	switch {
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && m.get != nil:
		b.serveGet(w, r, m, id)
		return
	case r.Method == http.MethodPatch && m.patch != nil:
		if problem = b.precondition(r, m, id); problem == nil {
			result, problem = withBody(r, id, m.patch)
		}
	case r.Method == http.MethodPost && m.post != nil:
		result, problem = withBody(r, id, m.post)
	case r.Method == http.MethodDelete && m.delete != nil:
		result, problem = m.delete(r, id)
	default:
		problem = notAllowed(m.allowed())
	}
	if problem != nil {
		b.refuse(w, r, problem)
		return
	}
	for name, value := range result.header {
		w.Header().Set(name, value)
	}
	if result.status == http.StatusNoContent {
		w.WriteHeader(result.status)
		return
	}
	b.write(w, r, result.status, result.body)
}

func (b *BMC) serveGet(w http.ResponseWriter, r *http.Request, m *method, id string) {
	if problem := checkQuery(r); problem != nil {
		b.refuse(w, r, problem)
		return
	}
	body, problem := m.get(r, id)
	if problem != nil {
		b.refuse(w, r, problem)
		return
	}
	w.Header().Set("Allow", m.allowed())
	if kind, ok := body["@odata.type"].(string); ok {
		w.Header().Set("Link", "<http://redfish.dmtf.org/schemas/v1/"+schemaFile(kind)+">; rel=describedby")
		tag := b.bendTag(etag(body))
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		body = maps.Clone(body)
		body["@odata.etag"] = tag
	}
	b.write(w, r, http.StatusOK, body)
}

// precondition refuses a change to something else than the client has seen.
func (b *BMC) precondition(r *http.Request, m *method, id string) *failure {
	match := r.Header.Get("If-Match")
	if match == "" || match == "*" || m.get == nil {
		return nil
	}
	body, problem := m.get(r, id)
	if problem != nil {
		return problem
	}
	for _, tag := range strings.Split(match, ",") {
		if strings.TrimSpace(tag) == etag(body) {
			return nil
		}
	}
	return fail(http.StatusPreconditionFailed, message{"PreconditionFailed",
		"The ETag supplied did not match the current ETag of the resource.", nil, Critical,
		"Try the operation again using the appropriate ETag.", ""})
}

// withBody decodes the request's JSON object; an empty body is an empty object.
func withBody(r *http.Request, id string, f func(*http.Request, string, object) (*answer, *failure)) (*answer, *failure) {
	raw, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, fail(http.StatusRequestEntityTooLarge, message{"PayloadTooLarge",
			"The supplied payload exceeds the maximum size supported by the service.", nil, Critical,
			"Limit the payload to the supported size and resubmit the request.", ""})
	}
	if err != nil {
		return nil, malformed("the body ended early")
	}
	body := object{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return f(r, id, body)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, fail(http.StatusUnsupportedMediaType, message{"HeaderInvalid",
			"Header 'Content-Type' is invalid.", []string{"Content-Type"}, Critical,
			"Send application/json and resubmit the request.", ""})
	}
	if err := json.Unmarshal(raw, &body); err != nil || body == nil {
		return nil, malformed("it is not a JSON object")
	}
	return f(r, id, body)
}

func (b *BMC) refuse(w http.ResponseWriter, r *http.Request, f *failure) {
	for name, value := range f.header {
		w.Header().Set(name, value)
	}
	b.write(w, r, f.status, f.body())
}

func (b *BMC) write(w http.ResponseWriter, r *http.Request, status int, body object) {
	raw, err := json.Marshal(body)
	if err != nil {
		b.config.Logger.Error("answer can't be encoded", "path", r.URL.Path, "error", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		if _, err := w.Write(raw); err != nil {
			b.config.Logger.Debug("client went away", "path", r.URL.Path, "error", err)
		}
	}
	b.config.Logger.Trace("request", "machine", b.config.Hardware.Name, "method", r.Method, "path", r.URL.Path, "status", status)
}

// etag identifies a state of a resource. The clock is no part of it.
func etag(body object) string {
	stable := maps.Clone(body)
	delete(stable, "DateTime")
	raw, err := json.Marshal(stable)
	if err != nil {
		return `""`
	}
	sum := sha256.Sum256(raw)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

// schemaFile is the JSON schema of a type: "#Chassis.v1_2_0.Chassis" is in
// Chassis.v1_2_0.json, an unversioned collection in its own.
func schemaFile(kind string) string {
	kind = strings.TrimPrefix(kind, "#")
	return kind[:strings.LastIndexByte(kind, '.')] + ".json"
}
