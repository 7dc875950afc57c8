package agent

import (
	"net/http"

	"github.com/nanometal/terraform-provider-metal/metal/host"
)

func (h *Handler) listHosts(w http.ResponseWriter, r *http.Request) {
	hosts, err := h.engines.Hosts.Hosts(r.Context())
	if err != nil {
		h.refuse(w, "hosts", err)
		return
	}
	if hosts == nil {
		hosts = []host.Status{}
	}
	h.answer(w, http.StatusOK, hosts)
}

func (h *Handler) getHost(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	look, err := h.parseLook(r)
	var status host.Status
	if err == nil {
		if look.wait > 0 {
			ctx, cancel := h.polling(r, look.wait)
			defer cancel()
			status, err = h.engines.Hosts.WaitHost(ctx, name, look.after)
		} else {
			status, err = h.engines.Hosts.Host(r.Context(), name, look.refresh)
		}
	}
	h.hostAnswer(w, http.StatusOK, name, status, err)
}

func (h *Handler) applyHost(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	request, err := decodeHost(w, r, name)
	var status host.Status
	if err == nil {
		status, err = h.engines.Hosts.ApplyHost(lasting(r), request.Spec, request.Recall)
	}
	h.hostAnswer(w, http.StatusOK, name, status, err)
}

func (h *Handler) recallHost(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	request, err := decodeHost(w, r, name)
	var status host.Status
	if err == nil {
		status, err = h.engines.Hosts.RecallHost(r.Context(), request.Spec, request.Recall)
	}
	h.hostAnswer(w, http.StatusOK, name, status, err)
}

func (h *Handler) releaseHost(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	abandon := false
	err := onlyQuery(r, "abandon")
	if err == nil {
		abandon, err = boolean(r, "abandon")
	}
	var status host.Status
	if err == nil {
		status, err = h.engines.Hosts.ReleaseHost(lasting(r), name, abandon)
	}
	h.hostAnswer(w, http.StatusAccepted, name, status, err)
}

// decodeHost reads a host request and holds it against the path.
func decodeHost(w http.ResponseWriter, r *http.Request, name string) (hostRequest, error) {
	var request hostRequest
	if err := onlyQuery(r); err != nil {
		return request, err
	}
	if err := decode(w, r, maxHostBody, &request); err != nil {
		return request, err
	}
	if err := bodyName(name, request.Spec.Name); err != nil {
		return request, err
	}
	if request.Recall != nil && request.Recall.Name != name {
		return request, badRequest("recall.name", "the remembered host is another one", clip(request.Recall.Name, 80), quote(name))
	}
	return request, nil
}

func (h *Handler) hostAnswer(w http.ResponseWriter, code int, name string, status host.Status, err error) {
	if err != nil {
		h.refuse(w, subject("host", name), err)
		return
	}
	h.answer(w, code, status)
}
