package bmc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

const (
	// maxMembers bounds every list of an answer; more elements are left out.
	maxMembers = 512
	// maxMessages bounds the messages of one error answer.
	maxMessages = 8
)

// answer is one HTTP answer, whole and within the limits.
type answer struct {
	status int
	header http.Header
	body   []byte
	// line is "PATCH /redfish/v1/Systems/1 -> 400 ...", scrubbed.
	line string
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// messages are those of an error body.
func (a *answer) messages() []message {
	if a.ok() {
		return nil
	}
	return parseMessages(a.body)
}

// says tells whether a message's identifier contains one of the parts.
func (a *answer) says(parts ...string) bool {
	for _, m := range a.messages() {
		for _, p := range parts {
			if strings.Contains(strings.ToLower(m.ID), strings.ToLower(p)) {
				return true
			}
		}
	}
	return false
}

// message is one of DSP0266's extended information.
type message struct{ ID, Text, Resolution string }

// parseMessages reads an error body as tolerantly as vendors write them:
// "@Message.ExtendedInfo" is a list, one object or a string, inside "error" or
// beside it (sushy release note fix-extended-info-error-handling).
func parseMessages(body []byte) []message {
	var top struct {
		Error json.RawMessage    `json:"error"`
		Info  list[extendedInfo] `json:"@Message.ExtendedInfo"`
	}
	if decode(body, &top) != nil {
		return nil
	}
	var inner struct {
		Code    string             `json:"code"`
		Message string             `json:"message"`
		Info    list[extendedInfo] `json:"@Message.ExtendedInfo"`
	}
	if len(top.Error) > 0 && decode(top.Error, &inner) != nil {
		_ = json.Unmarshal(top.Error, &inner.Message) // a bare string is the text; anything else says nothing
	}
	var out []message
	for _, e := range append(inner.Info, top.Info...) {
		if m := message(e); m != (message{}) && len(out) < maxMessages {
			out = append(out, message{ID: clean(m.ID, 120), Text: clean(m.Text, 2048), Resolution: clean(m.Resolution, 2048)})
		}
	}
	if len(out) == 0 && inner.Code+inner.Message != "" {
		out = append(out, message{ID: clean(inner.Code, 120), Text: clean(inner.Message, 2048)})
	}
	return out
}

type extendedInfo message

// UnmarshalJSON takes an object or a bare string.
func (e *extendedInfo) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*e = extendedInfo{Text: text}
		return nil
	}
	var v struct {
		ID         string `json:"MessageId"`
		Text       string `json:"Message"`
		Resolution string `json:"Resolution"`
	}
	if err := decode(b, &v); err != nil {
		return err
	}
	*e = extendedInfo{ID: v.ID, Text: v.Text, Resolution: v.Resolution}
	return nil
}

// summary is one line about an answer's body, not yet scrubbed: what is cut off
// first could leave half a secret that scrubbing doesn't know.
func (a *answer) summary() string {
	if a.ok() {
		return ""
	}
	var parts []string
	for _, m := range a.messages() {
		parts = append(parts, strings.Trim(m.ID+": "+m.Text, ": "))
	}
	if len(parts) == 0 && len(a.body) > 0 {
		return fmt.Sprintf("%d bytes without a Redfish error", len(a.body))
	}
	return strings.Join(parts, "; ")
}

// decode reads JSON into a struct. A property of another type than the schema's
// stays at its zero value instead of spoiling the rest: firmware has numbers
// for strings, and objects for lists.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return nil
	}
	return err
}

// list is a JSON array of bounded length. Elements that don't fit are left out,
// and an object where the list should be counts as its only element.
type list[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	b = bytes.TrimSpace(b)
	if len(b) == 0 || bytes.Equal(b, []byte("null")) {
		return nil
	}
	if b[0] != '[' {
		l.add(b)
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() && len(*l) < maxMembers {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		l.add(raw)
	}
	return nil
}

func (l *list[T]) add(raw []byte) {
	var one T
	if !bytes.Equal(raw, []byte("null")) && decode(raw, &one) == nil {
		*l = append(*l, one)
	}
}

// link is a reference to another resource.
type link struct {
	ID string `json:"@odata.id"`
}

// clean makes a BMC's text safe to show: no control characters, at most n bytes.
func clean(s string, n int) string {
	if len(s) > 4*n {
		s = s[:4*n]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) <= n {
		return s
	}
	cut := n - len("...")
	for cut > 0 && s[cut]&0xC0 == 0x80 { // not inside a UTF-8 sequence
		cut--
	}
	return s[:max(cut, 0)] + "..."
}
