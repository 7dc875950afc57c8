package bmc

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

const (
	rootPath    = "/redfish/v1/"
	systemsPath = "/redfish/v1/Systems"
	// maxSystems bounds the systems of one BMC that are looked at.
	maxSystems = 128
)

// serviceRoot are the properties of DMTF's ServiceRoot that are needed.
type serviceRoot struct {
	Type     string `json:"@odata.type"`
	Version  string `json:"RedfishVersion"`
	Sessions link   `json:"SessionService"`
	Links    struct {
		Sessions link `json:"Sessions"`
	} `json:"Links"`
}

// readRoot asks the service root, which needs no login (DSP0266), whether this
// is a Redfish service and where it keeps sessions.
func (c *Client) readRoot(ctx context.Context) (place, error) {
	a, err := c.wire.send(ctx, request{method: http.MethodGet, path: rootPath}, func(http.Header) {})
	if err != nil {
		return place{}, err
	}
	var root serviceRoot
	switch {
	case a.status == http.StatusUnauthorized:
		// Against the specification, but then it can't be asked before the login.
		root.Sessions.ID, root.Version = "/redfish/v1/SessionService", "unknown"
	case a.status >= 300 && a.status < 400, a.status == http.StatusForbidden, a.status >= 500:
		return place{}, c.refused("reading the service root", a)
	case !a.ok() || decode(a.body, &root) != nil || root.Version == "" && !strings.Contains(root.Type, "ServiceRoot"):
		return place{}, c.wire.veilFault(&fault.Error{Class: fault.NeedsPerson, Subject: c.subject(), Attribute: "bmc.url",
			Summary: "there is no Redfish service at this URL", Seen: a.line, Expected: "a ServiceRoot at " + rootPath, Evidence: c.evidence(),
			Advice: "correct bmc.url; if it is right, switch on Redfish in the BMC's settings or update its firmware"})
	}
	sessions := root.Links.Sessions.ID
	if sessions == "" && root.Sessions.ID != "" {
		sessions = defaultSessions
	}
	c.learn(func(p *place) { p.Sessions, p.Basic = sessions, sessions == "" })
	return c.known(), nil
}

// systemPath is where the selected system is; fresh says that this was found
// out just now.
func (c *Client) systemPath(ctx context.Context) (where string, fresh bool, err error) {
	if p := c.known(); p.System != "" {
		return p.System, false, nil
	}
	where, err = c.discover(ctx)
	return where, true, err
}

// discover reads the collection of systems and selects one.
func (c *Client) discover(ctx context.Context) (string, error) {
	raws, refused, err := c.members(ctx, systemsPath, maxSystems)
	if err != nil {
		return "", err
	}
	if refused != nil {
		return "", c.refused("reading the systems", refused)
	}
	var paths []string
	for _, raw := range raws {
		var l link
		if decode(raw, &l) == nil && l.ID != "" {
			paths = append(paths, l.ID)
		}
	}
	where, err := c.choose(paths)
	if err != nil {
		return "", err
	}
	c.learn(func(p *place) { p.System = where })
	return where, nil
}

func (c *Client) choose(paths []string) (string, error) {
	want := c.cfg.SystemID
	var names []string
	for _, p := range paths {
		name := path.Base(strings.TrimRight(p, "/"))
		if want != "" && (name == want || strings.TrimRight(p, "/") == strings.TrimRight(want, "/")) {
			return p, nil
		}
		names = append(names, clean(name, maxText))
	}
	f := &fault.Error{Class: fault.NeedsPerson, Subject: c.subject(), Attribute: "bmc.system_id", Evidence: c.evidence()}
	switch {
	case len(paths) == 0:
		f.Class, f.Attribute = fault.Retryable, "bmc.url"
		f.Summary, f.Seen, f.Expected = "the BMC shows no system", "an empty collection at "+systemsPath, "one system"
		f.Advice = "wait until the BMC has started; check that the URL is that of a server's BMC"
	case want != "":
		f.Summary, f.Seen = "the BMC has no such system", clean(strings.Join(names, ", "), 1000)
		f.Expected, f.Advice = fmt.Sprintf("%q", want), "set bmc.system_id to one of those seen"
	case len(paths) > 1:
		f.Summary, f.Seen = "the BMC has several systems", clean(strings.Join(names, ", "), 1000)
		f.Expected, f.Advice = "one, or bmc.system_id", "set bmc.system_id to one of those seen"
	default:
		return paths[0], nil
	}
	return "", f
}
