package netboot

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// TestStates: the client states of RFC 2131, 4.3 and 4.4.
func TestStates(t *testing.T) {
	requested := func(ip string) dhcpv4.Modifier {
		return dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.ParseIP(ip)))
	}
	server := func(ip string) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.ParseIP(ip))) }
	ciaddr := func(ip string) dhcpv4.Modifier { return dhcpv4.WithClientIP(net.ParseIP(ip)) }
	relay := func(ip string) dhcpv4.Modifier { return dhcpv4.WithGatewayIP(net.ParseIP(ip)) }
	noServer, noRequested := without(dhcpv4.OptionServerIdentifier), without(dhcpv4.OptionRequestedIPAddress)
	const everybody = "255.255.255.255:68"
	const ack, nak, offer, none = dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak, dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeNone

	cases := []struct {
		name   string
		kind   dhcpv4.MessageType
		change []dhcpv4.Modifier
		want   dhcpv4.MessageType
		stage  string
		to     string
	}{
		{"discover", dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{noServer, noRequested}, offer, StageDiscover, everybody},
		{"discover wishing another address", dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{noServer, requested("172.30.9.77")}, offer, StageDiscover, everybody},
		{"discover with an address", dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{noServer, noRequested, ciaddr("172.30.9.10")}, offer, StageDiscover, everybody},
		{"discover, relayed", dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{noServer, noRequested, relay("172.30.9.2")}, offer, StageDiscover, "172.30.9.2:67"},
		{"discover, relayed from elsewhere", dhcpv4.MessageTypeDiscover, []dhcpv4.Modifier{relay("192.0.2.1")}, none, StageIgnored, ""},
		{"selecting us", dhcpv4.MessageTypeRequest, nil, ack, StageAck, everybody},
		{"selecting us, relayed", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{relay("172.30.9.2")}, ack, StageAck, "172.30.9.2:67"},
		{"selecting another server", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{server("172.30.9.3"), requested("172.30.9.99")}, none, StageOtherServer, ""},
		{"selecting us with another address", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{requested("172.30.9.11")}, nak, StageNak, everybody},
		{"init-reboot", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{noServer}, ack, StageAck, everybody},
		{"init-reboot, moved", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{noServer, requested("192.168.1.5")}, nak, StageNak, everybody},
		{"init-reboot, moved, relayed", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{noServer, requested("192.168.1.5"), relay("172.30.9.2")}, nak, StageNak, "172.30.9.2:67"},
		{"renewing", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{noServer, noRequested, ciaddr("172.30.9.10")}, ack, StageAck, "172.30.9.10:68"},
		{"renewing another's", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{noServer, noRequested, ciaddr("172.30.9.11")}, nak, StageNak, everybody},
		{"ours, answer wanted outside", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{ciaddr("198.51.100.1")}, ack, StageAck, everybody},
		{"request for nothing", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{noServer, noRequested}, none, StageIgnored, ""},
		{"inform", dhcpv4.MessageTypeInform, []dhcpv4.Modifier{noServer, noRequested, ciaddr("172.30.9.200")}, ack, StageInform, "172.30.9.200:68"},
		{"inform from outside", dhcpv4.MessageTypeInform, []dhcpv4.Modifier{ciaddr("198.51.100.1")}, none, StageIgnored, ""},
		{"inform without address", dhcpv4.MessageTypeInform, nil, none, StageIgnored, ""},
		{"release", dhcpv4.MessageTypeRelease, []dhcpv4.Modifier{ciaddr("172.30.9.10")}, none, StageRelease, ""},
		{"decline", dhcpv4.MessageTypeDecline, nil, none, StageDecline, ""},
		{"an offer", dhcpv4.MessageTypeOffer, nil, none, StageIgnored, ""},
		{"a type that does not exist", 99, nil, none, StageIgnored, ""},
		{"reply", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{func(d *dhcpv4.DHCPv4) { d.OpCode = dhcpv4.OpcodeBootReply }}, none, StageIgnored, ""},
		{"Infiniband", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{dhcpv4.WithHWType(iana.HWTypeInfiniband)}, none, StageIgnored, ""},
		{"long hardware address", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{dhcpv4.WithHwAddr(make([]byte, 16))}, none, StageIgnored, ""},
		{"another's hardware address", dhcpv4.MessageTypeRequest, []dhcpv4.Modifier{dhcpv4.WithHwAddr(make([]byte, 6))}, none, StageIgnored, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			request := golden(t, "dhclient-request", append([]dhcpv4.Modifier{dhcpv4.WithMessageType(c.kind)}, c.change...)...)
			a := Decide(request, testClient, testNetwork, testFiles)
			if a.Stage != c.stage || a.Reason == "" {
				t.Errorf("stage %q (%s), want %q", a.Stage, a.Reason, c.stage)
			}
			if (a.Reply == nil) != (c.want == none) {
				t.Fatalf("reply %v, want %s", a.Reply, c.want)
			}
			if a.Reply == nil {
				return
			}
			if got := a.Reply.MessageType(); got != c.want || a.To.String() != c.to {
				t.Errorf("%s to %s, want %s to %s", got, a.To, c.want, c.to)
			}
			if !a.Reply.GatewayIPAddr.Equal(request.GatewayIPAddr) {
				t.Errorf("giaddr %s, want %s", a.Reply.GatewayIPAddr, request.GatewayIPAddr)
			}
		})
	}
}

