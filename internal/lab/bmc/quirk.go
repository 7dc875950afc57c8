package bmc

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// quirk is one way in which real BMCs differ from the standard. All hooks are
// optional. The names and where they were seen are in Quirks.
type quirk struct {
	seen string
	// before refuses a request, or alters its body, which is nil for GET.
	before func(b *BMC, r *http.Request, body object) *failure
	// show alters what a resource shows; the object is a copy.
	show func(b *BMC, path string, shown object)
	// boot alters what the firmware is told.
	boot func(boot *Boot, once bool)
	// tag alters an ETag that is shown.
	tag func(string) string
	// wire sees a request before anything else, and may answer or drop it.
	wire func(b *BMC, w http.ResponseWriter, r *http.Request) (answered bool)
}

// Quirks gives the names of all quirks, with where each was seen.
func Quirks() map[string]string {
	names := map[string]string{}
	for name, q := range allQuirks() {
		names[name] = q.seen
	}
	return names
}

// Profiles are sets of quirks that were seen together.
func Profiles() map[string][]string {
	return map[string][]string{
		"supermicro": {"smc-override-enabled-reset", "smc-reject-inserted", "etag-weak"},
		"idrac":      {"power-409-after-off", "power-409-already", "session-cap", "sys518", "empty-mac"},
		"ilo":        {"ilo-post-lock", "eject-needs-empty-body", "minimal-boot-payload", "power-409-already"},
		"lenovo":     {"xcc-once-only", "power-lag"},
		"ami":        {"full-boot-payload", "etag-required", "transfer-protocol-required"},
		"cisco":      {"missing-ethernetinterfaces", "eject-when-empty-fails"},
	}
}

func allQuirks() map[string]quirk {
	all := map[string]quirk{}
	for _, group := range []map[string]quirk{bootQuirks(), powerQuirks(), mediaQuirks(), wireQuirks(), sessionQuirks(), shapeQuirks()} {
		maps.Copy(all, group)
	}
	return all
}

// CheckQuirks refuses names that are neither a quirk nor a profile.
func CheckQuirks(names []string) error {
	_, err := expandQuirks(names)
	return err
}

// expandQuirks gives the quirks of names and profiles, each once.
func expandQuirks(names []string) ([]quirk, error) {
	known, profiles := allQuirks(), Profiles()
	var wanted []string
	for _, name := range names {
		switch members, isProfile := profiles[name]; {
		case isProfile:
			wanted = append(wanted, members...)
		case known[name].seen != "":
			wanted = append(wanted, name)
		default:
			return nil, fmt.Errorf("looking for BMC quirk %q: known are %q and the profiles %q", name,
				slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(profiles)))
		}
	}
	slices.Sort(wanted)
	var quirks []quirk
	for _, name := range slices.Compact(wanted) {
		quirks = append(quirks, known[name])
	}
	return quirks, nil
}

// bend puts the quirks around all methods.
func (b *BMC) bend(r *router) {
	if len(b.quirks) == 0 {
		return
	}
	for _, m := range r.exact {
		b.bendMethod(m)
	}
	for _, m := range r.items {
		b.bendMethod(m)
	}
}

func (b *BMC) bendMethod(m *method) {
	m.get = b.bendGet(m.get)
	m.patch, m.post = b.bendWrite(m.patch), b.bendWrite(m.post)
}

func (b *BMC) bendGet(get func(*http.Request, string) (object, *failure)) func(*http.Request, string) (object, *failure) {
	if get == nil {
		return nil
	}
	return func(r *http.Request, id string) (object, *failure) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			if problem := b.quirksBefore(r, nil); problem != nil {
				return nil, problem
			}
		}
		shown, problem := get(r, id)
		if problem != nil || shown == nil {
			return shown, problem
		}
		copied := deepCopy(shown)
		for _, q := range b.quirks {
			if q.show != nil {
				q.show(b, strings.TrimSuffix(r.URL.Path, "/"), copied)
			}
		}
		return copied, nil
	}
}

func (b *BMC) bendWrite(write func(*http.Request, string, object) (*answer, *failure)) func(*http.Request, string, object) (*answer, *failure) {
	if write == nil {
		return nil
	}
	return func(r *http.Request, id string, body object) (*answer, *failure) {
		if problem := b.quirksBefore(r, body); problem != nil {
			return nil, problem
		}
		return write(r, id, body)
	}
}

func (b *BMC) quirksBefore(r *http.Request, body object) *failure {
	for _, q := range b.quirks {
		if q.before == nil {
			continue
		}
		if problem := q.before(b, r, body); problem != nil {
			return problem
		}
	}
	return nil
}

// bendWire gives the quirks the request as it came.
func (b *BMC) bendWire(w http.ResponseWriter, r *http.Request) (answered bool) {
	for _, q := range b.quirks {
		if q.wire != nil && q.wire(b, w, r) {
			return true
		}
	}
	return false
}

// bendTag is the ETag as it is shown.
func (b *BMC) bendTag(tag string) string {
	for _, q := range b.quirks {
		if q.tag != nil {
			tag = q.tag(tag)
		}
	}
	return tag
}

func deepCopy(o object) object {
	raw, err := json.Marshal(o)
	copied := object{}
	if err == nil {
		err = json.Unmarshal(raw, &copied)
	}
	if err != nil {
		return o // what can't be encoded is refused when it is written
	}
	return copied
}

// on says whether a request is for one method of one path.
func on(r *http.Request, method, path string) bool {
	return r.Method == method && strings.TrimSuffix(r.URL.Path, "/") == path
}

// bootOf is the Boot object of a PATCH of the system, nil for anything else.
func bootOf(r *http.Request, body object) object {
	if !on(r, http.MethodPatch, system) {
		return nil
	}
	boot, _ := body["Boot"].(map[string]any)
	return boot
}

// within says whether less than d has passed since the power last changed.
func (b *BMC) within(d time.Duration, on bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.powerOn == on && b.config.Now().Sub(b.powerChanged) < d
}
