package host

import (
	"fmt"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// SelectRootDisk finds the one disk that images go to. No match, and several,
// are faults that list what is there: guessing would cost somebody's data.
func SelectRootDisk(hints *RootDeviceHints, disks []order.Disk) (order.Disk, error) {
	var found []order.Disk
	for _, d := range disks {
		if !d.ReadOnly && hints.matches(d) {
			found = append(found, d)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	problem, advice := "matches no disk", "correct root_device so that it selects one of the disks listed as evidence"
	if len(found) > 1 {
		problem, advice = fmt.Sprintf("matches %d disks", len(found)), "add a hint (serial or wwn are the safest) so that one disk is left"
	}
	what := "root_device"
	if hints == nil {
		what = "the host (no root_device given)"
	}
	return order.Disk{}, &fault.Error{Class: fault.NeedsPerson, Attribute: "root_device", Phase: string(PhaseInspect),
		Summary: "the root disk cannot be selected", Seen: what + " " + problem, Expected: "exactly one disk",
		Advice: advice, Evidence: describeDisks(disks)}
}

func (h *RootDeviceHints) matches(d order.Disk) bool {
	if h == nil {
		return true
	}
	path := func(s string) string { return strings.TrimPrefix(s, "/dev/disk/by-path/") }
	switch {
	case h.Name != "" && h.Name != d.Name,
		h.ByPath != "" && path(h.ByPath) != path(d.ByPath),
		h.Model != "" && !containsFold(d.Model, h.Model),
		h.Vendor != "" && !containsFold(d.Vendor, h.Vendor),
		h.Serial != "" && !strings.EqualFold(h.Serial, d.Serial),
		h.WWN != "" && !strings.EqualFold(h.WWN, d.WWN),
		h.MinSizeGB > 0 && d.SizeBytes < h.MinSizeGB*1e9,
		h.MaxSizeGB > 0 && d.SizeBytes > h.MaxSizeGB*1e9,
		h.Rotational != nil && *h.Rotational != d.Rotational:
		return false
	}
	return true
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

func describeDisks(disks []order.Disk) []string {
	if len(disks) == 0 {
		return []string{"the host has no disk"}
	}
	var lines []string
	for _, d := range disks {
		kind := "solid-state"
		if d.Rotational {
			kind = "rotational"
		}
		line := fmt.Sprintf("%s: %.1f GB %s, model %q, serial %q, wwn %q", d.Name, float64(d.SizeBytes)/1e9, kind, d.Model, d.Serial, d.WWN)
		if d.ReadOnly {
			line += ", read-only"
		}
		lines = append(lines, line)
	}
	return lines
}

// foreign tells whether the disk holds data that this product did not write.
func foreign(d order.Disk) bool { return len(d.Content) > 0 && d.Mark == nil }

// checkForeign refuses a root disk with foreign data unless the policy allows
// overwriting it.
func checkForeign(s Spec, d order.Disk) error {
	if !foreign(d) || s.Wipe == WipeAny {
		return nil
	}
	return &fault.Error{Class: fault.NeedsPerson, Attribute: "wipe", Phase: string(PhaseInspect),
		Summary:  "the root disk holds data that this product did not write",
		Seen:     fmt.Sprintf("%s (serial %q): %s", d.Name, d.Serial, strings.Join(d.Content, "; ")),
		Expected: "an empty disk",
		Advice:   `save the data, or set wipe = "any" on this host to let it be destroyed; nothing was written`,
		Evidence: append([]string(nil), d.Content...)}
}

func refOf(d order.Disk) order.DiskRef {
	return order.DiskRef{Name: d.Name, Serial: d.Serial, WWN: d.WWN, SizeBytes: d.SizeBytes}
}
