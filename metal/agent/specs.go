package agent

import (
	"context"
	"net/http"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// Specs tell what was applied last, for a front end that takes over an object
// that it does not know yet (`tofu import`).
type Specs interface {
	FacilitySpec(ctx context.Context) (facility.Spec, error)
	HostSpec(ctx context.Context, name string) (host.Spec, error)
	ClusterSpec(ctx context.Context, name string) (cluster.Spec, error)
}

func (h *Handler) specRoutes() {
	h.mux.HandleFunc("GET /v1/facility/spec", func(w http.ResponseWriter, r *http.Request) {
		giveSpec(h, w, r, "facility", func(ctx context.Context, _ string) (facility.Spec, error) {
			return h.engines.Specs.FacilitySpec(ctx)
		})
	})
	h.mux.HandleFunc("GET /v1/hosts/{name}/spec", func(w http.ResponseWriter, r *http.Request) {
		giveSpec(h, w, r, "host", h.engines.Specs.HostSpec)
	})
	h.mux.HandleFunc("GET /v1/clusters/{name}/spec", func(w http.ResponseWriter, r *http.Request) {
		giveSpec(h, w, r, "cluster", h.engines.Specs.ClusterSpec)
	})
}

func giveSpec[S any](h *Handler, w http.ResponseWriter, r *http.Request, kind string, get func(context.Context, string) (S, error)) {
	name := r.PathValue("name")
	var spec S
	err := onlyQuery(r)
	if err == nil {
		spec, err = get(r.Context(), name)
	}
	if err != nil {
		h.refuse(w, subject(kind, name), err)
		return
	}
	h.answer(w, http.StatusOK, spec)
}

// FacilitySpec gives what was applied last; facility.ErrNotFound when nothing was.
func (c *Client) FacilitySpec(ctx context.Context) (facility.Spec, error) {
	return ask[facility.Spec](ctx, c, request{what: "reading the facility's specification", method: http.MethodGet, path: "/v1/facility/spec"})
}

// HostSpec is FacilitySpec for a host.
func (c *Client) HostSpec(ctx context.Context, name string) (host.Spec, error) {
	return memberSpec[host.Spec](ctx, c, "host", name)
}

// ClusterSpec is FacilitySpec for a cluster.
func (c *Client) ClusterSpec(ctx context.Context, name string) (cluster.Spec, error) {
	return memberSpec[cluster.Spec](ctx, c, "cluster", name)
}

func memberSpec[S any](ctx context.Context, c *Client, kind, name string) (S, error) {
	if err := checkName(name); err != nil {
		var none S
		return none, err
	}
	return ask[S](ctx, c, request{what: "reading the specification of " + subject(kind, name), method: http.MethodGet,
		path: "/v1/" + kind + "s/" + name + "/spec"})
}
