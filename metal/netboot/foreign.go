package netboot

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// ForeignServer is another DHCP server on a segment.
type ForeignServer struct {
	// ID is its server identifier; Source the address that its packet came from,
	// which may be a relay's.
	ID, Source netip.Addr
	// MAC is what its packet came from, to find it by.
	MAC string
	// Offered is the address that it offered.
	Offered netip.Addr
	// NextServer and BootFile are what it would have hosts boot; empty for a
	// server that only hands out addresses.
	NextServer netip.Addr
	BootFile   string
}

// String is one line for a person.
func (f ForeignServer) String() string {
	s := fmt.Sprintf("%s (MAC %s) offers %s", f.ID, f.MAC, f.Offered)
	if f.BootFile != "" {
		s += fmt.Sprintf(" and the boot file %.128q from %s", f.BootFile, f.NextServer)
	}
	return s
}

// ForeignWait is a good time to wait. With less than 3 s the commonest server is
// missed: dnsmasq 2.90 first checks for 3 s with ping that the address is free;
// ISC dhcpd does so for 1 s.
const ForeignWait = 5 * time.Second

const (
	// foreignInterval is how often the question is repeated: a packet may be lost
	// while a switch port still learns.
	foreignInterval = time.Second
	// foreignLimit bounds how many servers are told apart.
	foreignLimit = 16
)

// Foreign asks for an address on an interface with a random, locally
// administered MAC address, for as long as wait (0: ForeignWait), and gives those
// who offer one. It takes no offer, so nothing is left behind. It finds neither servers that
// answer only hosts they know, nor one on this very machine; that one is found
// when Start can't bind the port.
func Foreign(parent context.Context, interfaceName string, wait time.Duration) ([]ForeignServer, error) {
	if wait <= 0 {
		wait = ForeignWait
	}
	conn, err := listenFrames(interfaceName)
	if err != nil {
		return nil, &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("interface %q", interfaceName), Summary: "can't look for other DHCP servers",
			Seen: err.Error(), Err: err, Expected: "an Ethernet interface that is up, on Linux", Advice: "check the interface's name and state, and run the agent as root or with CAP_NET_RAW"}
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(parent, wait)
	defer cancel()
	discover, err := dhcpv4.NewDiscovery(randomMAC(), dhcpv4.WithBroadcast(true),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionTFTPServerName, dhcpv4.OptionBootfileName))
	if err != nil {
		return nil, fmt.Errorf("making a DHCP question: %w", err)
	}
	var asking error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if asking = ask(ctx, conn, discover); asking != nil {
			cancel()
		}
	}()
	stop := context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Now()) }) // fails only on a closed socket, which also ends the reading
	defer stop()
	servers, err := offers(ctx, conn, discover)
	cancel()
	<-asked
	for _, err := range []error{parent.Err(), asking, err} {
		if err != nil {
			return servers, fmt.Errorf("looking for DHCP servers on %q: %w", interfaceName, err)
		}
	}
	return servers, nil
}

// frames is a socket that also tells the MAC address of who sent the last packet.
type frames interface {
	net.PacketConn
	source() string
}

// randomMAC is unicast and locally administered, so it is nobody's.
func randomMAC() net.HardwareAddr {
	mac := make(net.HardwareAddr, 6)
	rand.Read(mac) // never fails (crypto/rand)
	mac[0] = mac[0]&^1 | 2
	return mac
}

// ask repeats the question until ctx is done.
func ask(ctx context.Context, conn frames, discover *dhcpv4.DHCPv4) error {
	again := time.NewTicker(foreignInterval)
	defer again.Stop()
	for {
		if _, err := conn.WriteTo(discover.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ServerPort}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-again.C:
		}
	}
}

// offers collects the answers, one for each server, until ctx is done.
func offers(ctx context.Context, conn frames, discover *dhcpv4.DHCPv4) ([]ForeignServer, error) {
	var servers []ForeignServer
	buffer := make([]byte, dhcpPacket)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if ctx.Err() != nil {
			return servers, nil
		}
		if err != nil {
			return servers, err
		}
		offer, err := dhcpv4.FromBytes(buffer[:n])
		if err != nil || offer.TransactionID != discover.TransactionID || offer.MessageType() != dhcpv4.MessageTypeOffer {
			continue
		}
		f := foreignServer(offer, from, conn.source())
		known := slices.ContainsFunc(servers, func(s ForeignServer) bool { return s.ID == f.ID && s.MAC == f.MAC })
		if !known && len(servers) < foreignLimit {
			servers = append(servers, f)
		}
	}
}

func foreignServer(offer *dhcpv4.DHCPv4, from net.Addr, mac string) ForeignServer {
	f := ForeignServer{MAC: mac, BootFile: offer.BootFileNameOption()}
	if f.BootFile == "" {
		f.BootFile = offer.BootFileName
	}
	if udp, ok := from.(*net.UDPAddr); ok {
		f.Source = udp.AddrPort().Addr().Unmap()
	}
	f.Offered, _ = v4(offer.YourIPAddr)
	f.NextServer, _ = v4(offer.ServerIPAddr)
	if id, ok := v4(offer.ServerIdentifier()); ok {
		f.ID = id
	} else {
		f.ID = f.Source
	}
	return f
}
