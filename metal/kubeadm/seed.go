package kubeadm

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// authorizedKey is one line of an authorized_keys file, without options: type,
// base64, and an optional comment.
var authorizedKey = regexp.MustCompile(`^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]{32,}={0,3}( [^\x00-\x1f\x7f]{0,256})?$`)

// maxKeyBytes is more than an RSA key of 16384 bits needs.
const maxKeyBytes = 8 << 10

// ValidateSSHKeys checks lines for authorized_keys. Errors are *fault.Error.
func ValidateSSHKeys(attribute string, keys []string) error {
	for i, key := range keys {
		if len(key) > maxKeyBytes || !authorizedKey.MatchString(key) {
			seen := strings.SplitN(key, " ", 2)[0]
			return fault.Invalid(fmt.Sprintf("%s[%d]", attribute, i), "not an SSH public key", fmt.Sprintf("a line that begins with %.40q", seen), `one line such as "ssh-ed25519 AAAA... name"`)
		}
	}
	return nil
}

// userData is the part of cloud-config that is used. cloud-init is the slowest
// part of a first boot; all that the installer can write as a file is not here.
type userData struct {
	SSHAuthorizedKeys []string `json:"ssh_authorized_keys,omitempty"`
}

// UserData gives the #cloud-config: SSH keys of the image's default user.
func UserData(sshKeys []string) (string, error) {
	y, err := yaml.Marshal(userData{sshKeys})
	if err != nil {
		return "", fmt.Errorf("encoding user-data: %w", err)
	}
	return "#cloud-config\n" + string(y), nil
}

type metaData struct {
	InstanceID string `json:"instance-id"`
	Hostname   string `json:"local-hostname"`
}

// MetaData gives the seed's meta-data. cloud-init treats a new instance ID as a
// new machine.
func MetaData(instanceID, hostname string) (string, error) {
	y, err := yaml.Marshal(metaData{instanceID, hostname})
	if err != nil {
		return "", fmt.Errorf("encoding meta-data: %w", err)
	}
	return string(y), nil
}

type networkConfig struct {
	Version   int                 `json:"version"`
	Ethernets map[string]ethernet `json:"ethernets"`
}

type ethernet struct {
	Match struct {
		MAC string `json:"macaddress"`
	} `json:"match"`
	DHCP4       bool         `json:"dhcp4"`
	DHCP6       bool         `json:"dhcp6"`
	Addresses   []string     `json:"addresses"`
	Routes      []route      `json:"routes,omitempty"`
	Nameservers *nameservers `json:"nameservers,omitempty"`
}

type route struct {
	To  string `json:"to"`
	Via string `json:"via"`
}

type nameservers struct {
	Addresses []netip.Addr `json:"addresses"`
}

// NetworkConfig gives a network configuration of version 2: the node's static
// address on the port with its MAC address, whatever the kernel calls that port.
func NetworkConfig(n Node) (string, error) {
	var e ethernet
	e.Match.MAC = strings.ToLower(n.MAC)
	e.Addresses = []string{n.Address.String()}
	if n.Gateway.IsValid() {
		// "default" is understood by newer versions of cloud-init only.
		e.Routes = []route{{"0.0.0.0/0", n.Gateway.String()}}
	}
	if len(n.DNS) > 0 {
		e.Nameservers = &nameservers{n.DNS}
	}
	y, err := yaml.Marshal(networkConfig{Version: 2, Ethernets: map[string]ethernet{"metal": e}})
	if err != nil {
		return "", fmt.Errorf("encoding network-config: %w", err)
	}
	return string(y), nil
}
