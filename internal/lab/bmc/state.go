package bmc

import (
	"errors"
	"os"
	"slices"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab/statefile"
)

const stateFile = "bmc.json"

// The power restore policies (ComputerSystem.PowerRestorePolicyTypes).
const (
	restoreAlwaysOn  = "AlwaysOn"
	restoreAlwaysOff = "AlwaysOff"
	restoreLastState = "LastState"
)

// The values of BootSourceOverrideEnabled.
const (
	overrideDisabled   = "Disabled"
	overrideOnce       = "Once"
	overrideContinuous = "Continuous"
)

// state is what the BMC remembers over a restart.
type state struct {
	OverrideTarget     Target      `json:"override_target"`
	OverrideEnabled    string      `json:"override_enabled"`
	HTTPBootURI        string      `json:"http_boot_uri"`
	BootOrder          []string    `json:"boot_order"`
	PowerRestorePolicy string      `json:"power_restore_policy"`
	LastPowerOn        bool        `json:"last_power_on"`
	AssetTag           string      `json:"asset_tag"`
	LocationIndicator  bool        `json:"location_indicator"`
	SessionTimeout     int         `json:"session_timeout_seconds"`
	Media              *mediaState `json:"media,omitempty"`
	Events             []logEntry  `json:"events"`
	LastEvent          int         `json:"last_event"`
	LastReset          time.Time   `json:"last_reset"`
}

// mediaState is the virtual CD drive with something in it.
type mediaState struct {
	Image string `json:"image"`
	Path  string `json:"path"`
}

func (b *BMC) loadState() error {
	b.state = state{
		OverrideTarget:     TargetNone,
		OverrideEnabled:    overrideDisabled,
		PowerRestorePolicy: restoreLastState,
		SessionTimeout:     1800,
		LastReset:          b.config.Now(),
	}
	err := statefile.ReadJSON(b.path(stateFile), &b.state)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// A machine may have been given other devices since.
	known := deviceIDs(b.config.Hardware)
	b.state.BootOrder = slices.DeleteFunc(b.state.BootOrder, func(id string) bool { return !slices.Contains(known, id) })
	for _, id := range known {
		if !slices.Contains(b.state.BootOrder, id) {
			b.state.BootOrder = append(b.state.BootOrder, id)
		}
	}
	return nil
}

// change alters the state and writes it down. A state that can't be written is
// logged and kept in memory: the BMC of a full disk still answers.
func (b *BMC) change(alter func(*state)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	alter(&b.state)
	b.save()
}

// save needs the lock.
func (b *BMC) save() {
	if err := statefile.WriteJSON(b.path(stateFile), b.state); err != nil {
		b.config.Logger.Error("BMC settings are not saved", "machine", b.config.Hardware.Name, "error", err)
	}
}

// read gives a copy of the state; its slices must not be changed.
func (b *BMC) read() state {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// deviceIDs is the boot order of a new machine: disks, network, CD.
func deviceIDs(h Hardware) []string {
	var ids []string
	for _, disk := range h.Disks {
		ids = append(ids, disk.ID)
	}
	for _, nic := range h.NICs {
		ids = append(ids, nic.ID)
	}
	return append(ids, DeviceCD)
}
