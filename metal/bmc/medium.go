package bmc

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Medium is a slot for virtual media.
type Medium struct {
	ID string `json:"id"`
	// Types are what it can be: "CD", "DVD", "USBStick", ...
	Types []string `json:"types,omitempty"`
	// Inserted says that something is in it; Image is its URL, which may hold a
	// one-time token.
	Inserted bool   `json:"inserted,omitempty"`
	Image    string `json:"image,omitempty"`

	path, etag    string
	insert, eject string
}

const maxMedia = 16

// wireMedium are the properties of DMTF's VirtualMedia that are needed.
type wireMedium struct {
	link
	ID       string       `json:"Id"`
	ETag     string       `json:"@odata.etag"`
	Types    list[string] `json:"MediaTypes"`
	Image    *string      `json:"Image"`
	Inserted *bool        `json:"Inserted"`
	Actions  struct {
		Insert action `json:"#VirtualMedia.InsertMedia"`
		Eject  action `json:"#VirtualMedia.EjectMedia"`
	} `json:"Actions"`
}

type action struct {
	Target string `json:"target"`
}

func (w wireMedium) medium() Medium {
	m := Medium{ID: clean(w.ID, maxText), Image: clean(text(w.Image), 2048), path: w.link.ID, etag: w.ETag,
		insert: w.Actions.Insert.Target, eject: w.Actions.Eject.Target}
	if m.ID == "" {
		m.ID = path.Base(strings.TrimRight(w.link.ID, "/"))
	}
	// Without the property, an image is one that is in.
	m.Inserted = m.Image != ""
	if w.Inserted != nil {
		m.Inserted = *w.Inserted
	}
	for _, t := range w.Types {
		m.Types = append(m.Types, clean(t, maxText))
	}
	return m
}

// Media reads the virtual media slots, none where the BMC has none. Errors are
// *fault.Error.
func (c *Client) Media(ctx context.Context) ([]Medium, error) {
	where, err := c.mediaPath(ctx)
	if err != nil || where == "" {
		return nil, err
	}
	var out []Medium
	refused, err := eachMember(ctx, c, where, maxMedia, func(w wireMedium) bool { return w.Types != nil || w.Inserted != nil },
		func(w wireMedium) { out = append(out, w.medium()) })
	if err != nil {
		return nil, err
	}
	if refused == nil {
		return out, nil
	}
	switch refused.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return nil, nil
	case http.StatusForbidden: // a matter of licence on iLO and XCC
		return nil, nil
	}
	return nil, c.refused("reading the virtual media", refused)
}

// mediaPath finds the collection: below the system (Dell since 6.00, newer
// schemas), otherwise below its manager.
func (c *Client) mediaPath(ctx context.Context) (string, error) {
	if p := c.known(); p.Media != "" || p.NoMedia {
		return p.Media, nil
	}
	s, err := c.recentSystem(ctx)
	if err != nil {
		return "", err
	}
	where := s.Media.ID
	if where == "" {
		m, err := c.readManager(ctx, s)
		if err != nil {
			return "", err
		}
		where = m.Media.ID
	}
	c.learn(func(p *place) { p.Media, p.NoMedia = where, where == "" })
	return where, nil
}

// manager are the properties of DMTF's Manager that are needed.
type manager struct {
	Media link `json:"VirtualMedia"`
	Logs  link `json:"LogServices"`
}

// readManager reads the system's manager; without a link to it (Huawei 1288H:
// sushy retry-on-missing-managedby) the only one there is, and an empty one
// where that says nothing.
func (c *Client) readManager(ctx context.Context, s *computerSystem) (manager, error) {
	var m manager
	where := ""
	if len(s.Links.ManagedBy) > 0 {
		where = s.Links.ManagedBy[0].ID
	}
	if where == "" {
		raws, _, err := c.members(ctx, "/redfish/v1/Managers", 2)
		if err != nil || len(raws) != 1 {
			return m, err
		}
		var l link
		if decode(raws[0], &l) != nil || l.ID == "" {
			return m, nil
		}
		where = l.ID
	}
	a, err := c.get(ctx, where, &m)
	if err != nil {
		return m, err
	}
	if !a.ok() && a.status != http.StatusNotFound {
		return m, c.refused("reading the manager", a)
	}
	return m, nil
}

// slot selects a medium by ID, or the first that is a CD or DVD.
func (c *Client) slot(ctx context.Context, id string) (Medium, error) {
	all, err := c.Media(ctx)
	if err != nil {
		return Medium{}, err
	}
	var ids []string
	for _, m := range all {
		isCD := slices.Contains(m.Types, "CD") || slices.Contains(m.Types, "DVD")
		// Some Cisco and OpenBMC slots can't be used at all (ironic
		// cisco-c845a-vmedia-fix); one that is named is tried anyway.
		if id == m.ID || id == "" && isCD {
			return m, nil
		}
		ids = append(ids, m.ID)
	}
	wanted := id
	if id == "" {
		wanted = "CD"
	}
	return Medium{}, &fault.Error{Class: fault.NeedsPerson, Subject: c.subject(), Summary: "the BMC has no such virtual media slot",
		Seen: "slots " + quoted(strings.Join(ids, ", ")), Expected: wanted, Err: &UnsupportedError{What: "virtual media slot", Wanted: wanted, Works: ids},
		Advice: "use another slot or another boot method; some BMCs want a licence for virtual media"}
}
