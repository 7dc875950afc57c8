package bmc

import (
	"fmt"
	"net/http"
)

const (
	processors       = system + "/Processors"
	memory           = system + "/Memory"
	systemInterfaces = system + "/EthernetInterfaces"
	storageList      = system + "/Storage"
	storage          = storageList + "/1"
)

// componentRoutes are the parts of the machine. They never change.
func (b *BMC) componentRoutes(r *router) {
	h := b.config.Hardware
	cpu := processors + "/CPU1"
	r.get(processors, fixed(collection(processors, "ProcessorCollection", "Processors", cpu)))
	r.get(cpu, fixed(object{
		"@odata.id": cpu, "@odata.type": "#Processor.v1_16_0.Processor", "Id": "CPU1", "Name": "Processor", "Socket": "CPU 1",
		"ProcessorType": "CPU", "ProcessorArchitecture": "x86", "InstructionSet": "x86-64", "Manufacturer": h.Manufacturer,
		"Model": h.CPUModel, "TotalCores": h.CPUs, "TotalThreads": h.CPUs, "Status": healthy(),
	}))
	dimm := memory + "/DIMM1"
	r.get(memory, fixed(collection(memory, "MemoryCollection", "Memory Modules", dimm)))
	r.get(dimm, fixed(object{
		"@odata.id": dimm, "@odata.type": "#Memory.v1_17_0.Memory", "Id": "DIMM1", "Name": "DIMM 1", "MemoryType": "DRAM",
		"MemoryDeviceType": "DDR4", "CapacityMiB": h.MemoryMB, "Manufacturer": h.Manufacturer, "Status": healthy(),
	}))
	b.storageRoutes(r)
	var interfaces []string
	for i, nic := range h.NICs {
		uri := systemInterfaces + "/" + nic.ID
		interfaces = append(interfaces, uri)
		r.get(uri, func(*http.Request) (object, *failure) {
			linked := "LinkDown"
			if b.config.Machine.On() {
				linked = "LinkUp"
			}
			return object{
				"@odata.id": uri, "@odata.type": "#EthernetInterface.v1_9_0.EthernetInterface", "Id": nic.ID,
				"Name": fmt.Sprintf("Ethernet Port %d", i+1), "MACAddress": nic.MAC, "PermanentMACAddress": nic.MAC,
				"SpeedMbps": nic.SpeedMbps, "FullDuplex": true, "InterfaceEnabled": true, "LinkStatus": linked, "Status": healthy(),
			}, nil
		})
	}
	r.get(systemInterfaces, fixed(collection(systemInterfaces, "EthernetInterfaceCollection", "Ethernet Interfaces", interfaces...)))
}

func (b *BMC) storageRoutes(r *router) {
	var drives []string
	for _, disk := range b.config.Hardware.Disks {
		uri := storage + "/Drives/" + disk.ID
		drives = append(drives, uri)
		r.get(uri, fixed(object{
			"@odata.id": uri, "@odata.type": "#Drive.v1_16_0.Drive", "Id": disk.ID, "Name": "Drive " + disk.ID, "Model": disk.Model,
			"SerialNumber": disk.Serial, "Manufacturer": b.config.Hardware.Manufacturer, "CapacityBytes": disk.SizeBytes,
			"BlockSizeBytes": 512, "MediaType": "SSD", "Protocol": "PCIe", "Status": healthy(),
			"Identifiers": []object{{"DurableNameFormat": "UUID", "DurableName": derivedUUID("drive", b.config.Hardware.UUID, disk.ID)}},
		}))
	}
	r.get(storageList, fixed(collection(storageList, "StorageCollection", "Storage", storage)))
	r.get(storage, fixed(object{
		"@odata.id": storage, "@odata.type": "#Storage.v1_14_0.Storage", "Id": "1", "Name": "Storage Subsystem",
		"Drives": links(drives...), "Drives@odata.count": len(drives), "Status": healthy(),
	}))
}
