package agent

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// ApplyFacility checks, stores and serves the facility; applying the same again
// changes nothing.
func (c *Client) ApplyFacility(ctx context.Context, spec facility.Spec) (facility.Status, error) {
	return ask[facility.Status](ctx, c, request{what: "applying " + subject("facility", spec.Name), method: http.MethodPut,
		path: "/v1/facility", in: spec})
}

// RecallFacility gives the agent its record of the facility back, if it lost it,
// and starts nothing.
func (c *Client) RecallFacility(ctx context.Context, spec facility.Spec) (facility.Status, error) {
	return ask[facility.Status](ctx, c, request{what: "recalling " + subject("facility", spec.Name), method: http.MethodPut,
		path: "/v1/facility/recall", in: spec})
}

// Facility gives facility.ErrNotFound when none was applied.
func (c *Client) Facility(ctx context.Context) (facility.Status, error) {
	return ask[facility.Status](ctx, c, request{what: "reading the facility", method: http.MethodGet, path: "/v1/facility"})
}

// ReleaseFacility stops the services and forgets; it is refused while hosts or
// clusters exist.
func (c *Client) ReleaseFacility(ctx context.Context) error {
	return c.call(ctx, request{what: "releasing the facility", method: http.MethodDelete, path: "/v1/facility"})
}

// OfferCredentials hands credentials to the agent's memory, merged by name. The
// client keeps them as well, to offer them again when a wait sees that the
// agent was restarted.
func (c *Client) OfferCredentials(ctx context.Context, offered map[string]facility.Credentials) error {
	if len(offered) == 0 {
		return nil
	}
	if err := c.offer(ctx, offered); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.offered == nil {
		c.offered = make(map[string]facility.Credentials, len(offered))
	}
	maps.Copy(c.offered, offered)
	c.offeredTo = c.instance
	return nil
}

func (c *Client) offer(ctx context.Context, offered map[string]facility.Credentials) error {
	return c.call(ctx, request{what: "offering credentials", method: http.MethodPost, path: "/v1/credentials", in: offered})
}

// offerAgain repeats what was offered when another run of the agent answers.
func (c *Client) offerAgain(ctx context.Context) error {
	c.mu.Lock()
	if len(c.offered) == 0 || c.offeredTo == c.instance {
		c.mu.Unlock()
		return nil
	}
	offered := maps.Clone(c.offered)
	c.offeredTo = c.instance
	c.mu.Unlock()
	return c.offer(ctx, offered)
}

// ApplyHost starts the work towards spec and returns at once. recall is what
// the caller remembers of the host; the agent uses it when it has no record.
func (c *Client) ApplyHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	return c.hostCall(ctx, "applying", http.MethodPut, spec.Name, "", nil, hostRequest{Spec: spec, Recall: recall})
}

// RecallHost gives the agent its record of the host back, if it lost it, and
// starts nothing.
func (c *Client) RecallHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	return c.hostCall(ctx, "recalling", http.MethodPut, spec.Name, "/recall", nil, hostRequest{Spec: spec, Recall: recall})
}

// Host gives the record, after asking the BMC when refresh is set.
func (c *Client) Host(ctx context.Context, name string, refresh bool) (host.Status, error) {
	return c.hostCall(ctx, "reading", http.MethodGet, name, "", flag("refresh", refresh), nil)
}

// WaitHost blocks until the host's revision is another than after, or ctx is done:
// then it gives the context's error.
func (c *Client) WaitHost(ctx context.Context, name string, after uint64) (host.Status, error) {
	return wait(ctx, after, func(after uint64) (host.Status, error) { return c.pollHost(ctx, name, after, c.answeredBy()) }, hostRevision)
}

// ReleaseHost starts giving the host back and returns at once; when that is
// done, Host gives facility.ErrNotFound. With abandon the record is dropped
// even if the hardware does not answer.
func (c *Client) ReleaseHost(ctx context.Context, name string, abandon bool) (host.Status, error) {
	return c.hostCall(ctx, "releasing", http.MethodDelete, name, "", flag("abandon", abandon), nil)
}

