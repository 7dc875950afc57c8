package order

import "time"

// Kind is what an order asks for.
type Kind string

const (
	// Wait asks for nothing; the installer reports again.
	Wait Kind = "wait"
	// Inspect makes a new inventory.
	Inspect Kind = "inspect"
	// Wipe removes partition tables and signatures from disks.
	Wipe Kind = "wipe"
	// WriteImage writes an image to a disk and the first files into it.
	WriteImage Kind = "write-image"
	// Boot starts what is installed on a disk, by kexec where possible.
	Boot Kind = "boot"
)

// Order is one thing to do. Exactly the field of its kind is set.
type Order struct {
	// ID is unique within a host's life. An order with an ID that was done
	// already is not done again; its result is reported again.
	ID         string           `json:"id"`
	Kind       Kind             `json:"kind"`
	Wipe       *WipeOrder       `json:"wipe,omitempty"`
	WriteImage *WriteImageOrder `json:"write_image,omitempty"`
	Boot       *BootOrder       `json:"boot,omitempty"`
}

// WipeOrder names the disks to wipe by kernel name, each with the serial and
// size it must have: a disk that changed in between is refused.
type WipeOrder struct {
	Disks []DiskRef `json:"disks"`
}

// DiskRef names one disk of the inventory that the order was made from.
type DiskRef struct {
	Name      string `json:"name"`
	Serial    string `json:"serial,omitempty"`
	WWN       string `json:"wwn,omitempty"`
	SizeBytes int64  `json:"size_bytes"`
}

// WriteImageOrder is refused unless the disk's present content is empty, marked
// as ours, or Overwrite is set.
type WriteImageOrder struct {
	Disk      DiskRef `json:"disk"`
	Overwrite bool    `json:"overwrite,omitempty"`
	// URL serves the image; it must answer Range requests, so that a dropped
	// connection continues where it was.
	URL string `json:"url"`
	// SHA256 is the digest, in hex, of the bytes that URL serves.
	SHA256 string `json:"sha256"`
	// SizeBytes is how many bytes URL serves.
	SizeBytes int64 `json:"size_bytes"`
	// Format is "raw", "zstd" or "gzip".
	Format string `json:"format"`
	// RawSizeBytes is the size after decompression; 0 when not known.
	RawSizeBytes int64 `json:"raw_size_bytes,omitempty"`
	// Mark is put on the disk: incomplete before the first write, complete at the end.
	Mark Mark `json:"mark"`
	// Seed is written as a NoCloud seed into the root file system
	// (/var/lib/cloud/seed/nocloud).
	Seed Seed `json:"seed"`
	// Files are written into the root file system.
	Files []File `json:"files,omitempty"`
}

// Seed is a cloud-init NoCloud seed.
type Seed struct {
	MetaData      string `json:"meta_data"`
	UserData      string `json:"user_data"`
	NetworkConfig string `json:"network_config"`
}

// File is one file of the root file system.
type File struct {
	Path    string `json:"path"`
	Mode    uint32 `json:"mode"`
	Content []byte `json:"content"`
}

// BootOrder boots the system that is installed on a disk.
type BootOrder struct {
	Disk DiskRef `json:"disk"`
	// Method is "kexec" or "reboot"; empty means kexec, and reboot when the
	// kernel refuses that.
	Method string `json:"method,omitempty"`
	// ExtraCmdline is appended to the kernel command line found on the disk.
	ExtraCmdline string `json:"extra_cmdline,omitempty"`
}

// Progress is how far the installer is with an order.
type Progress struct {
	OrderID string `json:"order_id"`
	// State is "running", "done" or "failed".
	State string `json:"state"`
	// Step is what it is doing just now: "write", "seed", "kexec".
	Step string `json:"step,omitempty"`
	// Done and Total are bytes of raw image.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
	// Written is how many bytes really went to the disk (zeros are skipped).
	Written int64 `json:"written,omitempty"`
	// Baseline is how many bytes of zeros a second the disk took just before the
	// image was written.
	Baseline float64 `json:"baseline_bytes_per_second,omitempty"`
	// Elapsed is the time spent on the order.
	Elapsed time.Duration `json:"elapsed_ns,omitempty"`
	// Retryable tells whether giving the order again may help; with State "failed".
	Retryable bool `json:"retryable,omitempty"`
	// Reason is a stable word for programs, with State "failed": see the Reason constants.
	Reason string `json:"reason,omitempty"`
	// Error is for a person.
	Error string `json:"error,omitempty"`
}

// The states of Progress.
const (
	Running = "running"
	Done    = "done"
	Failed  = "failed"
)

// Reasons of a failed order.
const (
	ReasonDigestMismatch = "digest-mismatch"
	ReasonForeignData    = "foreign-data"
	ReasonDiskChanged    = "disk-changed"
	ReasonDiskTooSmall   = "disk-too-small"
	ReasonIO             = "io"
	ReasonNoBootable     = "nothing-to-boot"
)

// Report is what the installer tells with every exchange.
type Report struct {
	// Inventory is sent with the first exchange of a session and after Inspect.
	Inventory *Inventory `json:"inventory,omitempty"`
	// Progress is about the order that it was given last.
	Progress *Progress `json:"progress,omitempty"`
	// Uptime is the time since the installer's kernel started.
	Uptime time.Duration `json:"uptime_ns"`
	// Log is the tail of the installer's and kernel's log since the last report.
	Log []string `json:"log,omitempty"`
}
