package bmc

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

const bootOptions = system + "/BootOptions"

// maxURI bounds HttpBootUri: the firmware's variable must hold it.
const maxURI = 2048

func (b *BMC) bootMode() string {
	if b.config.Hardware.Firmware == FirmwareBIOS {
		return "Legacy"
	}
	return "UEFI"
}

// targets are the boot sources that the machine's firmware can do.
func (b *BMC) targets() []string {
	all := []string{string(TargetNone), string(TargetPxe), string(TargetHdd), string(TargetCd)}
	if b.config.Hardware.Firmware != FirmwareBIOS {
		all = append(all, string(TargetUefiHTTP))
	}
	return all
}

func (b *BMC) boot(s state) object {
	boot := object{
		"BootSourceOverrideTarget":                         s.OverrideTarget,
		"BootSourceOverrideTarget@Redfish.AllowableValues": b.targets(),
		"BootSourceOverrideEnabled":                        s.OverrideEnabled,
		"BootSourceOverrideMode":                           b.bootMode(),
		"BootSourceOverrideMode@Redfish.AllowableValues":   []string{b.bootMode()},
		"BootOptions": link(bootOptions),
		"BootOrder":   b.bootReferences(s.BootOrder),
	}
	if b.config.Hardware.Firmware != FirmwareBIOS {
		boot["HttpBootUri"] = s.HTTPBootURI
	}
	return boot
}

// setBoot is the setter of the Boot object.
func (b *BMC) setBoot(value any) (func(*state), []message) {
	body, ok := value.(map[string]any)
	if !ok {
		return nil, []message{typeError("/Boot", value)}
	}
	setters := map[string]setter{
		"BootSourceOverrideTarget": oneOf("/Boot/BootSourceOverrideTarget", b.targets(), func(s *state, v string) {
			s.OverrideTarget = Target(v)
		}),
		"BootSourceOverrideEnabled": oneOf("/Boot/BootSourceOverrideEnabled",
			[]string{overrideDisabled, overrideOnce, overrideContinuous}, func(s *state, v string) { s.OverrideEnabled = v }),
		"BootSourceOverrideMode": oneOf("/Boot/BootSourceOverrideMode", []string{b.bootMode()}, func(*state, string) {}),
		"BootOrder":              b.setBootOrder,
	}
	if b.config.Hardware.Firmware != FirmwareBIOS {
		setters["HttpBootUri"] = setHTTPBootURI
	}
	changes, wrong := check("/Boot", body, b.boot(b.read()), setters)
	if len(wrong) > 0 {
		return nil, wrong
	}
	return func(s *state) {
		for _, change := range changes {
			change(s)
		}
		// An override to nothing is none (ComputerSystem.BootSource "None").
		if s.OverrideTarget == TargetNone {
			s.OverrideEnabled = overrideDisabled
		}
	}, nil
}

func setHTTPBootURI(value any) (func(*state), []message) {
	const property = "/Boot/HttpBootUri"
	uri, ok := value.(string)
	if !ok && value != nil {
		return nil, []message{typeError(property, value)}
	}
	if uri != "" {
		parsed, err := url.Parse(uri)
		if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || len(uri) > maxURI {
			return nil, []message{formatError(property, "(not an http or https URI)")}
		}
	}
	return func(s *state) { s.HTTPBootURI = uri }, nil
}

func (b *BMC) setBootOrder(value any) (func(*state), []message) {
	const property = "/Boot/BootOrder"
	list, ok := value.([]any)
	if !ok {
		return nil, []message{typeError(property, value)}
	}
	known := deviceIDs(b.config.Hardware)
	var order []string
	for _, item := range list {
		i := slices.IndexFunc(known, func(id string) bool { return b.bootReference(id) == item })
		if i < 0 || slices.Contains(order, known[i]) {
			return nil, []message{notInList(property, item)}
		}
		order = append(order, known[i])
	}
	if len(order) != len(known) {
		return nil, []message{notInList(property, fmt.Sprint(list))}
	}
	return func(s *state) { s.BootOrder = order }, nil
}

// bootReference is the Boot#### of a device.
func (b *BMC) bootReference(id string) string {
	return fmt.Sprintf("Boot%04X", slices.Index(deviceIDs(b.config.Hardware), id)+1)
}

func (b *BMC) bootReferences(order []string) []string {
	references := []string{}
	for _, id := range order {
		references = append(references, b.bootReference(id))
	}
	return references
}

func (b *BMC) bootRoutes(r *router) {
	h := b.config.Hardware
	var uris []string
	add := func(id, name string, alias Target) {
		reference := b.bootReference(id)
		uri := bootOptions + "/" + reference
		uris = append(uris, uri)
		r.get(uri, fixed(object{
			"@odata.id": uri, "@odata.type": "#BootOption.v1_0_4.BootOption", "Id": reference, "Name": "Boot Option " + reference,
			"BootOptionReference": reference, "BootOptionEnabled": true, "DisplayName": name, "Alias": alias,
		}))
	}
	for _, disk := range h.Disks {
		add(disk.ID, "Disk "+disk.Serial, TargetHdd)
	}
	for _, nic := range h.NICs {
		add(nic.ID, "Network "+nic.MAC, TargetPxe)
	}
	add(DeviceCD, "Virtual CD", TargetCd)
	r.get(bootOptions, func(*http.Request) (object, *failure) {
		return collection(bootOptions, "BootOptionCollection", "Boot Options", uris...), nil
	})
}
