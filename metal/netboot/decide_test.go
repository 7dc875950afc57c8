package netboot

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// The packets in testdata were captured from QEMU 7.2 with SeaBIOS 1.16.2 and
// its iPXE ROM, OVMF 2022.11 (PXE and HTTP boot), Debian's iPXE snponly.efi, and
// ISC dhclient 4.4.3, all with this address.
var (
	testMAC     = net.HardwareAddr{0x52, 0x54, 0, 0x12, 0x34, 0x56}
	testAgent   = netip.MustParseAddr("172.30.9.1")
	testAddr    = netip.MustParsePrefix("172.30.9.10/24")
	testNetwork = Network{
		Name: "lab", Agent: testAgent, Prefix: netip.MustParsePrefix("172.30.9.0/24"), Gateway: netip.MustParseAddr("172.30.9.254"),
		DNS: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("192.0.2.54")}, Domain: "lab.example",
	}
	testToken  = "0123456789abcdefghijklmnopqrstuv"
	testClient = Client{Name: "node-1", Network: "lab", MAC: testMAC, Addr: testAddr, Boot: &Boot{Token: testToken, Cmdline: "console=ttyS0"}}
	testFiles  = Files{HTTPPort: 8080}
)

const (
	urlUKI    = "http://172.30.9.1:8080/boot/0123456789abcdefghijklmnopqrstuv/installer.efi"
	urlScript = "http://172.30.9.1:8080/boot/0123456789abcdefghijklmnopqrstuv/ipxe"
)

