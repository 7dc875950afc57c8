package bmc

import (
	"maps"
	"strings"
)

func shapeQuirks() map[string]quirk {
	return map[string]quirk{
		"empty-mac": {
			seen: "sushy release note skip-empty-mac-address",
			show: func(_ *BMC, path string, shown object) {
				if strings.HasPrefix(path, systemInterfaces+"/") && strings.HasSuffix(path, "-2") {
					shown["MACAddress"], shown["PermanentMACAddress"] = "", ""
				}
			},
		},
		"missing-ethernetinterfaces": {
			seen: "Cisco; ironic release note handle-missing-ethernetinterfaces-attr",
			show: dropping(system, "EthernetInterfaces"),
		},
		"managedby-missing": {
			seen: "Huawei 1288H; sushy release note retry-on-missing-managedby",
			show: func(_ *BMC, path string, shown object) {
				if links, ok := shown["Links"].(map[string]any); ok && path == system {
					delete(links, "ManagedBy")
				}
			},
		},
		"allowable-values-missing": {
			seen: "Dell iDRAC10; dell/iDRAC-Redfish-Scripting#324",
			show: func(_ *BMC, path string, shown object) {
				if path == system {
					dropAllowable(shown)
				}
			},
		},
		"sku-is-service-tag": {
			seen: "Dell iDRAC; ironic release note idrac-redfish-sku",
			show: func(b *BMC, path string, shown object) {
				if path == system {
					shown["SKU"], shown["SerialNumber"] = b.config.Hardware.Serial, "CN"+b.config.Hardware.Serial+"BOARD"
				}
			},
		},
		"null-capacity": {
			seen: "sushy release note fix-simple-storage",
			show: func(_ *BMC, path string, shown object) {
				if strings.HasPrefix(path, storage+"/Drives/") {
					shown["CapacityBytes"] = nil
				}
			},
		},
	}
}

func dropping(at string, names ...string) func(*BMC, string, object) {
	return func(_ *BMC, path string, shown object) {
		if path == at {
			maps.DeleteFunc(shown, func(name string, _ any) bool {
				for _, dropped := range names {
					if name == dropped {
						return true
					}
				}
				return false
			})
		}
	}
}

// dropAllowable removes the annotations that list values, at any depth.
func dropAllowable(value any) {
	if o, ok := value.(map[string]any); ok {
		maps.DeleteFunc(o, func(name string, _ any) bool {
			return strings.HasSuffix(name, "@Redfish.AllowableValues") || name == "@Redfish.ActionInfo"
		})
		for _, member := range o {
			dropAllowable(member)
		}
	}
}
