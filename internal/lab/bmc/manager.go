package bmc

import (
	"net"
	"net/http"
	"time"
)

const (
	managers          = root + "/Managers"
	manager           = managers + "/1"
	managerInterfaces = manager + "/EthernetInterfaces"
	managerInterface  = managerInterfaces + "/eth0"
	managerLogs       = manager + "/LogServices"
)

func (b *BMC) managerRoutes(r *router) {
	r.get(managers, fixed(collection(managers, "ManagerCollection", "Managers", manager)))
	r.get(manager, func(*http.Request) (object, *failure) {
		now := b.config.Now().UTC()
		return object{
			"@odata.id": manager, "@odata.type": "#Manager.v1_16_0.Manager", "Id": "1", "Name": "BMC of " + b.config.Hardware.Name,
			"ManagerType": "BMC", "Manufacturer": b.config.Hardware.Manufacturer, "Model": "Virtual BMC", "FirmwareVersion": "1.0.0",
			"UUID": derivedUUID("bmc", b.config.Hardware.UUID), "PowerState": "On", "Status": healthy(),
			"DateTime": now.Format(time.RFC3339), "DateTimeLocalOffset": "+00:00",
			"EthernetInterfaces": link(managerInterfaces), "VirtualMedia": link(virtualMedia), "LogServices": link(managerLogs),
			"Links": object{"ManagerForServers": links(system), "ManagerForChassis": links(chassis), "ManagerInChassis": link(chassis)},
		}, nil
	})
	r.get(managerInterfaces, fixed(collection(managerInterfaces, "EthernetInterfaceCollection", "BMC Ethernet Interfaces", managerInterface)))
	r.get(managerInterface, fixed(b.managerInterface()))
	r.get(managerLogs, fixed(collection(managerLogs, "LogServiceCollection", "BMC Log Services")))
}

func (b *BMC) managerInterface() object {
	shown := object{
		"@odata.id": managerInterface, "@odata.type": "#EthernetInterface.v1_9_0.EthernetInterface", "Id": "eth0", "Name": "BMC Ethernet Interface",
		"SpeedMbps": 1000, "FullDuplex": true, "InterfaceEnabled": true, "LinkStatus": "LinkUp", "Status": healthy(),
	}
	if b.config.MAC != "" {
		shown["MACAddress"], shown["PermanentMACAddress"] = b.config.MAC, b.config.MAC
	}
	if ip := b.config.Address.To4(); ip != nil {
		mask := ip.DefaultMask()
		if ip.IsPrivate() {
			mask = net.CIDRMask(24, 32)
		}
		shown["IPv4Addresses"] = []object{{"Address": ip.String(), "SubnetMask": net.IP(mask).String(), "AddressOrigin": "Static"}}
	}
	return shown
}
