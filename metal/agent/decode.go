package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// requestError is a request that never reaches the engine, with its status code.
type requestError struct {
	status int
	fault  *fault.Error
}

func (e *requestError) Error() string { return e.fault.Error() }

func (e *requestError) Unwrap() error { return e.fault }

// badRequest makes a 400.
func badRequest(attribute, summary, seen, expected string) error {
	return &requestError{http.StatusBadRequest, fault.Invalid(attribute, summary, seen, expected)}
}

func quote(s string) string { return strconv.Quote(s) }

// decode reads the one JSON document of a request into out. Unknown fields,
// anything after the document, and more than limit bytes are refused.
func decode(w http.ResponseWriter, r *http.Request, limit int64, out any) error {
	// Only while the body is read: a deadline that stayed would end a long-poll.
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("limiting the time to read a request: %w", err)
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(out)
	if err == nil {
		err = trailing(decoder)
	}
	if err != nil {
		return decodeFault(err)
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("lifting the time limit of a request: %w", err)
	}
	return nil
}

// errTrailing is a body with more than one document.
var errTrailing = errors.New("more than one JSON document")

func trailing(decoder *json.Decoder) error {
	_, err := decoder.Token()
	if errors.Is(err, io.EOF) {
		return nil
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return errTrailing
}

// decodeFault says what is wrong with a body, naming the field.
func decodeFault(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &requestError{http.StatusRequestEntityTooLarge, &fault.Error{
			Class: fault.NeedsPerson, Summary: "the request is too large",
			Seen:     fmt.Sprintf("more than %d bytes", tooLarge.Limit),
			Expected: fmt.Sprintf("at most %d bytes", tooLarge.Limit),
			Advice:   "make the configuration smaller; nothing was changed",
		}}
	}
	// encoding/json has no type for this one.
	if name, found := strings.CutPrefix(err.Error(), "json: unknown field "); found {
		attribute, unquoteErr := strconv.Unquote(name)
		if unquoteErr != nil {
			attribute = name
		}
		if len(attribute) > 80 {
			attribute = attribute[:80] + "..."
		}
		return badRequest(attribute, "unknown field", quote(attribute),
			"a field that this version of the agent knows; agent and client should be of the same version")
	}
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return badRequest(mistyped.Field, "wrong type of value", "a JSON "+kindOnly(mistyped.Value), "a value for "+mistyped.Type.String())
	}
	return badRequest("", "the request is not one valid JSON document", clip(err.Error(), 200), "one JSON document")
}

// kindOnly drops the value from "number 123".
func kindOnly(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	return kind
}

// boolean reads a query parameter; absent is false.
func boolean(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, badRequest(name, "not a boolean", clip(text, 80), "true or false")
	}
	return value, nil
}

// onlyQuery refuses parameters that a route does not know, by name: a misspelt
// ?abandom=true must not act as if it were absent.
func onlyQuery(r *http.Request, known ...string) error {
	for name, values := range r.URL.Query() {
		if !slices.Contains(known, name) {
			return badRequest(clip(name, 80), "unknown query parameter", clip(name, 80), strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return badRequest(name, "query parameter given twice", fmt.Sprintf("%d times", len(values)), "once")
		}
	}
	return nil
}
