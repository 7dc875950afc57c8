package lab

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"time"
)

// Dump is the content of all BMCs: by machine, by URI, the resource.
type Dump map[string]map[string]any

const (
	maxResource  = 8 << 20
	maxResources = 5000
	dumpTimeout  = 20 * time.Second
)

// ReadDump walks the Redfish tree of every BMC of a running lab. What changes
// by itself (sessions, log entries, clocks, ETags) is left out, so that two
// dumps are equal when nothing was changed.
func ReadDump(ctx context.Context, name, dir string) (Dump, error) {
	status, err := ReadStatus(ctx, name, dir)
	if err != nil {
		return nil, err
	}
	p, err := findPlace(name, dir)
	if err != nil {
		return nil, err
	}
	password, err := p.password()
	if err != nil {
		return nil, err
	}
	dump := Dump{}
	for _, m := range status.Machines {
		w := walker{base: m.BMCForward, user: status.BMCUser, password: password, client: pinned(m.BMCFingerprint), found: map[string]any{}}
		if err := w.walk(ctx, "/redfish/v1"); err != nil {
			return nil, fmt.Errorf("dumping the BMC of %q: %w", m.Name, err)
		}
		dump[m.Name] = w.found
	}
	return dump, nil
}

// pinned is a client that accepts one certificate only.
func pinned(fingerprint string) *http.Client {
	config := &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(state tls.ConnectionState) error {
		sum := sha256.Sum256(state.PeerCertificates[0].Raw)
		if hex.EncodeToString(sum[:]) != fingerprint {
			return errors.New("the BMC shows another certificate than the lab's")
		}
		return nil
	}}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: dumpTimeout}
}

type walker struct {
	base, user, password string
	client               *http.Client
	found                map[string]any
}

// walk reads a resource and all that it links to.
func (w *walker) walk(ctx context.Context, start string) error {
	defer w.client.CloseIdleConnections()
	queue := []string{start}
	for len(queue) > 0 {
		uri := strings.TrimSuffix(queue[0], "/")
		queue = queue[1:]
		if _, done := w.found[uri]; done || volatileResource(uri) {
			continue
		}
		if len(w.found) >= maxResources {
			return fmt.Errorf("reading %q: more than %d resources", uri, maxResources)
		}
		resource, err := w.get(ctx, uri)
		if err != nil {
			return err
		}
		queue = append(queue, linked(resource)...)
		w.found[uri] = stable(resource)
	}
	return nil
}

func (w *walker) get(ctx context.Context, uri string) (any, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base+uri, nil)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", uri, err)
	}
	request.SetBasicAuth(w.user, w.password)
	response, err := w.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", uri, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading %q: status %s", uri, response.Status)
	}
	var resource any
	if err := json.NewDecoder(io.LimitReader(response.Body, maxResource)).Decode(&resource); err != nil {
		return nil, fmt.Errorf("decoding %q: %w", uri, err)
	}
	return resource, nil
}

// volatileResource says whether a resource is there for a while only.
func volatileResource(uri string) bool {
	return strings.Contains(uri, "#") || strings.HasSuffix(uri, "/SessionService/Sessions") ||
		strings.Contains(uri, "/LogServices/") && strings.Contains(uri, "/Entries")
}

// volatileProperties change by themselves.
var volatileProperties = map[string]bool{"@odata.etag": true, "DateTime": true, "LastResetTime": true, "LinkStatus": true}

// stable is the resource without what changes by itself.
func stable(value any) any {
	switch v := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, member := range v {
			if !volatileProperties[name] {
				kept[name] = stable(member)
			}
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i := range v {
			kept[i] = stable(v[i])
		}
		return kept
	}
	return value
}

// linked gives the URIs of all links in a resource, in a fixed order.
func linked(value any) []string {
	var uris []string
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if uri, ok := member.(string); ok && name == "@odata.id" && strings.HasPrefix(uri, "/redfish/v1") {
				uris = append(uris, uri)
				continue
			}
			uris = append(uris, linked(member)...)
		}
	case []any:
		for _, member := range v {
			uris = append(uris, linked(member)...)
		}
	}
	sort.Strings(uris)
	return uris
}
