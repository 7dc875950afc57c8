package bmc

import (
	"net/http"
	"strings"
)

// object is a JSON object.
type object = map[string]any

// answer is a successful response; a nil body is an empty one.
type answer struct {
	status int
	header map[string]string
	body   object
}

func noContent() *answer { return &answer{status: http.StatusNoContent} }

// method is what can be done with one resource; nil means not allowed. The id
// is the last segment of an item of a collection, "" otherwise.
type method struct {
	get    func(r *http.Request, id string) (object, *failure)
	patch  func(r *http.Request, id string, body object) (*answer, *failure)
	post   func(r *http.Request, id string, body object) (*answer, *failure)
	delete func(r *http.Request, id string) (*answer, *failure)
	// open resources need no authentication for the named methods.
	openGet, openPost bool
}

// router finds resources by exact path, or as items of a collection.
type router struct {
	exact map[string]*method
	items map[string]*method
}

func newRouter() *router {
	return &router{exact: map[string]*method{}, items: map[string]*method{}}
}

func (r *router) at(path string) *method {
	if r.exact[path] == nil {
		r.exact[path] = &method{}
	}
	return r.exact[path]
}

func (r *router) get(path string, f func(*http.Request) (object, *failure)) *method {
	m := r.at(path)
	m.get = func(q *http.Request, _ string) (object, *failure) { return f(q) }
	return m
}

func (r *router) post(path string, f func(*http.Request, object) (*answer, *failure)) *method {
	m := r.at(path)
	m.post = func(q *http.Request, _ string, body object) (*answer, *failure) { return f(q, body) }
	return m
}

func (r *router) patch(path string, f func(*http.Request, object) (*answer, *failure)) *method {
	m := r.at(path)
	m.patch = func(q *http.Request, _ string, body object) (*answer, *failure) { return f(q, body) }
	return m
}

// item sets the methods of all items below a prefix that ends with a slash.
func (r *router) item(prefix string, m method) { r.items[prefix] = &m }

// find gives the methods of a path. A trailing slash is the same resource
// (DSP0266, 6.6), as clients append one or not.
func (r *router) find(path string) (*method, string) {
	path = strings.TrimSuffix(path, "/")
	if m := r.exact[path]; m != nil {
		return m, ""
	}
	if cut := strings.LastIndexByte(path, '/') + 1; cut > 0 && cut < len(path) {
		if m := r.items[path[:cut]]; m != nil {
			return m, path[cut:]
		}
	}
	return nil, ""
}

// allowed is the value of the Allow header.
func (m *method) allowed() string {
	var names []string
	if m.get != nil {
		names = append(names, http.MethodGet, http.MethodHead)
	}
	if m.post != nil {
		names = append(names, http.MethodPost)
	}
	if m.patch != nil {
		names = append(names, http.MethodPatch)
	}
	if m.delete != nil {
		names = append(names, http.MethodDelete)
	}
	return strings.Join(names, ", ")
}

func (m *method) open(name string) bool {
	switch name {
	case http.MethodGet, http.MethodHead:
		return m.openGet
	case http.MethodPost:
		return m.openPost
	}
	return false
}

// fixed is a resource that never changes.
func fixed(o object) func(*http.Request) (object, *failure) {
	return func(*http.Request) (object, *failure) { return o, nil }
}
