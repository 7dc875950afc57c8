package bmc

import (
	"net/http"
	"strconv"
	"strings"
)

func link(uri string) object { return object{"@odata.id": uri} }

func links(uris ...string) []object {
	all := []object{}
	for _, uri := range uris {
		all = append(all, link(uri))
	}
	return all
}

func healthy() object { return object{"State": "Enabled", "Health": "OK"} }

func collection(uri, kind, name string, members ...string) object {
	return object{
		"@odata.id": uri, "@odata.type": "#" + kind + "." + kind, "Name": name,
		"Members": links(members...), "Members@odata.count": len(members),
	}
}

// checkQuery refuses the OData query parameters that are not there; others are
// ignored (DSP0266, 7.3).
func checkQuery(r *http.Request) *failure {
	for name, values := range r.URL.Query() {
		switch {
		case name == "$skip" || name == "$top":
			if n, err := strconv.Atoi(values[0]); err != nil || n < 0 {
				return queryValue(name, values[0])
			}
		case strings.HasPrefix(name, "$"):
			return queryUnsupported(name)
		}
	}
	return nil
}

// pageSize is how many log entries a page has that was not asked for by $top.
const pageSize = 1000

// page gives the part of a log that $skip and $top ask for.
func page(r *http.Request, uri string, entries []object) (object, *failure) {
	return pageOf(r, uri, len(entries), func(i int) object { return entries[i] })
}

func pageOf(r *http.Request, uri string, count int, entry func(int) object) (object, *failure) {
	skip, top := 0, pageSize
	if v := r.URL.Query().Get("$skip"); v != "" {
		skip, _ = strconv.Atoi(v) // checked by checkQuery
	}
	asked := r.URL.Query().Get("$top")
	if asked != "" {
		wanted, _ := strconv.Atoi(asked)
		top = min(wanted, pageSize)
	}
	members := []object{}
	for i := skip; i < count && len(members) < top; i++ {
		members = append(members, entry(i))
	}
	body := object{
		"@odata.id": uri, "@odata.type": "#LogEntryCollection.LogEntryCollection", "Name": "Log Entries",
		"Members": members, "Members@odata.count": count,
	}
	if next := skip + len(members); next < count && (asked == "" || top == pageSize) && top > 0 {
		body["Members@odata.nextLink"] = uri + "?$skip=" + strconv.Itoa(next)
	}
	return body, nil
}

func pick(entries []object, uri string) (object, *failure) {
	for _, e := range entries {
		if e["@odata.id"] == uri {
			return e, nil
		}
	}
	return nil, missing(uri)
}
