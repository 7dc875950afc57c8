package netboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/pin/tftp/v3"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv6"
)

var segment = Network{Name: "lab", Agent: netip.MustParseAddr("172.30.8.1"), Prefix: netip.MustParsePrefix("172.30.8.0/22"), Gateway: netip.MustParseAddr("172.30.8.1")}

// serve starts a whole server in the namespace.
func serve(t *testing.T, hosts Directory) (*Server, *witness, string) {
	t.Helper()
	w, dir := newWitness(), installerDir(t, 200_000)
	s, err := Start(t.Context(), Config{Networks: []Network{segment}, InstallerDir: dir, DHCP: true, RouterAdvertisements: true, Observe: w.observe}, hosts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, w, dir
}

func newDHCPClient(t *testing.T, c Client) *nclient4.Client {
	t.Helper()
	client, err := nclient4.New(hostsPort, nclient4.WithHWAddr(c.MAC), nclient4.WithTimeout(2*time.Second), nclient4.WithRetry(2))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// release sends a RELEASE from the host's own address, as the RFC wants it; the
// library's client has none.
func release(t *testing.T, c Client, lease *nclient4.Lease) {
	t.Helper()
	packet, err := dhcpv4.NewReleaseFromACK(lease.ACK)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := listenFrames(hostsPort)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	from := nclient4.NewBroadcastUDPConn(raw.(*hearingConn).heard, &net.UDPAddr{IP: c.Addr.Addr().AsSlice(), Port: dhcpv4.ClientPort})
	if _, err := from.WriteTo(packet.ToBytes(), &net.UDPAddr{IP: segment.Agent.AsSlice(), Port: dhcpv4.ServerPort}); err != nil {
		t.Fatal(err)
	}
}

// answerARP tells the agent's side where a host is.
func answerARP(t *testing.T, c Client) {
	t.Helper()
	link, err := netlink.LinkByName(agentPort)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: c.Addr.Addr().AsSlice(), HardwareAddr: hostsMAC}); err != nil {
		t.Fatal(err)
	}
}

var asHTTPClient = []dhcpv4.Modifier{
	dhcpv4.WithOption(dhcpv4.OptClientArch(iana.EFI_X86_64_HTTP)),
	dhcpv4.WithOption(dhcpv4.OptClassIdentifier("HTTPClient:Arch:00016:UNDI:003000")),
}

func TestRealExchange(t *testing.T) {
	_, seen, _ := serve(t, newDirectory(host(1)))
	client := newDHCPClient(t, host(1))
	lease, err := client.Request(t.Context(), asHTTPClient...)
	if err != nil {
		t.Fatal(err)
	}
	if got := lease.ACK.YourIPAddr.String(); got != host(1).Addr.Addr().String() {
		t.Errorf("address %s", got)
	}
	image := fetch(t, lease.ACK.BootFileNameOption())
	if !bytes.Contains(image, []byte(host(1).Boot.Cmdline)) {
		t.Error("the image is not this host's")
	}
	seen.await(t, "the ACK", func(o Observation) bool { return o.Stage == StageAck && o.Client == "node-1" })
	seen.await(t, "the download", func(o Observation) bool { return o.Stage == StageHTTP && o.Done && o.Bytes == int64(len(image)) })

	// A renewal is answered to the address itself. Nobody answers ARP for it here.
	answerARP(t, host(1))
	renewed, err := client.Renew(t.Context(), lease)
	if err != nil || !renewed.ACK.YourIPAddr.Equal(lease.ACK.YourIPAddr) {
		t.Errorf("renewing: %v, %v", renewed, err)
	}
	var nak *nclient4.ErrNak
	if _, err := client.RequestFromOffer(t.Context(), lease.Offer, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(net.IPv4(172, 30, 8, 99)))); !errors.As(err, &nak) {
		t.Errorf("asking for another's address: %v, want a NAK", err)
	}
	release(t, host(1), lease)
	seen.await(t, "the release", func(o Observation) bool { return o.Stage == StageRelease })
}

func TestTFTP(t *testing.T) {
	s, seen, dir := serve(t, newDirectory(host(1)))
	client, err := tftp.NewClient(netip.AddrPortFrom(segment.Agent, tftpPort).String())
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{512, 1468} {
		client.SetBlockSize(size)
		for _, name := range []string{FileUEFI, "/" + FileBIOS} {
			transfer, err := client.Receive(name, "octet")
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if _, err := transfer.WriteTo(&got); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("%s in blocks of %d: %d bytes, want %d", name, size, got.Len(), len(want))
			}
		}
	}
	done := seen.await(t, "the end of a transfer", func(o Observation) bool { return o.Stage == StageTFTP && o.Done })
	if done.Bytes != done.Total || done.Detail != "" || done.Remote.Unmap() != segment.Agent && !done.Remote.IsLoopback() {
		t.Errorf("observed %+v", done)
	}
	for _, name := range []string{"", "/", FileInstaller, "../" + FileUEFI, "/etc/passwd", strings.Repeat("x", 400)} {
		if _, err := client.Receive(name, "octet"); err == nil {
			t.Errorf("%.40q is served", name)
		}
	}
	if _, err := client.Send(FileUEFI, "octet"); err == nil {
		t.Error("writing is possible")
	}
	checkOptions(t, len(strings.Repeat(FileUEFI+" ", 9000)))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// checkOptions asks for the size, as UEFI does before it makes room for the file.
