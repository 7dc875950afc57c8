package host

import (
	"net/netip"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// Boot methods of Spec.BootMethod besides "auto".
const (
	BootUEFIHTTP = "uefi-http"
	BootPXE      = "pxe"
)

// Record is all that is kept of a host between processes. It holds no
// credential; a boot token is kept for as long as the boot lasts, because the
// boot service has to know it, and the key of an installer's session as a digest.
type Record struct {
	Spec   Spec   `json:"spec"`
	Status Status `json:"status"`
	// Written says that the image of Status.Deployment is complete on the root
	// disk; Booted that the installer acknowledged the order to boot it.
	Written bool `json:"written,omitempty"`
	Booted  bool `json:"booted,omitempty"`
	// Identity is the server behind the BMC as first seen.
	Identity Identity `json:"identity,omitzero"`
	// Boot is the installer's present boot; nil when there is none.
	Boot *BootSession `json:"boot,omitempty"`
	// MilestoneKey is the key with which the deployed system reports; it allows
	// nothing else.
	MilestoneKey string `json:"milestone_key,omitempty"`
	// Address is the claimed address.
	Address netip.Prefix `json:"address,omitzero"`
}

// Identity tells servers apart.
type Identity struct {
	Serial string `json:"serial,omitempty"`
	UUID   string `json:"uuid,omitempty"`
}

// BootSession is one boot of the installer.
type BootSession struct {
	// Token is the one-time token in the boot URL and the kernel command line.
	Token string `json:"token"`
	// Started is when the host was switched on for it.
	Started time.Time `json:"started"`
	// Nonce and KeyDigest are set when the installer has opened its session.
	Nonce     string `json:"nonce,omitempty"`
	KeyDigest string `json:"key_digest,omitempty"`
	// Inventory is what the installer reported in this session, so that a process
	// that takes over need not ask again in the middle of an order.
	Inventory *order.Inventory `json:"inventory,omitempty"`
}

// Store keeps records; implemented by the facility's store.
type Store interface {
	SaveHost(Record) error
	RemoveHost(name string) error
	Hosts() ([]Record, error)
}

// Goal is what is worked towards.
type Goal string

// The goals.
const (
	GoalAvailable     Goal = "available"
	GoalProvisioned   Goal = "provisioned"
	GoalDeprovisioned Goal = "deprovisioned"
	GoalReleased      Goal = "released"
)

// Observation is what was seen of a host just now; with the record it is all
// that Decide looks at.
type Observation struct {
	// Power is "on" or "off".
	Power string
	// Booting: the installer was started and may still be on its way, or its
	// contact was lost only a short while ago.
	Booting bool
	// Session: the installer is in contact and has sent its inventory.
	Session bool
	// Disk is the root disk as this session's inventory shows it.
	Disk *order.Disk
}
