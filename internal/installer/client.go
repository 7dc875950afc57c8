package installer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// answerLimit bounds an order: its files are small compared to it.
const answerLimit = 32 << 20

// errUnauthorized is the agent's 401.
var errUnauthorized = errors.New("the agent does not know this session")

// ErrPin says that whoever answered is not the agent that the command line pins.
var ErrPin = errors.New("the agent's certificate is not the pinned one")

// pinnedClient accepts exactly one certificate. Chain and name checks are off
// because the pin is stronger: it arrived over the channel that started this boot.
func pinnedClient(pin string) *http.Client {
	verify := func(raw [][]byte, _ [][]*x509.Certificate) error {
		if len(raw) == 0 {
			return ErrPin
		}
		sum := sha256.Sum256(raw[0])
		if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(pin)) != 1 {
			return fmt.Errorf("%w: sha256 %s", ErrPin, hex.EncodeToString(sum[:]))
		}
		return nil
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			TLSClientConfig:     &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: verify, MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true},
			TLSHandshakeTimeout: 20 * time.Second,
			MaxIdleConnsPerHost: 2,
			IdleConnTimeout:     2 * time.Minute,
			WriteBufferSize:     64 << 10, ReadBufferSize: 256 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// client speaks to the agent. It is used by one goroutine.
type client struct {
	http  *http.Client
	base  string
	token string
	nonce string
	key   string
}

// open exchanges the token for a session key. Doing it again, with the same
// nonce, gives the same session, or a new one when the agent forgot it.
func (c *client) open(ctx context.Context) (order.SessionResponse, error) {
	var resp order.SessionResponse
	err := c.post(ctx, order.PathSession, "", order.SessionRequest{Token: c.token, Nonce: c.nonce}, &resp)
	if err == nil && resp.Key == "" {
		err = errors.New("the agent gave no session key")
	}
	c.key = resp.Key
	return resp, err
}

// exchange reports and gives the order that follows.
func (c *client) exchange(ctx context.Context, r order.Report) (order.Order, error) {
	var o order.Order
	err := c.post(ctx, order.PathExchange, c.key, r, &o)
	return o, err
}

func (c *client) post(ctx context.Context, path, key string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, order.ExchangeHold+20*time.Second)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encoding a message for the agent: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the agent: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return fmt.Errorf("asking the agent at %q: %w", c.base+path, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return errUnauthorized
	default:
		return fmt.Errorf("asking the agent at %q: HTTP %s", c.base+path, resp.Status)
	}
	limited := &io.LimitedReader{R: resp.Body, N: answerLimit}
	if err := json.NewDecoder(limited).Decode(out); err != nil {
		return fmt.Errorf("reading the agent's answer from %q: %w", path, err)
	}
	_, err = io.CopyN(io.Discard, limited, 1<<10) // lets the connection be used again
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading the agent's answer from %q: %w", path, err)
	}
	return nil
}
