package netboot

import (
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Network is one L2 segment with one IPv4 subnet that is served.
type Network struct {
	// Name is what Client.Network refers to.
	Name string
	// Interface carries Agent; empty: the interface that has the address Agent.
	Interface string
	// Agent is our own address: the server identifier of all DHCP answers, and
	// where TFTP and HTTP are served.
	Agent netip.Addr
	// Prefix is the subnet; relayed requests are assigned to a network by it.
	Prefix netip.Prefix
	// Gateway is the hosts' default router; the zero Addr: none.
	Gateway netip.Addr
	// DNS are the hosts' name servers, at most 8 are told.
	DNS []netip.Addr
	// Domain is the hosts' domain name; optional.
	Domain string
	// Lease is how long hosts may use their address without asking again; 0 is
	// DefaultLease. The address is the same for as long as the Directory says so.
	Lease time.Duration
}

// DefaultLease is long, so that hosts keep their address while an agent is being
// replaced; nothing is gained from short ones, because addresses are static.
const DefaultLease = 24 * time.Hour

// Client is one known host port.
type Client struct {
	// Name is the host's name, given to it as its hostname.
	Name string
	// Network is the name of the only network on which it is answered.
	Network string
	// MAC identifies it.
	MAC net.HardwareAddr
	// Addr is its static address with the subnet's prefix length.
	Addr netip.Prefix
	// Boot is what it should boot; nil: nothing from us.
	Boot *Boot
}

// Boot is one intended boot of the installer.
type Boot struct {
	// Token is random and URL-safe: who knows it can fetch the command line. It
	// is never logged in full.
	Token string
	// Cmdline is the kernel command line: one line of printable ASCII.
	Cmdline string
}

// Directory knows the hosts. Its methods are called for every packet and
// request, concurrently, so they answer from memory.
type Directory interface {
	ByMAC(net.HardwareAddr) (Client, bool)
	// ByToken gives the client whose Boot has this token. It is false from the
	// moment that the boot is not wanted any more.
	ByToken(token string) (Client, bool)
}

// Config is what a Server serves.
type Config struct {
	Networks []Network
	// HTTPPort is served on the agent address of every network; 0 lets the kernel
	// choose (BootURL knows what it chose).
	HTTPPort int
	// InstallerDir has the files of RequiredFiles. They may be replaced
	// (atomically, by renaming) while the server runs.
	InstallerDir string
	// Extra serves every HTTP path that is not below /boot/; nil: nothing.
	Extra http.Handler
	// DHCP says whether to serve DHCP and TFTP, or HTTP alone.
	DHCP bool
	// RouterAdvertisements answers IPv6 router solicitations of hosts that have
	// something to boot, saying "I am no router": iPXE otherwise waits about 14 s
	// for one at each stage. It needs DHCP; an interface without IPv6 is left out.
	RouterAdvertisements bool
	// Logger may be nil.
	Logger hclog.Logger
	// Observe, if set, is told what hosts ask for. It is called concurrently and
	// must return at once.
	Observe func(Observation)
}

// Names of the files in Config.InstallerDir.
const (
	FileInstaller = "installer.efi"   // unified kernel image: HTTP
	FileKernel    = "vmlinuz"         // for iPXE: HTTP
	FileInitramfs = "initramfs.zst"   // for iPXE: HTTP
	FileUEFI      = "snponly.efi"     // iPXE for UEFI: TFTP
	FileBIOS      = "undionly.kpxe"   // iPXE for BIOS: TFTP
	fileScript    = "ipxe"            // made per token: HTTP
	httpClient    = "HTTPClient"      // option 60 of UEFI HTTP boot, both ways
	fileTypeEFI   = "application/efi" // UEFI 2.10, 24.7.3.1: what firmware accepts
)

// RequiredFiles are the names that Config.InstallerDir must have.
func RequiredFiles(dhcp bool) []string {
	files := []string{FileInstaller, FileKernel, FileInitramfs}
	if dhcp {
		files = append(files, FileUEFI, FileBIOS)
	}
	return files
}

// Stages of an Observation, in the order in which a boot goes through them,
// then those that mean trouble.
const (
	StageDiscover = "dhcp-discover" // a DISCOVER, answered with an OFFER
	StageAck      = "dhcp-ack"      // an address was confirmed
	StageInform   = "dhcp-inform"   // options were asked for and given
	StageRelease  = "dhcp-release"  // the host gave its address back
	StageTFTP     = "tftp"          // a file was asked for; again with Done
	StageHTTP     = "http"          // the same by HTTP

	StageUnknown      = "dhcp-unknown"       // a MAC that nobody knows; once per MAC
	StageWrongNetwork = "dhcp-wrong-network" // a known host on a network that is not its own
	StageOtherServer  = "dhcp-other-server"  // the host took the offer of another server
	StageNak          = "dhcp-nak"           // the host asked for an address that is not its own
	StageDecline      = "dhcp-decline"       // the host found its address in use by somebody else
	StageIgnored      = "dhcp-ignored"       // nothing to answer; Detail says why
)

// Observation is something that a host asked for.
type Observation struct {
	Time  time.Time
	Stage string
	// MAC is "" when it can't be known, as for HTTP requests that bypass Boot.
	MAC string
	// Client is the host's name, if it is known.
	Client string
	// Network is the network's name.
	Network string
	// Remote is the address that the request came from; zero for DHCP.
	Remote netip.Addr
	// File is the boot file named in a DHCP answer, or the file transferred.
	// A URL's token is shortened.
	File string
	// Bytes is how many bytes were sent, Total the size of the file.
	Bytes, Total int64
	// Done says that a transfer has ended; Bytes < Total then means that it was
	// broken off or only a part was asked for.
	Done bool
	// Detail is for a person.
	Detail string
}

// veil shortens a token for logs and observations.
func veil(token string) string {
	const shown = 6
	if len(token) <= 2*shown {
		return "..."
	}
	return token[:shown] + "..."
}
