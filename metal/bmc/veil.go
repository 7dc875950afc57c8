package bmc

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

const veiled = "(hidden)"

// veil takes secrets out of text that a BMC may have echoed. Secrets are kept
// by kind, so that there is a bounded number of them.
type veil struct {
	mu      sync.Mutex
	secrets map[string][]string
}

// keep makes s a secret, in the forms in which it may come back. The previous
// one of the same kind stays hidden too: answers to old requests may mention it.
func (v *veil) keep(kind, s string) {
	if s == "" {
		return
	}
	escaped := inner(strconv.Quote(s))
	forms := []string{s, base64.StdEncoding.EncodeToString([]byte(s)), url.QueryEscape(s), url.PathEscape(s),
		escaped, strings.ReplaceAll(escaped, "/", `\/`), inner(strconv.QuoteToASCII(s))}
	if j, err := json.Marshal(s); err == nil { // with <, > and & escaped
		forms = append(forms, inner(string(j)))
	}
	slices.Sort(forms)
	forms = slices.Compact(forms)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.secrets == nil {
		v.secrets = map[string][]string{}
	}
	all := append(forms, v.secrets[kind]...)
	v.secrets[kind] = all[:min(len(all), 24)]
}

// inner is a quoted string without its quotes.
func inner(s string) string { return s[1 : len(s)-1] }

// hide replaces all secrets in one pass, the longest first: a short one must
// not break up a long one that contains it.
func (v *veil) hide(s string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []string
	for _, forms := range v.secrets {
		all = append(all, forms...)
	}
	sort.Slice(all, func(i, j int) bool { return len(all[i]) > len(all[j]) })
	pairs := make([]string, 0, 2*len(all))
	for _, f := range all {
		pairs = append(pairs, f, veiled)
	}
	return strings.NewReplacer(pairs...).Replace(s)
}

// keepURL hides what follows the host of a boot or media URL: it may hold a
// one-time token. It gives what may be shown.
func (v *veil) keepURL(kind, raw string) string {
	if raw == "" {
		return ""
	}
	v.keep(kind, raw)
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return veiled
	}
	v.keep(kind+"-path", strings.TrimPrefix(u.RequestURI(), "/"))
	return u.Scheme + "://" + u.Host + "/" + veiled
}

// veilFault hides secrets in all that f shows.
func (w *wire) veilFault(f *fault.Error) *fault.Error {
	for _, s := range []*string{&f.Summary, &f.Seen, &f.Expected, &f.Advice} {
		*s = w.veil.hide(*s)
	}
	for i := range f.Evidence {
		f.Evidence[i] = w.veil.hide(f.Evidence[i])
	}
	if f.Err != nil {
		if text := f.Err.Error(); w.veil.hide(text) != text {
			f.Err = &hiddenError{text: w.veil.hide(text), err: f.Err}
		}
	}
	return f
}

// hiddenError shows err's text without secrets and can still be unwrapped.
type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.err }
