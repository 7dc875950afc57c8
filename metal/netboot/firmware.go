package netboot

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"
)

// firmware is the kind of program that sent a DHCP request.
type firmware int

const (
	// system is an operating system's DHCP client: it does not ask for a file.
	system firmware = iota
	biosPXE
	uefiPXE
	uefiHTTP
	ipxe
	// unsupported asks for a file of an architecture that we have none for.
	unsupported
)

// identify tells what sent the request and, for a person, of what architecture
// it says to be.
func identify(request *dhcpv4.DHCPv4) (firmware, string) {
	class := request.ClassIdentifier()
	pxe, http := strings.HasPrefix(class, "PXEClient"), strings.HasPrefix(class, httpClient)
	arch, known := architecture(request, class)
	if !known && pxe {
		// RFC 4578, 2.1 wants option 93 from PXE clients; those that predate it
		// are BIOS ROMs.
		arch, known = iana.INTEL_X86PC, true
	}
	if !known {
		return system, ""
	}
	named := fmt.Sprintf("architecture %d (%s)", uint16(arch), arch)
	switch {
	case slices.Contains(userClasses(request), "iPXE"):
		if arch == iana.INTEL_X86PC || arch == iana.EFI_X86_64 || arch == iana.EFI_BC {
			return ipxe, "iPXE, " + named
		}
	case http || !pxe && arch == iana.EFI_X86_64_HTTP:
		if arch == iana.EFI_X86_64_HTTP {
			return uefiHTTP, named
		}
	case arch == iana.INTEL_X86PC:
		return biosPXE, named
	case arch == iana.EFI_X86_64 || arch == iana.EFI_BC:
		return uefiPXE, named
	}
	return unsupported, named
}

// architecture takes option 93, or else the class "PXEClient:Arch:00007:...".
func architecture(request *dhcpv4.DHCPv4, class string) (iana.Arch, bool) {
	if archs := request.ClientArch(); len(archs) > 0 {
		return archs[0], true
	}
	parts := strings.Split(class, ":")
	if len(parts) < 3 || parts[1] != "Arch" {
		return 0, false
	}
	n, err := strconv.ParseUint(parts[2], 10, 16)
	return iana.Arch(n), err == nil
}

// userClasses reads option 77 both ways: as a list (RFC 3004), and bare, which
// is how iPXE sends it.
func userClasses(request *dhcpv4.DHCPv4) []string {
	raw := request.Options.Get(dhcpv4.OptionUserClassInformation)
	if len(raw) == 0 {
		return nil
	}
	return append(request.UserClass(), string(raw))
}