// Hosts lists all hosts.
func (c *Client) Hosts(ctx context.Context) ([]host.Status, error) {
	return ask[[]host.Status](ctx, c, request{what: "listing hosts", method: http.MethodGet, path: "/v1/hosts"})
}

func (c *Client) pollHost(ctx context.Context, name string, after uint64, run string) (host.Status, error) {
	if err := checkName(name); err != nil {
		return host.Status{}, err
	}
	return ask[host.Status](ctx, c, poll(subject("host", name), "/v1/hosts/"+name, after, run))
}

func (c *Client) hostCall(ctx context.Context, doing, method, name, suffix string, query url.Values, in any) (host.Status, error) {
	if err := checkName(name); err != nil {
		return host.Status{}, err
	}
	return ask[host.Status](ctx, c, request{what: doing + " " + subject("host", name), method: method,
		path: "/v1/hosts/" + name + suffix, query: query, in: in})
}

// ApplyCluster starts the work towards spec and returns at once.
func (c *Client) ApplyCluster(ctx context.Context, spec cluster.Spec) (cluster.Status, error) {
	return c.clusterCall(ctx, "applying", http.MethodPut, spec.Name, nil, spec)
}

// Cluster gives the record, after asking the cluster's API server when refresh is set.
func (c *Client) Cluster(ctx context.Context, name string, refresh bool) (cluster.Status, error) {
	return c.clusterCall(ctx, "reading", http.MethodGet, name, flag("refresh", refresh), nil)
}

// WaitCluster behaves like WaitHost.
func (c *Client) WaitCluster(ctx context.Context, name string, after uint64) (cluster.Status, error) {
	return wait(ctx, after, func(after uint64) (cluster.Status, error) { return c.pollCluster(ctx, name, after, c.answeredBy()) }, clusterRevision)
}

// DeleteCluster starts taking the cluster down and returns at once; when that is
// done, Cluster gives facility.ErrNotFound.
func (c *Client) DeleteCluster(ctx context.Context, name string) (cluster.Status, error) {
	return c.clusterCall(ctx, "deleting", http.MethodDelete, name, nil, nil)
}

// Clusters lists all clusters.
func (c *Client) Clusters(ctx context.Context) ([]cluster.Status, error) {
	return ask[[]cluster.Status](ctx, c, request{what: "listing clusters", method: http.MethodGet, path: "/v1/clusters"})
}

// Kubeconfig mints an administrator's kubeconfig that is valid for ttl; 0 is an
// hour. It is a secret.
func (c *Client) Kubeconfig(ctx context.Context, name string, ttl time.Duration) ([]byte, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	var text []byte
	query := url.Values{}
	if ttl != 0 {
		query.Set("ttl", ttl.String())
	}
	err := c.call(ctx, request{what: "making a kubeconfig for " + subject("cluster", name), method: http.MethodGet,
		path: "/v1/clusters/" + name + "/kubeconfig", query: query, text: &text})
	return text, err
}

func (c *Client) pollCluster(ctx context.Context, name string, after uint64, run string) (cluster.Status, error) {
	if err := checkName(name); err != nil {
		return cluster.Status{}, err
	}
	return ask[cluster.Status](ctx, c, poll(subject("cluster", name), "/v1/clusters/"+name, after, run))
}

func (c *Client) clusterCall(ctx context.Context, doing, method, name string, query url.Values, in any) (cluster.Status, error) {
	if err := checkName(name); err != nil {
		return cluster.Status{}, err
	}
	return ask[cluster.Status](ctx, c, request{what: doing + " " + subject("cluster", name), method: method,
		path: "/v1/clusters/" + name, query: query, in: in})
}

func flag(name string, set bool) url.Values {
	if !set {
		return nil
	}
	return url.Values{name: {"true"}}
}

// poll is a long-poll. An agent that does not answer a while after the wait is
// over hangs or is gone. run is the one that after is a revision of.
func poll(subject, path string, after uint64, run string) request {
	return request{
		what: "waiting for " + subject, method: http.MethodGet, path: path, time: defaultWait + 15*time.Second,
		header: http.Header{instanceHeader: {run}},
		query:  url.Values{"after": {strconv.FormatUint(after, 10)}, "wait": {strconv.Itoa(int(defaultWait.Seconds()))}},
	}
}
