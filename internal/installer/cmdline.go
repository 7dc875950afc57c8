package installer

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Config is what the kernel command line tells the installer.
type Config struct {
	// AgentURL is the base URL of the agent's TLS service.
	AgentURL string
	// Pin is the SHA-256, in lower-case hex, of the agent's certificate (DER).
	Pin string
	// Token is this boot's one-time token.
	Token string
	// MAC is the port to use; empty: every port with a link is tried.
	MAC string
	// Address is a static address; invalid: DHCP.
	Address netip.Prefix
	// Gateway goes with Address; it may be invalid.
	Gateway netip.Addr
}

// ParseCmdline reads the metal.* keys of a kernel command line; other words
// are ignored, of repeated ones the last counts. Errors never show the token.
func ParseCmdline(cmdline string) (Config, error) {
	var c Config
	var err error
	for _, word := range strings.Fields(cmdline) {
		key, value, _ := strings.Cut(strings.Trim(word, `"`), "=")
		switch key {
		case order.CmdlineAgent:
			c.AgentURL, err = parseAgent(value)
		case order.CmdlinePin:
			c.Pin, err = parsePin(value)
		case order.CmdlineToken:
			c.Token = value
		case order.CmdlineMAC:
			c.MAC, err = parseMAC(value)
		case order.CmdlineAddress:
			c.Address, c.Gateway, err = parseAddress(value)
		}
		if err != nil {
			return Config{}, fmt.Errorf("parsing kernel command line key %q: %w", key, err)
		}
	}
	for key, value := range map[string]string{order.CmdlineAgent: c.AgentURL, order.CmdlinePin: c.Pin, order.CmdlineToken: c.Token} {
		if value == "" {
			return Config{}, fmt.Errorf("the kernel command line has no %q", key)
		}
	}
	return c, nil
}

func parseAgent(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", err
	}
	if u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return "", fmt.Errorf("%q is not https://host[:port][/path]", u.Redacted())
	}
	return strings.TrimRight(s, "/"), nil
}

func parsePin(s string) (string, error) {
	if b, err := hex.DecodeString(s); err != nil || len(b) != 32 {
		return "", fmt.Errorf("%q is not a SHA-256 in hex", s)
	}
	return strings.ToLower(s), nil
}

func parseMAC(s string) (string, error) {
	// PXELINUX writes "01-aa-bb-..." (hardware type first); take that as well.
	if len(s) == 20 && strings.HasPrefix(s, "01-") {
		s = s[3:]
	}
	m, err := net.ParseMAC(s)
	if err != nil {
		return "", err
	}
	return m.String(), nil
}

func parseAddress(s string) (netip.Prefix, netip.Addr, error) {
	addr, gw, more := strings.Cut(s, ",")
	p, err := netip.ParsePrefix(addr)
	if err != nil || !more || gw == "" {
		return p, netip.Addr{}, err
	}
	g, err := netip.ParseAddr(gw)
	if err == nil && g.Is4() != p.Addr().Is4() {
		err = fmt.Errorf("gateway %q and address %q are of different families", gw, addr)
	}
	return p, g, err
}
