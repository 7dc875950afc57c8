package host

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// label is an RFC 1123 label, as hostnames and Kubernetes names are.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// ValidName tells whether s is an RFC 1123 label.
func ValidName(s string) bool { return label.MatchString(s) }

// Validate checks what can be known without any hardware. The error is a
// *fault.Error that names the attribute.
func (s Spec) Validate() error {
	if !ValidName(s.Name) {
		return fault.Invalid("name", "the host's name is not valid", fmt.Sprintf("%q", s.Name),
			"lower-case letters, digits and dashes, at most 63 (RFC 1123 label)")
	}
	if err := s.BMC.Validate(); err != nil {
		return err
	}
	mac, err := net.ParseMAC(s.BootMAC)
	if err != nil || len(mac) != 6 {
		return fault.Invalid("boot_mac", "the boot MAC address is not valid", fmt.Sprintf("%q", s.BootMAC), `six octets such as "52:54:00:12:34:56"`)
	}
	switch s.BootMethod {
	case "", "auto", BootUEFIHTTP, BootPXE:
	default:
		return fault.Invalid("boot_method", "unknown boot method", fmt.Sprintf("%q", s.BootMethod), `"auto", "uefi-http" or "pxe"`)
	}
	switch s.Wipe {
	case "", WipeOwn, WipeAny, WipeNever:
	default:
		return fault.Invalid("wipe", "unknown wipe policy", fmt.Sprintf("%q", s.Wipe), `"own", "any" or "never"`)
	}
	return s.RootDevice.validate()
}

// Validate checks the form of a BMC's address and trust settings.
func (b BMCSpec) Validate() error {
	u, err := url.Parse(b.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fault.Invalid("bmc.url", "the BMC's address is not valid", fmt.Sprintf("%q", redactURL(b.URL)),
			`an https URL without user or password, such as "https://10.0.0.5"`)
	}
	if b.Credentials == "" {
		return fault.Invalid("bmc.credentials", "the BMC's credentials are not named", "nothing", "a name that the provider block, the environment or the credentials folder resolves")
	}
	trust := 0
	for _, set := range []bool{b.Fingerprint != "", b.CA != "", b.Insecure} {
		if set {
			trust++
		}
	}
	if trust > 1 {
		return fault.Invalid("bmc.fingerprint", "the BMC's certificate is to be verified in more than one way", "several of fingerprint, ca, insecure", "at most one of them")
	}
	if b.Fingerprint != "" {
		raw, err := hex.DecodeString(strings.ReplaceAll(b.Fingerprint, ":", ""))
		if err != nil || len(raw) != 32 {
			return fault.Invalid("bmc.fingerprint", "the certificate fingerprint is not valid", fmt.Sprintf("%q", b.Fingerprint), "SHA-256 of the certificate: 64 hexadecimal digits")
		}
	}
	return nil
}

func redactURL(s string) string {
	if u, err := url.Parse(s); err == nil && u.User != nil {
		u.User = url.User("redacted")
		return u.String()
	}
	return s
}

func (h *RootDeviceHints) validate() error {
	if h == nil {
		return nil
	}
	if h.MinSizeGB < 0 || h.MaxSizeGB < 0 || (h.MaxSizeGB > 0 && h.MinSizeGB > h.MaxSizeGB) {
		return fault.Invalid("root_device.min_size_gb", "the size bounds of the root device contradict each other",
			fmt.Sprintf("minimum %d, maximum %d", h.MinSizeGB, h.MaxSizeGB), "0 <= minimum <= maximum")
	}
	return nil
}

// normalMAC is the lower-case, colon-separated form.
func normalMAC(s string) string {
	if mac, err := net.ParseMAC(s); err == nil {
		return mac.String()
	}
	return strings.ToLower(s)
}

// bmcKey identifies a BMC for the check that no two hosts share one.
func bmcKey(b BMCSpec) string {
	u, err := url.Parse(b.URL)
	if err != nil {
		return b.URL
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	return strings.ToLower(u.Hostname()) + ":" + port + "#" + b.SystemID
}
