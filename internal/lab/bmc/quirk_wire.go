package bmc

import (
	"net/http"
	"strings"
	"sync/atomic"
)

const (
	// cappedSessions is iDRAC's limit.
	cappedSessions = 8
	// staleAfter is after how many requests a session is forgotten early.
	staleAfter = 10
	// unavailableEvery is how often data sources are unavailable.
	unavailableEvery = 5
	// dropEvery is how often a connection is cut without an answer.
	dropEvery = 4
)

func wireQuirks() map[string]quirk {
	var asked, dropped atomic.Int64
	return map[string]quirk{
		"etag-weak": {
			seen: "sushy release note fix-return-full-weak-etag",
			tag:  func(tag string) string { return "W/" + tag },
			wire: func(_ *BMC, _ http.ResponseWriter, r *http.Request) bool {
				if match := r.Header.Get("If-Match"); strings.HasPrefix(match, "W/") {
					r.Header.Set("If-Match", strings.TrimPrefix(match, "W/"))
				} else if match != "" && match != "*" {
					r.Header.Set("If-Match", `"not the weak tag that was given"`)
				}
				return false
			},
		},
		"etag-required": {
			seen: "AMI; gofish#510",
			before: func(_ *BMC, r *http.Request, _ object) *failure {
				if r.Method == http.MethodPatch && r.Header.Get("If-Match") == "" {
					return fail(http.StatusPreconditionRequired, message{"PreconditionRequired", "A precondition header is required.",
						nil, Critical, "Add If-Match with the ETag.", ""})
				}
				return nil
			},
		},
		"no-identity-encoding": {
			seen: "HPE Gen10; sushy release note accept-encoding",
			wire: func(b *BMC, w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.Header.Get("Accept-Encoding"), "identity") {
					return false
				}
				b.refuse(w, r, fail(http.StatusNotAcceptable, message{"HeaderInvalid", "Header 'Accept-Encoding' is invalid.",
					[]string{"Accept-Encoding"}, Critical, "Send another header.", ""}))
				return true
			},
		},
		"conn-drop": {
			seen: "sushy release note disable-conn-pooling",
			wire: func(_ *BMC, _ http.ResponseWriter, r *http.Request) bool {
				// Only where a repeated request does no harm: a client can't know
				// whether a write that was cut was done.
				if r.Method == http.MethodGet && dropped.Add(1)%dropEvery == 0 {
					panic(http.ErrAbortHandler)
				}
				return false
			},
		},
		"sys518": {
			seen: "Dell iDRAC; sushy release note fix-retry_volume_operation-on_sys518",
			before: func(_ *BMC, r *http.Request, _ object) *failure {
				if strings.HasPrefix(r.URL.Path, systems) && asked.Add(1)%unavailableEvery == 0 {
					return fail(http.StatusServiceUnavailable, message{"ServiceTemporarilyUnavailable", "SYS518: iDRAC is not ready. The data sources are unavailable.",
						[]string{"1"}, Critical, "Wait and try again.", ""})
				}
				return nil
			},
		},
	}
}

func sessionQuirks() map[string]quirk {
	var used atomic.Int64
	return map[string]quirk{
		"session-cap": {
			seen: "Dell iDRAC; gofish#75",
			before: func(b *BMC, r *http.Request, _ object) *failure {
				if on(r, http.MethodPost, sessionsPath) && len(b.sessions.uris()) >= cappedSessions {
					return fail(http.StatusServiceUnavailable, message{"SessionLimitExceeded", "RAC0218: The maximum number of user sessions is reached.",
						nil, Critical, "Close a session.", ""})
				}
				return nil
			},
		},
		"session-stale": {
			seen: "sushy release note reauthentication-session-fallback",
			wire: func(b *BMC, _ http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("X-Auth-Token") != "" && used.Add(1)%staleAfter == 0 {
					b.sessions.forget()
				}
				return false
			},
		},
		"no-session-service": {
			seen: "sushy release note use-sessions-url-from-root",
			before: func(_ *BMC, r *http.Request, _ object) *failure {
				if strings.HasPrefix(r.URL.Path, sessionService) {
					return missing(r.URL.Path)
				}
				return nil
			},
			show: func(_ *BMC, path string, shown object) {
				if path == root {
					delete(shown, "SessionService")
					delete(shown, "Links")
				}
			},
		},
	}
}
