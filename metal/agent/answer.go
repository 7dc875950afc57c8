package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// answer writes value as JSON.
func (h *Handler) answer(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		h.logger.Error("encoding an answer", "error", err)
		status, body = http.StatusInternalServerError,
			[]byte(`{"error":{"class":"final","summary":"the agent could not encode its answer"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		h.logger.Debug("client went away during an answer", "error", err)
	}
}

// refuse answers with err; subject is used where err has none of its own.
func (h *Handler) refuse(w http.ResponseWriter, subject string, err error) {
	if errors.Is(err, facility.ErrNotFound) {
		h.answer(w, http.StatusNotFound, errorAnswer{
			Error: &fault.Error{
				Class: fault.Final, Subject: subject, Summary: "no such object", Seen: err.Error(),
				Expected: "an object that was applied and not released",
			},
			Reason: reasonNotFound,
		})
		return
	}
	status, f := statusOf(err)
	if f.Subject == "" {
		// A copy: the engine may hold on to its own.
		named := *f
		named.Subject = subject
		f = &named
	}
	h.answer(w, status, errorAnswer{Error: f})
}

// statusOf chooses the status code of a failure by its class.
func statusOf(err error) (int, *fault.Error) {
	var request *requestError
	if errors.As(err, &request) {
		return request.status, request.fault
	}
	var known *fault.Error
	if !errors.As(err, &known) {
		if errors.Is(err, context.DeadlineExceeded) {
			return http.StatusGatewayTimeout, fault.From(err)
		}
		return http.StatusInternalServerError, fault.From(err)
	}
	switch known.Class {
	case fault.NeedsPerson:
		return http.StatusUnprocessableEntity, known
	case fault.Final:
		return http.StatusConflict, known
	case fault.Retryable:
		return http.StatusServiceUnavailable, known
	}
	return http.StatusInternalServerError, known
}