func checkOptions(t *testing.T, size int) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: segment.Agent.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := "\x00\x01" + FileUEFI + "\x00octet\x00tsize\x000\x00blksize\x001468\x00"
	if _, err := conn.WriteTo([]byte(ask), &net.UDPAddr{IP: segment.Agent.AsSlice(), Port: tftpPort}); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1500)
	n, from, err := conn.ReadFrom(buffer)
	if err != nil {
		t.Fatal(err)
	}
	got := string(buffer[:n])
	if !strings.HasPrefix(got, "\x00\x06") || !strings.Contains(got, fmt.Sprintf("tsize\x00%d\x00", size)) || !strings.Contains(got, "blksize\x001468\x00") {
		t.Errorf("options %q", got)
	}
	// "Option negotiation failed" (RFC 2347) is how UEFI breaks off.
	if _, err := conn.WriteTo([]byte("\x00\x05\x00\x08\x00"), from); err != nil {
		t.Fatal(err)
	}
}

func TestPortOfAnotherDHCPServer(t *testing.T) {
	_, _, dir := serve(t, newDirectory())
	s, err := Start(t.Context(), Config{Networks: []Network{segment}, InstallerDir: dir, DHCP: true}, newDirectory())
	if err == nil {
		t.Fatal(errors.Join(errors.New("two servers share port 67"), s.Close()))
	}
	f := asFault(err)
	if f == nil || !strings.Contains(f.Error(), fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(f.Subject, "port 67") {
		t.Errorf("fault %+v", err)
	}
}

func TestForeignServers(t *testing.T) {
	hosts := newDirectory(host(1))
	if found, err := Foreign(t.Context(), hostsPort, 300*time.Millisecond); err != nil || len(found) != 0 {
		t.Fatalf("on an empty segment: %v, %v", found, err)
	}
	func() {
		s, _, _ := serve(t, hosts)
		if found, err := Foreign(t.Context(), hostsPort, 300*time.Millisecond); err != nil || len(found) != 0 {
			t.Errorf("our own server, which knows its hosts: %v, %v", found, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	stranger, err := server4.NewServer(agentPort, &net.UDPAddr{Port: dhcpv4.ServerPort}, func(conn net.PacketConn, _ net.Addr, m *dhcpv4.DHCPv4) {
		offer, err := dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(dhcpv4.MessageTypeOffer), dhcpv4.WithYourIP(net.IPv4(172, 30, 8, 200)),
			dhcpv4.WithServerIP(net.IPv4(172, 30, 8, 7)), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(net.IPv4(172, 30, 8, 1))), dhcpv4.WithOption(dhcpv4.OptBootFileName("pxelinux.0")))
		if err == nil {
			_, err = conn.WriteTo(offer.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort})
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		stranger.Serve() // ends with an error when it is closed
	}()
	defer func() { stranger.Close(); <-ended }()
	found, err := Foreign(t.Context(), hostsPort, 1500*time.Millisecond)
	if err != nil || len(found) != 1 {
		t.Fatalf("found %v, %v", found, err)
	}
	agent, err := net.InterfaceByName(agentPort)
	if err != nil {
		t.Fatal(err)
	}
	want := ForeignServer{ID: segment.Agent, Source: segment.Agent, MAC: agent.HardwareAddr.String(), Offered: netip.MustParseAddr("172.30.8.200"), NextServer: netip.MustParseAddr("172.30.8.7"), BootFile: "pxelinux.0"}
	if found[0] != want {
		t.Errorf("found %+v, want %+v", found[0], want)
	}
}

func TestForeignEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Foreign(ctx, hostsPort, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := Foreign(t.Context(), "eth99", time.Hour); asFault(err) == nil {
		t.Errorf("error %v", err)
	}
	if _, err := Foreign(t.Context(), "lo", time.Hour); asFault(err) == nil {
		t.Errorf("error %v", err)
	}
}

// TestRouterAdvertisement asks as iPXE does, for a host that boots and for one
// that does not.
func TestRouterAdvertisement(t *testing.T) {
	idle := host(2)
	idle.Boot = nil
	serve(t, newDirectory(host(1), idle))
	raw, err := listenOn(t.Context(), hostsPort, "ip6:ipv6-icmp", "::")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := ipv6.NewPacketConn(raw)
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeRouterAdvertisement)
	iface, err := net.InterfaceByName(hostsPort)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.SetICMPFilter(&filter), conn.SetControlMessage(ipv6.FlagHopLimit, true), conn.SetReadDeadline(time.Now().Add(20*time.Second))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []Client{idle, host(3), host(1)} {
		ask := append([]byte{byte(ipv6.ICMPTypeRouterSolicitation), 0, 0, 0, 0, 0, 0, 0, ndOptionSourceMAC, 1}, c.MAC...)
		if _, err := conn.WriteTo(ask, &ipv6.ControlMessage{HopLimit: ndHopLimit, IfIndex: iface.Index}, allRouters); err != nil {
			t.Fatal(err)
		}
	}
	buffer := make([]byte, 1500)
	n, control, from, err := conn.ReadFrom(buffer)
	if err != nil {
		t.Fatal(err)
	}
	agent, err := net.InterfaceByName(agentPort)
	if err != nil {
		t.Fatal(err)
	}
	want := append(append(make([]byte, 12), ndOptionSourceMAC, 1), agent.HardwareAddr...)
	if got := buffer[4:n]; buffer[0] != byte(ipv6.ICMPTypeRouterAdvertisement) || !bytes.Equal(got, want) || control.HopLimit != ndHopLimit || !from.(*net.IPAddr).IP.IsLinkLocalUnicast() {
		t.Errorf("%x from %s, hop limit %d; want %x", buffer[:n], from, control.HopLimit, want)
	}
	// Only one of the three is answered, so nothing else comes.
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, _, _, err := conn.ReadFrom(buffer); err == nil {
		t.Errorf("a second advertisement: %x", buffer[:n])
	}
}
