package bmc

import (
	"net/http"
	"time"
)

const (
	systems = root + "/Systems"
	system  = systems + "/1"
)

func (b *BMC) systemRoutes(r *router) {
	r.get(systems, fixed(collection(systems, "ComputerSystemCollection", "Computer Systems", system)))
	resource := r.get(system, func(*http.Request) (object, *failure) { return b.system(), nil })
	r.patch(system, func(q *http.Request, body object) (*answer, *failure) {
		return b.apply(resource, q, body, map[string]setter{
			"AssetTag": text("/AssetTag", 256, func(s *state, v string) { s.AssetTag = v }),
			"PowerRestorePolicy": oneOf("/PowerRestorePolicy", []string{restoreAlwaysOn, restoreAlwaysOff, restoreLastState},
				func(s *state, v string) { s.PowerRestorePolicy = v }),
			"LocationIndicatorActive": truth("/LocationIndicatorActive", func(s *state, v bool) { s.LocationIndicator = v }),
			"Boot":                    b.setBoot,
		})
	})
	r.get(system+"/Bios", func(*http.Request) (object, *failure) {
		return object{
			"@odata.id": system + "/Bios", "@odata.type": "#Bios.v1_2_0.Bios", "Id": "Bios", "Name": "BIOS Settings",
			"AttributeRegistry": "", "Attributes": object{"BootMode": b.bootMode()},
		}, nil
	})
}

func (b *BMC) system() object {
	h, s := b.config.Hardware, b.read()
	power := "Off"
	if b.config.Machine.On() {
		power = "On"
	}
	return object{
		"@odata.id": system, "@odata.type": "#ComputerSystem.v1_19_0.ComputerSystem", "Id": "1", "Name": h.Name,
		"SystemType": "Physical", "HostName": "", "Manufacturer": h.Manufacturer, "Model": h.Model, "SerialNumber": h.Serial,
		"SKU": "", "PartNumber": "", "UUID": h.UUID, "BiosVersion": h.BIOSVersion, "AssetTag": s.AssetTag,
		"PowerState": power, "PowerRestorePolicy": s.PowerRestorePolicy, "LocationIndicatorActive": s.LocationIndicator,
		"LastResetTime": s.LastReset.UTC().Format(time.RFC3339),
		"Status":        healthy(),
		"Boot":          b.boot(s),
		"ProcessorSummary": object{"Count": 1, "CoreCount": h.CPUs, "LogicalProcessorCount": h.CPUs, "Model": h.CPUModel,
			"Status": healthy()},
		"MemorySummary":      object{"TotalSystemMemoryGiB": float64(h.MemoryMB) / 1024, "Status": healthy()},
		"Bios":               link(system + "/Bios"),
		"Processors":         link(system + "/Processors"),
		"Memory":             link(system + "/Memory"),
		"EthernetInterfaces": link(system + "/EthernetInterfaces"),
		"Storage":            link(system + "/Storage"),
		"LogServices":        link(logServices),
		"SerialConsole":      object{"MaxConcurrentSessions": 1, "Telnet": object{"ServiceEnabled": false}},
		"Links":              object{"Chassis": links(chassis), "ManagedBy": links(manager)},
		"Actions": object{"#ComputerSystem.Reset": object{
			"target": resetPath, "@Redfish.ActionInfo": resetInfoPath,
			"ResetType@Redfish.AllowableValues": resetTypes,
		}},
	}
}
