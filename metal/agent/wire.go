package agent

import (
	"regexp"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// APIVersion is the API that this package speaks; it is the path's prefix.
const APIVersion = "v1"

// instanceHeader is on every answer. It names one run of an agent, so that a
// client notices a restart in the middle of a wait. On a long-poll it is the run
// that the client has its revision of.
const instanceHeader = "Metal-Agent-Instance"

// reasonNotFound tells a missing object from a missing route: only the first
// may make a front end forget the object.
const reasonNotFound = "not-found"

// Limits of what is read from the other side.
const (
	// maxHostBody holds a spec and a remembered status with its inventory.
	maxHostBody = 1 << 20
	// maxClusterBody holds a network plugin's manifest as well; the largest in
	// use (Calico's) is 0.6 MiB.
	maxClusterBody = 4 << 20
	// maxAnswer bounds an answer that a client reads: a list of some thousand hosts.
	maxAnswer = 64 << 20
	// maxEvent bounds one server-sent event.
	maxEvent = 1 << 20
)

// Bounds of long-polls and of events.
const (
	defaultWait = 30 * time.Second
	maxWait     = 60 * time.Second
	// heartbeat is how often a quiet event stream shows that it is alive; a
	// client gives up after missing three.
	heartbeat = 15 * time.Second
	// bodyTime is how long a client may take to send a body.
	bodyTime = 30 * time.Second
	// maxTTL bounds a kubeconfig's life to a year.
	maxTTL = 366 * 24 * time.Hour
	// defaultTTL is a kubeconfig's life when none is asked for.
	defaultTTL = time.Hour
)

// Version is the answer of /v1/version.
type Version struct {
	// Version is the agent's.
	Version string `json:"version"`
	// API is APIVersion.
	API string `json:"api"`
	// Instance is random, drawn when the agent started.
	Instance string `json:"instance"`
}

// hostRequest is the body of PUT /v1/hosts/{name} and its recall.
type hostRequest struct {
	Spec   host.Spec    `json:"spec"`
	Recall *host.Status `json:"recall,omitempty"`
}

// errorAnswer is the body of every failure.
type errorAnswer struct {
	Error  *fault.Error `json:"error"`
	Reason string       `json:"reason,omitempty"`
}

// label is an RFC 1123 label (section 2.1 with the length of RFC 1035 section
// 2.3.4): what every name in a path is.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// checkName refuses what cannot be an object's name before it reaches a path.
func checkName(name string) error {
	if label.MatchString(name) {
		return nil
	}
	return fault.Invalid("name", "not a valid name", clip(name, 80),
		"at most 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit")
}

// clip quotes at most n bytes of text that came from outside.
func clip(text string, n int) string {
	if len(text) > n {
		return quote(text[:n]) + "..."
	}
	return quote(text)
}
