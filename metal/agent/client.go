package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// answerTime bounds one request that is not a long-poll. The longest listens
// for foreign DHCP servers or waits for a slow BMC.
const answerTime = 5 * time.Minute

// Client speaks with one agent. It is safe for concurrent use; its errors are
// *fault.Error, those about a missing object also match facility.ErrNotFound,
// and those of an ended context match the context's error.
type Client struct {
	// url names the agent, for people.
	url    string
	http   *http.Client
	logger hclog.Logger
	// patience is how long a wait bridges an agent that does not answer.
	patience time.Duration
	// quiet is how long an event stream may be silent.
	quiet   time.Duration
	release func() error
	closing sync.Once
	closed  atomic.Bool

	mu sync.Mutex
	// instance is the run of the agent that answered last.
	instance string
	// offered is repeated to an agent that was restarted; offeredTo got it.
	offered   map[string]facility.Credentials
	offeredTo string
}

type dialFunc func(ctx context.Context) (net.Conn, error)

func newClient(url string, dial dialFunc, opts Options) *Client {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		// Hundreds of long-polls at a time are the normal case.
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}
	return &Client{
		url: url, logger: opts.logger(), patience: opts.patience(), quiet: 3 * heartbeat,
		http: &http.Client{
			Transport: transport,
			// The API has no redirects; following one could leave the socket's meaning.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		release: func() error { return nil },
	}
}

// URL is what the agent was dialed by.
func (c *Client) URL() string { return c.url }

// Close drops the connections; the last client of an embedded agent stops it.
// Only the first call has an effect.
func (c *Client) Close() error {
	var err error
	c.closing.Do(func() {
		c.closed.Store(true)
		c.http.CloseIdleConnections()
		err = c.release()
	})
	return err
}

// Version asks for the agent's version.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return ask[Version](ctx, c, request{what: "asking for its version", method: http.MethodGet, path: "/v1/version"})
}

// request is one call of the API; what says it to a person.
type request struct {
	what   string
	method string
	path   string
	query  url.Values
	header http.Header
	in     any
	out    any
	// text takes the answer as it is, instead of out.
	text *[]byte
	// time bounds the call; 0 is answerTime.
	time time.Duration
}

// ask is a call with a JSON answer.
func ask[T any](ctx context.Context, c *Client, r request) (T, error) {
	var answer T
	r.out = &answer
	err := c.call(ctx, r)
	return answer, err
}

func (c *Client) call(ctx context.Context, r request) error {
	limit := r.time
	if limit == 0 {
		limit = answerTime
	}
	bounded, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	response, err := c.send(bounded, r)
	if err != nil {
		return c.lost(ctx, r.what, err)
	}
	defer c.discard(response)
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return c.lost(ctx, r.what, err)
	}
	if len(body) > maxAnswer {
		return c.strange(r.what, fmt.Sprintf("an answer of more than %d bytes", maxAnswer))
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return c.failure(r.what, response.StatusCode, body)
	}
	if r.text != nil {
		*r.text = body
		return nil
	}
	if r.out == nil {
		return nil
	}
	// Not strict: a newer agent may tell more than this client knows.
	if err := json.Unmarshal(body, r.out); err != nil {
		return c.strange(r.what, err.Error())
	}
	return nil
}

// send makes one request and notes which run of the agent answered.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	if c.closed.Load() {
		return nil, errClosed
	}
	var body io.Reader
	if r.in != nil {
		data, err := json.Marshal(r.in)
		if err != nil {
			return nil, fmt.Errorf("encoding a request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	// The host part has no meaning on a socket.
	target := url.URL{Scheme: "http", Host: "agent", Path: r.path, RawQuery: r.query.Encode()}
	sent, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	if body != nil {
		sent.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(sent.Header, r.header)
	response, err := c.http.Do(sent)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.instance = response.Header.Get(instanceHeader)
	c.mu.Unlock()
	return response, nil
}

func (c *Client) discard(response *http.Response) {
	if err := response.Body.Close(); err != nil {
		c.logger.Debug("closing an answer", "error", err)
	}
}

// answeredBy is the run of the agent that answered last.
func (c *Client) answeredBy() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.instance
}

// errClosed is what a client gives after its Close.
var errClosed = errors.New("the client is closed")

// lostError marks a fault of the connection, as opposed to an answer.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }

func (e *lostError) Unwrap() error { return e.err }

// lost is the error of a call that got no answer. The caller's own context
// comes first: its end is not the agent's fault.
func (c *Client) lost(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s at agent %q: %w", what, c.url, context.Cause(ctx))
	}
	if c.closed.Load() {
		return fmt.Errorf("%s at agent %q: %w", what, c.url, errClosed)
	}
	// net/http wraps causes in the method and the made-up host name.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &fault.Error{
		Class:   fault.Retryable,
		Subject: "agent " + quote(c.url),
		Summary: fmt.Sprintf("the agent at %s went away during %s", c.url, what),
		Seen:    err.Error(), Expected: "an answer",
		Advice: "make sure that the agent runs, then run the same command again: it continues where it was",
		Err:    &lostError{err},
	}
}

func isLost(err error) bool {
	var lost *lostError
	return errors.As(err, &lost)
}

// strange is an answer that is none of this API's.
func (c *Client) strange(what, seen string) error {
	return &fault.Error{
		Class: fault.NeedsPerson, Subject: "agent " + quote(c.url), Attribute: "agent",
		Summary: "the agent gave an answer that cannot be understood, during " + what,
		Seen:    seen, Expected: "an answer of API " + APIVersion,
		Advice: "make sure that the URL names an agent of this version",
	}
}

// failure turns an error answer back into the agent's fault.
func (c *Client) failure(what string, status int, body []byte) error {
	var answer errorAnswer
	if err := json.Unmarshal(body, &answer); err != nil || answer.Error == nil || answer.Error.Summary == "" {
		return c.strange(what, fmt.Sprintf("status %d: %s", status, clip(string(body), 300)))
	}
	if status == http.StatusNotFound && answer.Reason == reasonNotFound {
		answer.Error.Err = facility.ErrNotFound
	}
	return answer.Error
}
