package bmc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// maxPages bounds how many pages of a collection are read.
const maxPages = 16

// page is one page of a collection. Members are kept raw because services may
// put whole resources where others put references.
type page struct {
	Members list[rawMember] `json:"Members"`
	Count   int             `json:"Members@odata.count"`
	Next    string          `json:"Members@odata.nextLink"`
}

// get reads a resource into v when the BMC answers with success; otherwise the
// answer tells why. An answer that is not JSON is an error.
func (c *Client) get(ctx context.Context, where string, v any) (*answer, error) {
	a, err := c.send(ctx, request{method: http.MethodGet, path: where})
	if err != nil || !a.ok() {
		return a, err
	}
	if err := decode(a.body, v); err != nil {
		return nil, c.wire.veilFault(&fault.Error{Class: fault.Retryable, Subject: c.subject(), Attribute: "bmc.url",
			Summary: "the BMC's answer is not a Redfish resource", Seen: fmt.Sprintf("%s with %d bytes: %v", a.line, len(a.body), err),
			Expected: "a JSON object", Advice: "check that the URL is that of a BMC; restart the BMC if it is", Evidence: c.evidence()})
	}
	return a, nil
}

// members reads the pages of a collection, at most limit members, at most
// maxPages pages, and no page twice: nextLink may lead round in a circle. A
// refused first page is given as answer.
func (c *Client) members(ctx context.Context, where string, limit int) ([]rawMember, *answer, error) {
	var out []rawMember
	been := map[string]bool{}
	for n := 0; n < maxPages && where != "" && !been[where] && len(out) < limit; n++ {
		been[where] = true
		var p page
		a, err := c.get(ctx, where, &p)
		if err != nil {
			return nil, nil, err
		}
		if !a.ok() {
			if n == 0 {
				return nil, a, nil
			}
			return nil, nil, c.refused("reading a further page", a)
		}
		out = append(out, p.Members...)
		where = p.Next
	}
	return out[:min(len(out), limit)], nil, nil
}

// eachMember calls use with each member of a collection: as it is inside the
// collection where it is whole there, otherwise read by its reference. A
// refused collection is given as answer, refused members are left out when they
// are gone (404) and an error otherwise.
func eachMember[T any](ctx context.Context, c *Client, where string, limit int, whole func(T) bool, use func(T)) (*answer, error) {
	raws, refused, err := c.members(ctx, where, limit)
	if err != nil || refused != nil {
		return refused, err
	}
	been := map[string]bool{where: true}
	for _, raw := range raws {
		var v T
		var l link
		if decode(raw, &v) != nil || decode(raw, &l) != nil {
			continue // not an object, so neither a resource nor a reference
		}
		if whole(v) {
			use(v)
			continue
		}
		if l.ID == "" || been[l.ID] {
			continue
		}
		been[l.ID] = true
		a, err := c.get(ctx, l.ID, &v)
		if err != nil {
			return nil, err
		}
		switch {
		case a.ok():
			use(v)
		case a.status != http.StatusNotFound:
			return nil, c.refused("reading a member of "+where, a)
		}
	}
	return nil, nil
}

// rawMember is a member of a collection: a resource or a reference to one.
type rawMember = json.RawMessage
