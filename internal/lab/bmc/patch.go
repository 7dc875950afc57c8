package bmc

import (
	"net/http"
	"slices"
	"strings"
)

// setter checks a new value of a property. It gives what to do with it, or what
// is wrong with it.
type setter func(value any) (func(*state), []message)

// apply checks all properties of a PATCH and changes either all or none. Those
// that the resource shows but has no setter for are read-only.
func (b *BMC) apply(m *method, r *http.Request, body object, setters map[string]setter) (*answer, *failure) {
	shown, problem := m.get(r, "")
	if problem != nil {
		return nil, problem
	}
	changes, wrong := check("", body, shown, setters)
	if len(wrong) > 0 {
		return nil, fail(http.StatusBadRequest, wrong...)
	}
	b.change(func(s *state) {
		for _, change := range changes {
			change(s)
		}
	})
	shown, problem = m.get(r, "")
	if problem != nil {
		return nil, problem
	}
	return &answer{status: http.StatusOK, header: map[string]string{"ETag": etag(shown)}, body: shown}, nil
}

func check(prefix string, body, shown object, setters map[string]setter) (changes []func(*state), wrong []message) {
	names := make([]string, 0, len(body))
	for name := range body {
		names = append(names, name)
	}
	slices.Sort(names) // messages in the same order every time
	for _, name := range names {
		if strings.HasPrefix(name, "@odata.") {
			continue // ignored as DSP0266, 7.8.2 says
		}
		set := setters[name]
		if set == nil {
			if _, there := shown[name]; there {
				wrong = append(wrong, notWritable(prefix+"/"+name))
			} else {
				wrong = append(wrong, unknownProperty(prefix+"/"+name))
			}
			continue
		}
		change, messages := set(body[name])
		wrong = append(wrong, messages...)
		if change != nil {
			changes = append(changes, change)
		}
	}
	return changes, wrong
}

// oneOf is a setter for an enumeration.
func oneOf(property string, values []string, change func(*state, string)) setter {
	return func(value any) (func(*state), []message) {
		text, ok := value.(string)
		if !ok {
			return nil, []message{typeError(property, value)}
		}
		if !slices.Contains(values, text) {
			return nil, []message{notInList(property, value)}
		}
		return func(s *state) { change(s, text) }, nil
	}
}

// text is a setter for a free string of limited length; null empties it.
func text(property string, most int, change func(*state, string)) setter {
	return func(value any) (func(*state), []message) {
		s, ok := value.(string)
		if !ok && value != nil {
			return nil, []message{typeError(property, value)}
		}
		if len(s) > most {
			return nil, []message{formatError(property, "(too long)")}
		}
		return func(st *state) { change(st, s) }, nil
	}
}

// truth is a setter for a boolean.
func truth(property string, change func(*state, bool)) setter {
	return func(value any) (func(*state), []message) {
		v, ok := value.(bool)
		if !ok {
			return nil, []message{typeError(property, value)}
		}
		return func(s *state) { change(s, v) }, nil
	}
}