func golden(t testing.TB, name string, change ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".bin"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := dhcpv4.FromBytes(raw)
	if err != nil {
		t.Fatalf("packet %q: %v", name, err)
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func arch(a iana.Arch) dhcpv4.Modifier { return dhcpv4.WithOption(dhcpv4.OptClientArch(a)) }
func class(c string) dhcpv4.Modifier   { return dhcpv4.WithOption(dhcpv4.OptClassIdentifier(c)) }
func user(c string) dhcpv4.Modifier {
	return dhcpv4.WithGeneric(dhcpv4.OptionUserClassInformation, []byte(c))
}
func without(o dhcpv4.OptionCode) dhcpv4.Modifier { return dhcpv4.WithoutOption(o) }

// TestBootFiles: which firmware is given which file, under which class.
func TestBootFiles(t *testing.T) {
	noUser := without(dhcpv4.OptionUserClassInformation)
	cases := []struct {
		name    string
		packet  string
		change  []dhcpv4.Modifier
		file    string
		class   string
		vendor  bool // PXE discovery control
		noProxy bool // iPXE's option
	}{
		{name: "OVMF HTTP boot", packet: "ovmf-http-discover", file: urlUKI, class: "HTTPClient"},
		{name: "OVMF HTTP boot, request", packet: "ovmf-http-request", file: urlUKI, class: "HTTPClient"},
		{name: "HTTP client without option 93", packet: "ovmf-http-discover", change: []dhcpv4.Modifier{without(dhcpv4.OptionClientSystemArchitectureType)}, file: urlUKI, class: "HTTPClient"},
		{name: "HTTP architecture without class", packet: "ovmf-http-discover", change: []dhcpv4.Modifier{without(dhcpv4.OptionClassIdentifier)}, file: urlUKI, class: "HTTPClient"},
		{name: "HTTP client, ARM", packet: "ovmf-http-discover", change: []dhcpv4.Modifier{arch(iana.EFI_ARM64_HTTP), class("HTTPClient:Arch:00019:UNDI:003000")}},
		{name: "HTTP client, PXE architecture", packet: "ovmf-http-discover", change: []dhcpv4.Modifier{arch(iana.EFI_X86_64)}},
		{name: "PXE client, HTTP architecture", packet: "ovmf-pxe-discover", change: []dhcpv4.Modifier{arch(iana.EFI_X86_64_HTTP)}},
		{name: "OVMF PXE", packet: "ovmf-pxe-discover", file: FileUEFI, class: "PXEClient", vendor: true},
		{name: "OVMF PXE, request", packet: "ovmf-pxe-request", file: FileUEFI, class: "PXEClient", vendor: true},
		{name: "UEFI PXE, architecture 9", packet: "ovmf-pxe-discover", change: []dhcpv4.Modifier{arch(iana.EFI_BC)}, file: FileUEFI, class: "PXEClient", vendor: true},
		{name: "UEFI PXE, 32 bits", packet: "ovmf-pxe-discover", change: []dhcpv4.Modifier{arch(iana.EFI_IA32)}},
		{name: "UEFI PXE, ARM", packet: "ovmf-pxe-discover", change: []dhcpv4.Modifier{arch(iana.EFI_ARM64)}},
		{name: "UEFI PXE without option 93", packet: "ovmf-pxe-discover", change: []dhcpv4.Modifier{without(dhcpv4.OptionClientSystemArchitectureType)}, file: FileUEFI, class: "PXEClient", vendor: true},
		{name: "BIOS PXE", packet: "ipxe-rom-bios-discover", change: []dhcpv4.Modifier{noUser}, file: FileBIOS, class: "PXEClient", vendor: true},
		{name: "BIOS PXE of the nineties", packet: "ipxe-rom-bios-discover", change: []dhcpv4.Modifier{noUser, without(dhcpv4.OptionClientSystemArchitectureType), class("PXEClient")}, file: FileBIOS, class: "PXEClient", vendor: true},
		{name: "iPXE ROM", packet: "ipxe-rom-bios-discover", file: urlScript, noProxy: true},
		{name: "iPXE ROM, request", packet: "ipxe-rom-bios-request", file: urlScript, noProxy: true},
		{name: "iPXE by TFTP, UEFI", packet: "ipxe-snponly-uefi-discover", file: urlScript, noProxy: true},
		{name: "iPXE by TFTP, UEFI, request", packet: "ipxe-snponly-uefi-request", file: urlScript, noProxy: true},
		{name: "iPXE with an RFC 3004 class", packet: "ipxe-rom-bios-discover", change: []dhcpv4.Modifier{user("\x04iPXE\x03lab")}, file: urlScript, noProxy: true},
		{name: "iPXE, ARM", packet: "ipxe-snponly-uefi-discover", change: []dhcpv4.Modifier{arch(iana.EFI_ARM64)}},
		{name: "another user class", packet: "ipxe-rom-bios-discover", change: []dhcpv4.Modifier{user("iPXE2")}, file: FileBIOS, class: "PXEClient", vendor: true},
		{name: "dhclient", packet: "dhclient-discover"},
		{name: "dhclient, request", packet: "dhclient-request"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			request := golden(t, c.packet, c.change...)
			reply := overWire(t, Decide(request, testClient, testNetwork, testFiles))
			if got := reply.BootFileName; got != c.file {
				t.Errorf("boot file in the header %q, want %q", got, c.file)
			}
			if got := reply.BootFileNameOption(); got != c.file {
				t.Errorf("boot file in option 67 %q, want %q", got, c.file)
			}
			if got := reply.ClassIdentifier(); got != c.class {
				t.Errorf("class %q, want %q", got, c.class)
			}
			if got := bytes.Equal(reply.Options.Get(optionVendor), []byte{6, 1, 8, 255}); got != c.vendor {
				t.Errorf("option 43 is %x", reply.Options.Get(optionVendor))
			}
			if got := bytes.Equal(reply.Options.Get(optionIPXE), []byte{176, 1, 1}); got != c.noProxy {
				t.Errorf("option 175 is %x", reply.Options.Get(optionIPXE))
			}
			if c.vendor && (reply.ServerHostName != "172.30.9.1" || reply.TFTPServerName() != "172.30.9.1") {
				t.Errorf("TFTP server %q in the header, %q in option 66", reply.ServerHostName, reply.TFTPServerName())
			}
			checkAddressed(t, request, reply)

			idle := testClient
			idle.Boot = nil
			reply = overWire(t, Decide(request, idle, testNetwork, testFiles))
			if reply.BootFileName != "" || reply.BootFileNameOption() != "" || reply.ClassIdentifier() != "" || reply.Options.Has(optionVendor) {
				t.Errorf("nothing to boot, but: %s", reply.Summary())
			}
			checkAddressed(t, request, reply)
		})
	}
}

// overWire gives the reply as a client sees it.
func overWire(t *testing.T, a Answer) *dhcpv4.DHCPv4 {
	t.Helper()
	if a.Reply == nil {
		t.Fatalf("no answer: %s: %s", a.Stage, a.Reason)
	}
	if strings.Contains(a.File+a.Reason, testToken) {
		t.Errorf("the token is in what is logged: %+v", a)
	}
	reply, err := dhcpv4.FromBytes(a.Reply.ToBytes())
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// checkAddressed checks what every OFFER and ACK has.
func checkAddressed(t *testing.T, request, reply *dhcpv4.DHCPv4) {
	t.Helper()
	want := map[dhcpv4.MessageType]dhcpv4.MessageType{dhcpv4.MessageTypeDiscover: dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeRequest: dhcpv4.MessageTypeAck}
	checks := []struct {
		what      string
		got, want any
	}{
		{"type", reply.MessageType(), want[request.MessageType()]},
		{"op", reply.OpCode, dhcpv4.OpcodeBootReply},
		{"transaction", reply.TransactionID, request.TransactionID},
		{"chaddr", reply.ClientHWAddr.String(), testMAC.String()},
		{"flags", reply.Flags, request.Flags},
		{"yiaddr", reply.YourIPAddr.String(), "172.30.9.10"},
		{"siaddr", reply.ServerIPAddr.String(), "172.30.9.1"},
		{"server", reply.ServerIdentifier().String(), "172.30.9.1"},
		{"mask", net.IP(reply.SubnetMask()).String(), "255.255.255.0"},
		{"router", reply.Router()[0].String(), "172.30.9.254"},
		{"DNS servers", len(reply.DNS()), 2},
		{"host name", reply.HostName(), "node-1"},
		{"domain", reply.DomainName(), "lab.example"},
		{"lease", reply.IPAddressLeaseTime(0), DefaultLease},
		{"UUID", string(reply.Options.Get(optionUUID)), string(request.Options.Get(optionUUID))},
		{"client id", string(reply.Options.Get(dhcpv4.OptionClientIdentifier)), string(request.Options.Get(dhcpv4.OptionClientIdentifier))},
	}
	for _, c := range checks {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestLongURLGoesIntoTheOptionOnly(t *testing.T) {
	client := testClient
	client.Boot = &Boot{Token: strings.Repeat("t", 120)}
	reply := overWire(t, Decide(golden(t, "ovmf-http-discover"), client, testNetwork, testFiles))
	if reply.BootFileName != "" || !strings.HasSuffix(reply.BootFileNameOption(), "/installer.efi") {
		t.Errorf("header %q, option %q", reply.BootFileName, reply.BootFileNameOption())
	}
}

func TestSparseNetwork(t *testing.T) {
	bare := Network{Name: "lab", Agent: testAgent, Prefix: testNetwork.Prefix, Lease: 3600e9}
	reply := overWire(t, Decide(golden(t, "dhclient-discover"), testClient, bare, testFiles))
	for _, o := range []dhcpv4.OptionCode{dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer, dhcpv4.OptionDomainName} {
		if reply.Options.Has(o) {
			t.Errorf("option %s is there", o)
		}
	}
	if lease, renew := reply.IPAddressLeaseTime(0), reply.IPAddressRenewalTime(0); lease.Hours() != 1 || renew.Minutes() != 30 {
		t.Errorf("lease %s, renewal %s", lease, renew)
	}
}
