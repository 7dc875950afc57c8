package host

import (
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// State is the resting state a host is in or on its way to.
type State string

const (
	// Enrolling: known, not yet inspected.
	Enrolling State = "enrolling"
	// Available: inspected, checked, off, nothing of ours on it.
	Available State = "available"
	// Provisioning: an image is being written and booted.
	Provisioning State = "provisioning"
	// Provisioned: it runs what was deployed.
	Provisioned State = "provisioned"
	// Deprovisioning: it is being wiped and switched off.
	Deprovisioning State = "deprovisioning"
	// Releasing: the ledger is being played backwards.
	Releasing State = "releasing"
)

// Phase is the step a host is at, for people and for timing.
type Phase string

// The phases, in the order of a host's life.
const (
	PhaseConnect   Phase = "connect"    // reach the BMC, read the system
	PhaseLedger    Phase = "ledger"     // write down what will be changed
	PhasePowerOn   Phase = "power-on"   // power-on to the installer's first report
	PhaseInspect   Phase = "inspect"    // inventory and checks
	PhaseImage     Phase = "image"      // image write
	PhaseKexec     Phase = "kexec"      // boot order to the new kernel's start
	PhaseFirstBoot Phase = "first-boot" // kernel start to first user command
	PhaseBootstrap Phase = "bootstrap"  // kubeadm
	PhaseReady     Phase = "ready"      // until the node is Ready
	PhaseWipe      Phase = "wipe"
	PhasePowerOff  Phase = "power-off"
	PhaseRestore   Phase = "restore" // ledger backwards
)

// Status is what is known of a host. It holds no secret.
type Status struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Phase is empty when nothing is being done.
	Phase Phase `json:"phase,omitempty"`
	// Revision grows with every change of this status.
	Revision uint64 `json:"revision"`
	// Busy says that work is going on.
	Busy bool `json:"busy"`
	// Failure is why the last work ended without reaching its goal.
	Failure *fault.Error `json:"failure,omitempty"`
	// Power is "on", "off", or "" when the BMC could not be asked.
	Power string `json:"power,omitempty"`
	// Unreachable is why the BMC could not be asked at the last look.
	Unreachable string `json:"unreachable,omitempty"`
	// Hardware is the last inventory, nil before the first inspection.
	Hardware *order.Inventory `json:"hardware,omitempty"`
	// RootDisk is the disk that RootDevice selects.
	RootDisk *order.DiskRef `json:"root_disk,omitempty"`
	// Address is the host's address with prefix length, claimed from its network's pool.
	Address string `json:"address,omitempty"`
	// Deployment is the ID of what is deployed or being deployed; Image its digest.
	Deployment string `json:"deployment,omitempty"`
	Image      string `json:"image,omitempty"`
	// Owner is who the deployment belongs to: "cluster/<name>".
	Owner string `json:"owner,omitempty"`
	// Progress is about the installer's present order.
	Progress *order.Progress `json:"progress,omitempty"`
	// Milestones of the deployed system's first boot, by name.
	Milestones map[string]order.Milestone `json:"milestones,omitempty"`
	// MilestoneTimes are when they arrived.
	MilestoneTimes map[string]time.Time `json:"milestone_times,omitempty"`
	// Timings are the seconds spent in each phase, the last time it was gone through.
	Timings []Timing `json:"timings,omitempty"`
	// Ledger is what was changed on the BMC and not yet put back.
	Ledger []Entry `json:"ledger,omitempty"`
	// ImagesWritten counts over the host's life, to prove that nothing is done
	// twice.
	ImagesWritten int `json:"images_written"`
	// Log is the tail of what the installer or the console said last.
	Log []string `json:"log,omitempty"`
}

// Timing is one line of the phase table.
type Timing struct {
	Phase   Phase   `json:"phase"`
	Seconds float64 `json:"seconds"`
	// Bytes is set for PhaseImage: the raw size, and what was really written.
	Bytes   int64 `json:"bytes,omitempty"`
	Written int64 `json:"written,omitempty"`
	// Baseline is how many bytes of zeros a second the same disk took in the same
	// run, for PhaseImage.
	Baseline float64 `json:"baseline,omitempty"`
}

// Entry is one page of the ledger: a property of the BMC that is about to be
// changed, what it was, and so how to put it back.
type Entry struct {
	// What names the property: "power", "boot-override".
	What string `json:"what"`
	// Was is the value before, as JSON.
	Was string `json:"was"`
	// Time is when it was read.
	Time time.Time `json:"time"`
	// Undone says that it was put back and read back.
	Undone bool `json:"undone,omitempty"`
	// Problem is why it could not be put back.
	Problem string `json:"problem,omitempty"`
}

// Deployment is what to put on a host. Seed and Files may hold secrets: a
// deployment is handed over in memory, never stored; its ID is.
type Deployment struct {
	// ID identifies it: a host that carries a deployment of this ID is not
	// written again.
	ID string `json:"id"`
	// Owner is "cluster/<name>".
	Owner string `json:"owner"`
	// Image is what to write.
	Image DeploymentImage `json:"image"`
	Seed  order.Seed      `json:"seed"`
	Files []order.File    `json:"files,omitempty"`
	// ExtraCmdline is appended to the image's kernel command line.
	ExtraCmdline string `json:"extra_cmdline,omitempty"`
}

// DeploymentImage is an image as the facility serves it to installers.
type DeploymentImage struct {
	URL          string `json:"url"`
	SHA256       string `json:"sha256"`
	SizeBytes    int64  `json:"size_bytes"`
	RawSizeBytes int64  `json:"raw_size_bytes,omitempty"`
	Format       string `json:"format"`
}
