package agent

import (
	"context"
	"net/http"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func (h *Handler) getFacility(w http.ResponseWriter, r *http.Request) {
	status, err := h.engines.Site.Facility(r.Context())
	if err != nil {
		h.refuse(w, "facility", err)
		return
	}
	h.answer(w, http.StatusOK, status)
}

func (h *Handler) applyFacility(w http.ResponseWriter, r *http.Request) {
	h.putFacility(w, r, h.engines.Site.ApplyFacility)
}

func (h *Handler) recallFacility(w http.ResponseWriter, r *http.Request) {
	h.putFacility(w, r, h.engines.Site.RecallFacility)
}

func (h *Handler) putFacility(w http.ResponseWriter, r *http.Request, put func(context.Context, facility.Spec) (facility.Status, error)) {
	var spec facility.Spec
	err := onlyQuery(r)
	if err == nil {
		err = decode(w, r, maxHostBody, &spec)
	}
	if err == nil {
		// There is no name in the path to compare with.
		err = bodyName(spec.Name, spec.Name)
	}
	var status facility.Status
	if err == nil {
		status, err = put(lasting(r), spec)
	}
	if err != nil {
		h.refuse(w, subject("facility", spec.Name), err)
		return
	}
	h.answer(w, http.StatusOK, status)
}

func (h *Handler) releaseFacility(w http.ResponseWriter, r *http.Request) {
	err := onlyQuery(r)
	if err == nil {
		err = h.engines.Site.ReleaseFacility(lasting(r))
	}
	if err != nil {
		h.refuse(w, "facility", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// offerCredentials never repeats anything of its body: a password in the wrong
// place could be taken for a field's name or a number.
func (h *Handler) offerCredentials(w http.ResponseWriter, r *http.Request) {
	var offered map[string]facility.Credentials
	if err := decode(w, r, maxHostBody, &offered); err != nil {
		status, _ := statusOf(err)
		h.answer(w, status, errorAnswer{Error: &fault.Error{
			Class: fault.NeedsPerson, Subject: "credentials", Summary: "the request is not a map of credentials",
			Seen: "not repeated, it may hold a secret", Expected: `{"name": {"username": "...", "password": "..."}}, at most 1 MiB`,
		}})
		return
	}
	h.engines.Site.OfferCredentials(offered)
	w.WriteHeader(http.StatusNoContent)
}

// subject names an object for a person, kind first.
func subject(kind, name string) string {
	if name == "" {
		return kind
	}
	return kind + " " + clip(name, 80)
}

// bodyName checks that a body is about the object that its path names.
func bodyName(path, body string) error {
	if err := checkName(body); err != nil {
		return &requestError{http.StatusBadRequest, fault.From(err)}
	}
	if path != body {
		return badRequest("name", "the name differs from the request's path", quote(body), clip(path, 80))
	}
	return nil
}

// lasting is the context of a request that changes something. It does not end
// with the request: what the engine starts (boot services, work in the
// background) goes on, and a client that goes away leaves nothing half done.
func lasting(r *http.Request) context.Context { return context.WithoutCancel(r.Context()) }
