package bmc

import (
	"context"
	"net/http"
	"strings"
)

// target is a resource to be written, with the ETag under which it was read.
type target struct{ path, etag string }

// etagOf prefers the header, which is what If-Match is compared with.
func etagOf(a *answer, inBody string) string {
	if h := a.header.Get("ETag"); h != "" {
		return h
	}
	return inBody
}

// usableETag leaves out empty ones (sushy ignore-empty-string-etags) and what
// can't be a header.
func usableETag(e string) string {
	e = strings.TrimSpace(e)
	if e == `""` || e == `W/""` || len(e) > 512 || strings.ContainsAny(e, "\r\n") {
		return ""
	}
	return e
}

// patch writes body under t's ETag. ETags are weak, strong, unquoted or never
// match (sushy fix-missing-etags, fix-return-full-weak-etag; gofish issue 510),
// so after a 412 the resource is read once more and written under its new ETag,
// the strong form of the same weak one, or none; a 428 without an ETag gets
// "*". At most three writes.
func (c *Client) patch(ctx context.Context, t *target, body any) (*answer, error) {
	etag := usableETag(t.etag)
	for try := 1; ; try++ {
		r := request{method: http.MethodPatch, path: t.path, body: body, repeatable: true}
		if etag != "" {
			r.header = map[string]string{"If-Match": etag}
		}
		a, err := c.send(ctx, r)
		if err != nil || a.status != http.StatusPreconditionFailed && a.status != http.StatusPreconditionRequired || try == 3 {
			return a, err
		}
		if try == 2 {
			etag = otherETag(a.status, etag, etag)
			continue
		}
		fresh, err := c.readETag(ctx, t.path)
		if err != nil {
			return nil, err
		}
		t.etag = fresh
		etag = otherETag(a.status, etag, usableETag(fresh))
	}
}

// otherETag is what to try after sent was refused with status.
func otherETag(status int, sent, fresh string) string {
	switch {
	case fresh != sent && fresh != "":
		return fresh
	case status == http.StatusPreconditionRequired && sent != "*":
		return "*"
	case strings.HasPrefix(sent, "W/"):
		return strings.TrimPrefix(sent, "W/")
	}
	return ""
}

// readETag reads a resource for its ETag only.
func (c *Client) readETag(ctx context.Context, path string) (string, error) {
	var v struct {
		ETag string `json:"@odata.etag"`
	}
	a, err := c.get(ctx, path, &v)
	if err != nil {
		return "", err
	}
	if !a.ok() {
		return "", c.refused("reading the ETag", a)
	}
	return etagOf(a, v.ETag), nil
}
