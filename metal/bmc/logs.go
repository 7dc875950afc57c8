package bmc

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	// maxLines bounds what a tail gives, maxLine each line in bytes.
	maxLines = 200
	maxLine  = 512
	// maxServices bounds the log services that are looked through.
	maxServices = 32
	// maxFollow bounds the entries that are read one by one.
	maxFollow = 20
)

// entry is DMTF's LogEntry.
type entry struct {
	link
	Created  string `json:"Created"`
	Severity string `json:"Severity"`
	Message  string `json:"Message"`
}

// escapes are the terminal's: colours, cursor movements.
var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|\x1b[@-Z\\-_]`)

// ConsoleTail gives the last lines of the host's serial console, at most 200,
// oldest first, where the BMC keeps them as OpenBMC does (LogService
// "HostLogger"); nil, nil where it doesn't. Errors are *fault.Error.
func (c *Client) ConsoleTail(ctx context.Context, lines int) ([]string, error) {
	c.mu.Lock()
	none := c.noConsole
	c.mu.Unlock()
	if none || lines <= 0 {
		return nil, nil
	}
	where, _, err := c.systemPath(ctx)
	if err != nil {
		return nil, err
	}
	lines = min(lines, maxLines)
	entries, refused, err := c.tail(ctx, strings.TrimRight(where, "/")+"/LogServices/HostLogger/Entries", lines)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		if refused.status >= 500 {
			return nil, c.refused("reading the console log", refused)
		}
		c.mu.Lock()
		c.noConsole = true
		c.mu.Unlock()
		return nil, nil
	}
	var out []string
	for _, e := range entries {
		for _, l := range strings.Split(e.Message, "\n") {
			out = append(out, c.line(strings.TrimRight(l, "\r")))
		}
	}
	return out[max(0, len(out)-lines):], nil
}

func (c *Client) line(s string) string {
	return clean(c.wire.veil.hide(escapes.ReplaceAllString(clean4(s), "")), maxLine)
}

// clean4 bounds s before the costlier work; a cut secret is behind maxLine.
func clean4(s string) string { return s[:min(len(s), 8*maxLine)] }

// EventTail gives the last n entries of the server's or BMC's event log, at
// most 200, oldest first, each as "time severity message"; nil, nil where there
// is no log. Errors are *fault.Error.
func (c *Client) EventTail(ctx context.Context, n int) ([]string, error) {
	if n <= 0 {
		return nil, nil
	}
	n = min(n, maxLines)
	where, err := c.eventsPath(ctx)
	if err != nil || where == "" {
		return nil, err
	}
	entries, refused, err := c.tail(ctx, where, n)
	if err != nil {
		return nil, err
	}
	if refused != nil {
		if refused.status == http.StatusNotFound {
			c.learn(func(p *place) { p.Events = "" })
			return nil, nil
		}
		return nil, c.refused("reading the event log", refused)
	}
	var out []string
	for _, e := range entries {
		out = append(out, c.line(strings.Join(strings.Fields(e.Created+" "+e.Severity+" "+e.Message), " ")))
	}
	return out, nil
}

// eventLogs are the names of logs that a person wants to see, best first: the
// system event log by its vendors' names (Supermicro Log1, iLO IML, iDRAC Sel).
var eventLogs = []string{"SEL", "EventLog", "Event", "IML", "Log1", "StandardLog", "Log", "Lclog", "IEL", "Journal"}

// eventsPath finds the entries of the event log below the system, then below
// its manager.
func (c *Client) eventsPath(ctx context.Context) (string, error) {
	if p := c.known(); p.Events != "" {
		return p.Events, nil
	}
	s, err := c.recentSystem(ctx)
	if err != nil {
		return "", err
	}
	where, err := c.eventLog(ctx, s.Logs.ID)
	if err != nil {
		return "", err
	}
	if where == "" {
		m, err := c.readManager(ctx, s)
		if err != nil {
			return "", err
		}
		if where, err = c.eventLog(ctx, m.Logs.ID); err != nil || where == "" {
			return "", err
		}
	}
	c.learn(func(p *place) { p.Events = where })
	return where, nil
}

// eventLog gives the entries of the best log of a collection of log services.
func (c *Client) eventLog(ctx context.Context, services string) (string, error) {
	if services == "" {
		return "", nil
	}
	raws, refused, err := c.members(ctx, services, maxServices)
	if err != nil {
		return "", err
	}
	if refused != nil {
		if refused.status >= 500 {
			return "", c.refused("reading the log services", refused)
		}
		return "", nil
	}
	best, rank := "", len(eventLogs)
	for _, raw := range raws {
		var l link
		if decode(raw, &l) != nil {
			continue
		}
		name := path.Base(strings.TrimRight(l.ID, "/"))
		if i := slices.IndexFunc(eventLogs, func(n string) bool { return strings.EqualFold(n, name) }); i >= 0 && i < rank {
			best, rank = l.ID, i
		}
	}
	if best == "" {
		return "", nil
	}
	var service struct {
		Entries link `json:"Entries"`
	}
	a, err := c.get(ctx, best, &service)
	if err != nil {
		return "", err
	}
	if !a.ok() || service.Entries.ID == "" {
		return strings.TrimRight(best, "/") + "/Entries", nil
	}
	return service.Entries.ID, nil
}

// tail gives the last n entries of a log, oldest first. Services list the
// newest first (iDRAC) or last (OpenBMC); where the first of several pages ends
// with the older ones, one more request skips to the end.
func (c *Client) tail(ctx context.Context, where string, n int) ([]entry, *answer, error) {
	var p page
	a, err := c.get(ctx, where, &p)
	if err != nil || !a.ok() {
		return nil, a, err
	}
	newest, err := c.newestFirst(ctx, p.Members)
	if err != nil {
		return nil, nil, err
	}
	if newest {
		entries, err := c.entries(ctx, p.Members[:min(n, len(p.Members))])
		slices.Reverse(entries)
		return entries, nil, err
	}
	members := p.Members
	if p.Next != "" && p.Count > len(members) {
		var last page
		sep := "?"
		if strings.Contains(where, "?") {
			sep = "&"
		}
		a, err := c.get(ctx, fmt.Sprintf("%s%s$skip=%d", where, sep, max(0, p.Count-n)), &last)
		if err != nil {
			return nil, nil, err
		}
		if a.ok() && len(last.Members) > 0 { // otherwise paging is not to be had, and the first page is what there is
			members = last.Members
		}
	}
	entries, err := c.entries(ctx, members[max(0, len(members)-n):])
	return entries, nil, err
}

// entries decodes members. Where they are mere references, at most
// maxFollow of them are read.
func (c *Client) entries(ctx context.Context, raws []rawMember) ([]entry, error) {
	var out []entry
	follow := maxFollow
	for _, raw := range raws {
		var e entry
		if decode(raw, &e) != nil {
			continue
		}
		if e.Message == "" && e.link.ID != "" && e.Created == "" {
			if follow--; follow < 0 {
				continue
			}
			a, err := c.get(ctx, e.link.ID, &e)
			if err != nil {
				return nil, err
			}
			if !a.ok() {
				continue // purged between the list and now
			}
		}
		out = append(out, e)
	}
	return out, nil
}

// newestFirst compares the times of the first and the last entry.
func (c *Client) newestFirst(ctx context.Context, raws []rawMember) (bool, error) {
	if len(raws) < 2 {
		return false, nil
	}
	ends, err := c.entries(ctx, []rawMember{raws[0], raws[len(raws)-1]})
	if err != nil || len(ends) < 2 {
		return false, err
	}
	first, err1 := time.Parse(time.RFC3339, ends[0].Created)
	last, err2 := time.Parse(time.RFC3339, ends[1].Created)
	return err1 == nil && err2 == nil && last.Before(first), nil
}
