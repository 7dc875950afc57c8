package bmc

import (
	"context"
	"net"
	"net/http"
	"path"
	"strings"

	"github.com/stmcginnis/gofish/redfish"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// System is what a BMC says of its server. Texts are cut to 256 bytes.
type System struct {
	ID           string     `json:"id"`
	Manufacturer string     `json:"manufacturer,omitempty"`
	Model        string     `json:"model,omitempty"`
	Serial       string     `json:"serial,omitempty"`
	UUID         string     `json:"uuid,omitempty"`
	Power        PowerState `json:"power"`
	// MACs are those of all EthernetInterfaces, lower-case; empty, invalid and
	// repeated ones are left out.
	MACs []string `json:"macs,omitempty"`
	Boot Boot     `json:"boot"`
	// BootOrder is the persistent order of boot options.
	BootOrder []string `json:"boot_order,omitempty"`
	Media     []Medium `json:"media,omitempty"`
}

// maxInterfaces and maxText bound what is taken of a system.
const (
	maxInterfaces = 64
	maxText       = 256
)

// computerSystem are the properties of DMTF's ComputerSystem that are needed.
type computerSystem struct {
	ID           string             `json:"Id"`
	ODataID      string             `json:"@odata.id"`
	ETag         string             `json:"@odata.etag"`
	Manufacturer string             `json:"Manufacturer"`
	Model        string             `json:"Model"`
	SKU          string             `json:"SKU"`
	Serial       string             `json:"SerialNumber"`
	UUID         string             `json:"UUID"`
	Power        redfish.PowerState `json:"PowerState"`
	Boot         wireBoot           `json:"Boot"`
	Interfaces   link               `json:"EthernetInterfaces"`
	Media        link               `json:"VirtualMedia"`
	Logs         link               `json:"LogServices"`
	Links        struct {
		ManagedBy list[link] `json:"ManagedBy"`
	} `json:"Links"`
	Actions struct {
		Reset struct {
			Target  string       `json:"target"`
			Allowed list[string] `json:"ResetType@Redfish.AllowableValues"`
		} `json:"#ComputerSystem.Reset"`
	} `json:"Actions"`
	Settings struct {
		Object link `json:"SettingsObject"`
	} `json:"@Redfish.Settings"`

	path string
}

func (s *computerSystem) made(by ...string) bool {
	for _, b := range by {
		if strings.Contains(strings.ToLower(s.Manufacturer), b) {
			return true
		}
	}
	return false
}

// readSystem gets the selected ComputerSystem and remembers it: its ETag and
// capabilities serve the next write. A path that was only remembered and that
// the BMC doesn't know (any more) is looked up once.
func (c *Client) readSystem(ctx context.Context) (*computerSystem, error) {
	where, fresh, err := c.systemPath(ctx)
	if err != nil {
		return nil, err
	}
	s, a, err := c.tryReadSystem(ctx, where)
	if err != nil {
		return nil, err
	}
	if a.status == http.StatusNotFound && !fresh {
		c.learn(func(p *place) { p.System, p.Reset, p.Media, p.Events, p.NoMedia = "", "", "", "", false })
		if where, err = c.discover(ctx); err != nil {
			return nil, err
		}
		if s, a, err = c.tryReadSystem(ctx, where); err != nil {
			return nil, err
		}
	}
	if s == nil {
		return nil, c.refused("reading the system", a)
	}
	return s, nil
}

// tryReadSystem gives no system when the BMC refuses.
func (c *Client) tryReadSystem(ctx context.Context, where string) (*computerSystem, *answer, error) {
	s := &computerSystem{path: where}
	a, err := c.get(ctx, where, s)
	if err != nil || !a.ok() {
		return nil, a, err
	}
	if h := a.header.Get("ETag"); h != "" {
		s.ETag = h
	}
	c.mu.Lock()
	c.seen = s
	c.mu.Unlock()
	c.learn(func(p *place) {
		p.Reset, p.Resets = s.Actions.Reset.Target, s.Actions.Reset.Allowed
		if p.Reset == "" {
			// DSP0266 "Action target" leaves no other place in practice.
			p.Reset = strings.TrimRight(where, "/") + "/Actions/ComputerSystem.Reset"
		}
	})
	return s, a, nil
}

// System reads the server's identity, power, boot configuration, MAC addresses
// and virtual media. Errors are *fault.Error.
func (c *Client) System(ctx context.Context) (System, error) {
	s, err := c.readSystem(ctx)
	if err != nil {
		return System{}, err
	}
	out := System{ID: clean(s.ID, maxText), Manufacturer: clean(s.Manufacturer, maxText), Model: clean(s.Model, maxText),
		Serial: s.serial(), UUID: strings.ToLower(clean(s.UUID, maxText)), Power: powerState(s.Power), Boot: s.Boot.boot()}
	if out.ID == "" {
		out.ID = path.Base(s.path)
	}
	for _, b := range s.Boot.Order {
		out.BootOrder = append(out.BootOrder, clean(b, maxText))
	}
	if out.MACs, err = c.macs(ctx, s.Interfaces.ID); err != nil {
		return System{}, err
	}
	if out.Media, err = c.Media(ctx); err != nil {
		return System{}, err
	}
	return out, nil
}

// serial is what the server's own firmware (DMI) calls its serial number. On
// Dell that is the service tag, which iDRAC shows as SKU; its SerialNumber is
// the board's (ironic idrac-redfish-sku).
func (s *computerSystem) serial() string {
	if s.made("dell") && s.SKU != "" {
		return clean(s.SKU, maxText)
	}
	return clean(s.Serial, maxText)
}

// macs reads the EthernetInterfaces; some Cisco models have none.
func (c *Client) macs(ctx context.Context, collection string) ([]string, error) {
	if collection == "" {
		return nil, nil
	}
	type nic struct {
		link
		MAC       string `json:"MACAddress"`
		Permanent string `json:"PermanentMACAddress"`
	}
	var nics []nic
	a, err := eachMember(ctx, c, collection, maxInterfaces, func(n nic) bool { return n.MAC+n.Permanent != "" },
		func(n nic) { nics = append(nics, n) })
	if err != nil {
		return nil, err
	}
	if a != nil {
		if a.status == http.StatusNotFound {
			return nil, nil
		}
		return nil, c.refused("reading the Ethernet interfaces", a)
	}
	var macs []string
	have := map[string]bool{}
	for _, n := range nics {
		for _, text := range []string{n.MAC, n.Permanent} {
			if m := parseMAC(text); m != "" && !have[m] {
				have[m] = true
				macs = append(macs, m)
			}
		}
	}
	return macs, nil
}

// parseMAC gives a unicast Ethernet address in lower-case colon form, or "".
// Firmware has "", "N/A", zeros and 8-byte InfiniBand GUIDs there.
func parseMAC(s string) string {
	m, err := net.ParseMAC(strings.TrimSpace(s))
	if err != nil || len(m) != 6 || m[0]&1 == 1 || m.String() == "00:00:00:00:00:00" {
		return ""
	}
	return m.String()
}

// Power reads whether the server is on. Errors are *fault.Error.
func (c *Client) Power(ctx context.Context) (PowerState, error) {
	s, err := c.readSystem(ctx)
	if err != nil {
		return "", err
	}
	p := powerState(s.Power)
	if p == "" {
		return "", &fault.Error{Class: fault.Retryable, Subject: c.subject(), Summary: "the BMC does not say whether the server is on",
			Seen: "PowerState " + quoted(string(s.Power)), Expected: "On, Off, PoweringOn or PoweringOff", Evidence: c.evidence(),
			Advice: "look at the server's state in the BMC's own web page; restart the BMC if it stays so"}
	}
	return p, nil
}
