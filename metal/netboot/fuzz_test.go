package netboot

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/net/ipv4"
)

// sent is a dhcpConn that keeps what was sent.
type sent struct {
	packet []byte
	to     *net.UDPAddr
	count  int
}

func (s *sent) ReadFrom([]byte) (int, *ipv4.ControlMessage, net.Addr, error) {
	return 0, nil, nil, net.ErrClosed
}

func (s *sent) WriteTo(b []byte, _ *ipv4.ControlMessage, to net.Addr) (int, error) {
	s.packet, s.to, s.count = b, to.(*net.UDPAddr), s.count+1
	return len(b), nil
}

func testPort(t testing.TB) (*dhcpPort, *sent) {
	t.Helper()
	network := testNetwork
	network.Interface = "eth0"
	s := newServer(t.Context(), Config{Observe: func(Observation) {}}, []Network{network}, newDirectory(testClient))
	s.ports["lab"] = 8080
	out := &sent{}
	return &dhcpPort{server: s, iface: "eth0", conn: out}, out
}

// FuzzPacket puts hostile packets through the whole handler. Whatever comes in,
// at most one well-formed answer goes out, for the known host, not out of the
// network, and not much larger than what came in.
func FuzzPacket(f *testing.F) {
	files, err := filepath.Glob("testdata/*.bin")
	if err != nil || len(files) == 0 {
		f.Fatalf("no packets: %v", err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		f.Add(raw[:len(raw)/2])
	}
	port, out := testPort(f)
	f.Fuzz(func(t *testing.T, packet []byte) {
		*out = sent{}
		port.handle(packet[:min(len(packet), dhcpPacket)])
		if out.count == 0 {
			return
		}
		reply, err := dhcpv4.FromBytes(out.packet)
		if err != nil || out.count > 1 {
			t.Fatalf("%d answers, the last %x: %v", out.count, out.packet, err)
		}
		if reply.ClientHWAddr.String() != testMAC.String() || reply.OpCode != dhcpv4.OpcodeBootReply {
			t.Errorf("answer %s", reply.Summary())
		}
		to := out.to.AddrPort().Addr().Unmap()
		if to != broadcast.Addr() && !testNetwork.Prefix.Contains(to) {
			t.Errorf("answer to %s", to)
		}
		if !reply.YourIPAddr.IsUnspecified() && reply.YourIPAddr.String() != "172.30.9.10" {
			t.Errorf("answer with address %s", reply.YourIPAddr)
		}
		const ours = 600
		if len(out.packet) > len(packet)+ours {
			t.Errorf("answer of %d bytes to %d", len(out.packet), len(packet))
		}
	})
}

func TestUnknownAndForeignRequests(t *testing.T) {
	seen := newWitness()
	port, out := testPort(t)
	port.server.config.Observe = seen.observe
	discover := golden(t, "ovmf-http-discover")
	discover.ClientHWAddr = net.HardwareAddr{2, 9, 9, 9, 9, 9}
	for range 3 {
		port.handle(discover.ToBytes())
	}
	unknown := func(o Observation) bool {
		return o.Stage == StageUnknown && o.MAC == "02:09:09:09:09:09" && o.Network == "lab"
	}
	if out.count != 0 || seen.count(unknown) != 1 {
		t.Errorf("%d answers to an unknown host, %d observations, want 0 and 1", out.count, seen.count(unknown))
	}

	discover = golden(t, "ovmf-http-discover", dhcpv4.WithGatewayIP(net.IPv4(192, 0, 2, 1)))
	port.handle(discover.ToBytes())
	port.handle([]byte("not DHCP"))
	if out.count != 0 || len(seen.all) != 1 {
		t.Errorf("%d answers, observations %v", out.count, seen.all)
	}

	port.handle(golden(t, "ovmf-http-discover").ToBytes())
	got := seen.await(t, "the DISCOVER", func(o Observation) bool { return o.Stage == StageDiscover })
	if out.count != 1 || got.Client != "node-1" || got.File != "http://172.30.9.1:8080/boot/012345.../installer.efi" {
		t.Errorf("%d answers, observed %+v", out.count, got)
	}
}

func TestSeenIsBounded(t *testing.T) {
	s := newSeen()
	for i := range 3 * seenLimit {
		c := host(i % 60000)
		s.first(c.Name)
		s.confirmed(c)
	}
	if len(s.once) > seenLimit || len(s.byRemote) > seenLimit {
		t.Errorf("%d and %d entries", len(s.once), len(s.byRemote))
	}
}

func BenchmarkDiscover(b *testing.B) {
	port, out := testPort(b)
	packet := golden(b, "ovmf-pxe-discover").ToBytes()
	b.ReportAllocs()
	for b.Loop() {
		port.handle(packet)
	}
	if out.count == 0 {
		b.Fatal("no answers")
	}
}