func TestNakCarriesNoAddress(t *testing.T) {
	request := golden(t, "dhclient-request", dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(10, 0, 0, 1))), dhcpv4.WithGatewayIP(net.IPv4(172, 30, 9, 2)))
	reply := overWire(t, Decide(request, testClient, testNetwork, testFiles))
	if !reply.YourIPAddr.IsUnspecified() || !reply.ServerIPAddr.IsUnspecified() || reply.Options.Has(dhcpv4.OptionIPAddressLeaseTime) || !reply.IsBroadcast() {
		t.Errorf("NAK %s", reply.Summary())
	}
	if reply.ServerIdentifier().String() != "172.30.9.1" {
		t.Errorf("server identifier %s", reply.ServerIdentifier())
	}
}

func TestInformGivesNoLease(t *testing.T) {
	request := golden(t, "dhclient-request", dhcpv4.WithMessageType(dhcpv4.MessageTypeInform), dhcpv4.WithClientIP(net.IPv4(172, 30, 9, 10)))
	reply := overWire(t, Decide(request, testClient, testNetwork, testFiles))
	if !reply.YourIPAddr.IsUnspecified() || reply.Options.Has(dhcpv4.OptionIPAddressLeaseTime) || reply.Options.Has(dhcpv4.OptionRenewTimeValue) {
		t.Errorf("answer to INFORM %s", reply.Summary())
	}
	if len(reply.DNS()) == 0 {
		t.Error("the answer to INFORM has no options")
	}
}

func TestRelayInformationIsCopied(t *testing.T) {
	circuit := []byte{1, 4, 'e', 't', 'h', '7'}
	request := golden(t, "ovmf-pxe-discover", dhcpv4.WithGeneric(dhcpv4.OptionRelayAgentInformation, circuit), dhcpv4.WithGatewayIP(net.IPv4(172, 30, 9, 2)))
	reply := overWire(t, Decide(request, testClient, testNetwork, testFiles))
	if got := reply.Options.Get(dhcpv4.OptionRelayAgentInformation); !bytes.Equal(got, circuit) {
		t.Errorf("option 82 is %x, want %x", got, circuit)
	}
}

func TestNotOurs(t *testing.T) {
	elsewhere, nowhere := testClient, testClient
	elsewhere.Network = "rack-2"
	nowhere.Addr = netip.Prefix{}
	for name, c := range map[string]struct {
		client Client
		stage  string
		word   string
	}{
		"other network": {elsewhere, StageWrongNetwork, `"rack-2"`},
		"no address":    {nowhere, StageIgnored, "no IPv4 address"},
	} {
		a := Decide(golden(t, "ovmf-pxe-discover"), c.client, testNetwork, testFiles)
		if a.Reply != nil || a.Stage != c.stage || !strings.Contains(a.Reason, c.word) {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
