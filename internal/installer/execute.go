package installer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// execute carries out one order.
func (r *runner) execute(ctx context.Context, o order.Order, t *tracker) (next func() error, err error) {
	switch {
	case o.Kind == order.Inspect:
		t.step("inspect")
		return nil, r.inspect(ctx)
	case o.Kind == order.Wipe && o.Wipe != nil:
		return nil, r.wipe(ctx, *o.Wipe, t)
	case o.Kind == order.WriteImage && o.WriteImage != nil:
		return nil, r.writeImage(ctx, *o.WriteImage, t)
	case o.Kind == order.Boot && o.Boot != nil:
		return r.boot(ctx, *o.Boot, t)
	}
	return nil, fmt.Errorf("carrying out order %q: this installer does not know the kind %q, or its details are missing", o.ID, o.Kind)
}

// openChecked opens the disk that ref names and refuses another one.
func (r *runner) openChecked(ctx context.Context, ref order.DiskRef) (Disk, error) {
	d, err := r.machine.Disks.Open(ctx, ref.Name)
	if err != nil {
		return nil, &failure{order.ReasonDiskChanged, false, fmt.Errorf("disk %q cannot be opened: %w", ref.Name, err)}
	}
	if difference := compareRefs(ref, d.Ref()); difference != "" {
		return nil, errors.Join(refuse(order.ReasonDiskChanged, "disk %q is not the one that the order means: %s", ref.Name, difference), d.Close())
	}
	return d, nil
}

// compareRefs tells in words what is different about a disk; empty: it is the same.
func compareRefs(want, have order.DiskRef) string {
	switch {
	case want.Serial != have.Serial:
		return fmt.Sprintf("serial %q instead of %q", have.Serial, want.Serial)
	case want.WWN != have.WWN:
		return fmt.Sprintf("WWN %q instead of %q", have.WWN, want.WWN)
	case want.SizeBytes != have.SizeBytes:
		return fmt.Sprintf("%d bytes instead of %d", have.SizeBytes, want.SizeBytes)
	}
	return ""
}

// imageClient uses the pinned client for the agent itself. An image from
// elsewhere is fetched without knowing any certificate authority (there are none in
// RAM): its digest came from the agent, and decides.
func imageClient(pinned *http.Client, agent string) *http.Client {
	other := &http.Transport{Proxy: nil, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		ReadBufferSize: 256 << 10, MaxIdleConnsPerHost: 1}
	host := ""
	if u, err := url.Parse(agent); err == nil {
		host = u.Host
	}
	return &http.Client{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.URL.Scheme == "https" && req.URL.Host == host {
			return pinned.Transport.RoundTrip(req)
		}
		return other.RoundTrip(req)
	})}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
