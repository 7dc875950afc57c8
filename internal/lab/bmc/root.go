package bmc

import (
	"net"
	"net/http"
	"strings"
)

const (
	root         = "/redfish/v1"
	metadataPath = root + "/$metadata"
	odataPath    = root + "/odata"
)

// routes is the whole tree of resources.
func (b *BMC) routes() *router {
	r := newRouter()
	b.rootRoutes(r)
	b.sessionRoutes(r)
	b.accountRoutes(r)
	b.chassisRoutes(r)
	b.managerRoutes(r)
	b.mediaRoutes(r)
	b.systemRoutes(r)
	b.resetRoutes(r)
	b.bootRoutes(r)
	b.componentRoutes(r)
	b.logRoutes(r)
	return r
}

func (b *BMC) rootRoutes(r *router) {
	r.get("/redfish", fixed(object{"v1": root + "/"})).openGet = true
	r.get(root, fixed(b.serviceRoot())).openGet = true
	r.get(odataPath, fixed(serviceDocument())).openGet = true
	r.get(metadataPath, fixed(nil)).openGet = true // answered by metadata
}

func (b *BMC) serviceRoot() object {
	return object{
		"@odata.id": root, "@odata.type": "#ServiceRoot.v1_14_0.ServiceRoot", "Id": "RootService", "Name": "Root Service",
		"RedfishVersion": "1.15.1", "UUID": derivedUUID("bmc", b.config.Hardware.UUID), "Vendor": b.config.Hardware.Manufacturer,
		"Product":        "Virtual BMC",
		"Systems":        link(systems),
		"Chassis":        link(chassisCollection),
		"Managers":       link(managers),
		"SessionService": link(sessionService),
		"AccountService": link(accountService),
		"Links":          object{"Sessions": link(sessionsPath)},
		"ProtocolFeaturesSupported": object{
			"ExcerptQuery": false, "FilterQuery": false, "SelectQuery": false, "OnlyMemberQuery": false, "TopSkipQuery": true,
			"ExpandQuery":          object{"ExpandAll": false, "Levels": false, "Links": false, "NoLinks": false},
			"DeepOperations":       object{"DeepPATCH": false, "DeepPOST": false},
			"MultipleHTTPRequests": false,
		},
	}
}

func serviceDocument() object {
	value := []object{{"name": "Service", "kind": "Singleton", "url": root + "/"}}
	for _, entry := range [][2]string{
		{"Systems", systems}, {"Chassis", chassisCollection}, {"Managers", managers},
		{"SessionService", sessionService}, {"AccountService", accountService}, {"Sessions", sessionsPath},
	} {
		value = append(value, object{"name": entry[0], "kind": "Singleton", "url": entry[1]})
	}
	return object{"@odata.context": metadataPath, "value": value}
}

// namespaces are the schemas of all resources, for $metadata.
var namespaces = []string{
	"AccountService.v1_12_0", "Bios.v1_2_0", "BootOption.v1_0_4", "BootOptionCollection", "Chassis.v1_21_0", "ChassisCollection",
	"ComputerSystem.v1_19_0", "ComputerSystemCollection", "Drive.v1_16_0", "EthernetInterface.v1_9_0", "EthernetInterfaceCollection",
	"LogEntry.v1_12_0", "LogEntryCollection", "LogService.v1_3_0", "LogServiceCollection", "Manager.v1_16_0", "ManagerAccount.v1_10_0",
	"ManagerAccountCollection", "ManagerCollection", "ActionInfo.v1_3_0", "Memory.v1_17_0", "MemoryCollection", "Message.v1_1_2",
	"Processor.v1_16_0", "ProcessorCollection", "Role.v1_3_1", "RoleCollection", "ServiceRoot.v1_14_0", "Session.v1_5_0",
	"SessionCollection", "SessionService.v1_1_8", "Storage.v1_14_0", "StorageCollection", "VirtualMedia.v1_5_1", "VirtualMediaCollection",
}

func (b *BMC) metadata(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		b.refuse(w, r, notAllowed("GET, HEAD"))
		return
	}
	var doc strings.Builder
	doc.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">` + "\n")
	for _, namespace := range namespaces {
		name, _, versioned := strings.Cut(namespace, ".")
		doc.WriteString(`<edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/` + name + `_v1.xml"><edmx:Include Namespace="` + name + `"/>`)
		if versioned {
			doc.WriteString(`<edmx:Include Namespace="` + namespace + `"/>`)
		}
		doc.WriteString("</edmx:Reference>\n")
	}
	doc.WriteString(`<edmx:Reference Uri="http://redfish.dmtf.org/schemas/v1/RedfishExtensions_v1.xml">` +
		`<edmx:Include Namespace="RedfishExtensions.v1_0_0" Alias="Redfish"/></edmx:Reference>` + "\n" +
		`<edmx:DataServices><Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">` +
		`<EntityContainer Name="Service" Extends="ServiceRoot.v1_14_0.ServiceContainer"/></Schema></edmx:DataServices></edmx:Edmx>` + "\n")
	w.Header().Set("Content-Type", "application/xml")
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write([]byte(doc.String())); err != nil {
		b.config.Logger.Debug("client went away", "path", r.URL.Path, "error", err)
	}
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
