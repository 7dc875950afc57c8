package bmc

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func TestSystemOfEachVendor(t *testing.T) {
	for vendor, want := range map[string]System{
		"generic": {ID: "1", Manufacturer: "Contoso", Model: "3500", Serial: "437XR1138R2", UUID: "38947555-7742-3448-3784-823347823834", Power: PowerOff,
			MACs:      []string{"12:44:6a:3b:04:11", "aa:bb:cc:dd:ee:0f"},
			Boot:      Boot{Enabled: "Disabled", Target: "None", Mode: "UEFI", Supports: []string{"None", "Pxe", "Cd", "Hdd", "UefiHttp"}},
			BootOrder: []string{"Boot0001", "Boot0002"},
			Media:     []Medium{{ID: "Floppy1", Types: []string{"Floppy", "USBStick"}}, {ID: "CD1", Types: []string{"CD", "DVD"}}}},
		"idrac": {ID: "System.Embedded.1", Manufacturer: "Dell Inc.", Model: "PowerEdge R650", Serial: "ABC1234",
			UUID: "4c4c4544-0042-4310-8031-c7c04f333732", Power: PowerOff, MACs: []string{"b0:7b:25:00:00:01"},
			Boot:      Boot{Enabled: "Disabled", Target: "None", Mode: "UEFI", Supports: []string{"None", "Pxe", "Floppy", "Cd", "Hdd", "BiosSetup", "Utilities", "UefiTarget", "SDCard", "UefiHttp"}},
			BootOrder: []string{"NIC.PxeDevice.1-1", "Disk.SATAEmbedded.A-1"}, Media: []Medium{{ID: "1", Types: []string{"CD", "DVD", "USBStick"}}}},
		"openbmc": {ID: "system", Power: PowerOff,
			Boot: Boot{Enabled: "Disabled", Target: "None", Mode: "UEFI", Supports: []string{"None", "Pxe", "Hdd", "Cd", "Diags", "BiosSetup", "Usb"}}},
	} {
		t.Run(vendor, func(t *testing.T) {
			f := newFake(t, vendor)
			got, err := f.connect(f.config()).System(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			for i := range got.Media {
				got.Media[i] = Medium{ID: got.Media[i].ID, Types: got.Media[i].Types, Inserted: got.Media[i].Inserted, Image: got.Media[i].Image}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestSystemWithMissingAndOddProperties(t *testing.T) {
	f := newFake(t, "generic")
	f.set(func(s map[string]any) {
		for _, k := range []string{"EthernetInterfaces", "Links", "Boot", "Actions"} {
			delete(s, k)
		}
		s["SerialNumber"], s["Model"], s["Manufacturer"] = 12, []any{"a"}, "Con\x00toso\x1b[31m"
	})
	got, err := f.connect(f.config()).System(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got.ID != "1" || got.Serial != "" || got.Model != "" || got.Manufacturer != "Contoso[31m" || len(got.MACs) != 0 || len(got.Media) != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestSystemTellsTroubleFromAbsence(t *testing.T) {
	for _, request := range []string{
		"GET /redfish/v1/Systems/1/EthernetInterfaces",
		"GET /redfish/v1/Managers/BMC/VirtualMedia",
		"GET /redfish/v1/Managers/BMC/VirtualMedia/CD1",
		"GET /redfish/v1/Systems/1",
	} {
		f := newFake(t, "generic")
		f.on(request, answering(9, 500, "Base.1.8.InternalError", "oops"))
		_, err := f.connect(f.config()).System(context.Background())
		wantFault(t, err, fault.Retryable, "", "InternalError")
		f = newFake(t, "generic")
		f.on(request, answering(9, 404, "Base.1.8.ResourceMissingAtURI", "none"))
		_, err = f.connect(f.config()).System(context.Background())
		if strings.HasSuffix(request, "Systems/1") == (err == nil) {
			t.Errorf("%s missing: %v", request, err)
		}
	}
}

func TestVirtualMedia(t *testing.T) {
	const cd = "/redfish/v1/Managers/BMC/VirtualMedia/CD1"
	const insert, eject = "POST " + cd + "/Actions/VirtualMedia.InsertMedia", "POST " + cd + "/Actions/VirtualMedia.EjectMedia"
	const image = "http://10.0.0.1/canary-media.iso"
	refuseUnless := func(f *fake, request string, status int, ok func(map[string]any) bool) {
		f.on(request, func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			all := f.sent(request)
			if ok(all[len(all)-1]) {
				return false
			}
			refuse(w, status, "Base.1.8.ActionParameterNotSupported", "form")
			return true
		})
	}
	for name, prepare := range map[string]func(*fake){
		"as the schema has it": func(*fake) {},
		"the image only (smc-reject-inserted)": func(f *fake) {
			refuseUnless(f, insert, 400, func(b map[string]any) bool { return len(b) == 1 })
		},
		"the protocol (transfer-protocol-required)": func(f *fake) {
			refuseUnless(f, insert, 400, func(b map[string]any) bool { return b["TransferProtocolType"] == "HTTP" })
		},
		"a login (credentials-required)": func(f *fake) {
			refuseUnless(f, insert, 400, func(b map[string]any) bool { _, ok := b["UserName"]; return ok })
		},
		"an eject going on (insert-5xx-during-eject)": func(f *fake) {
			f.on(insert, answering(2, 503, "Base.1.8.ResourceInUse", "busy"))
		},
		"a body to eject (eject-needs-empty-body)": func(f *fake) {
			refuseUnless(f, eject, 415, func(b map[string]any) bool { return b != nil })
		},
		"no actions (xcc-patch-only)": func(f *fake) { delete(f.tree[cd], "Actions") },
		"no link to the manager (managedby-missing)": func(f *fake) {
			delete(f.system(), "Links")
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, "generic")
			prepare(f)
			c := f.connect(f.config())
			for range 2 { // an empty slot is fine
				if err := c.EjectMedia(context.Background(), "CD1"); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.InsertMedia(context.Background(), "", image); err != nil {
				t.Fatal(err)
			}
			if m := f.tree[cd]; m["Image"] != image || m["Inserted"] != true {
				t.Errorf("slot %v", m)
			}
			if err := c.EjectMedia(context.Background(), ""); err != nil {
				t.Fatal(err)
			}
			if m := f.tree[cd]; m["Inserted"] != false {
				t.Errorf("slot %v", m)
			}
		})
	}
	t.Run("taken without effect", func(t *testing.T) {
		f := newFake(t, "generic")
		f.on(insert, func(w http.ResponseWriter, _ *http.Request, _ int) bool { w.WriteHeader(204); return true })
		fe := wantFault(t, f.connect(f.config()).InsertMedia(context.Background(), "", image), fault.Retryable, "", "no effect")
		if strings.Contains(fe.Detail(), "canary") {
			t.Errorf("the image's path is shown: %s", fe.Detail())
		}
	})
	t.Run("no such slot", func(t *testing.T) {
		f := newFake(t, "generic")
		wantFault(t, f.connect(f.config()).InsertMedia(context.Background(), "CD7", image), fault.NeedsPerson, "", "Floppy1, CD1")
	})
}

func TestLogs(t *testing.T) {
	for vendor, want := range map[string]struct {
		console, events []string
		consoleRequests int
	}{
		"generic": {nil, nil, 1},
		"idrac":   {nil, []string{"2026-11-02T10:00:00-06:00 OK Drive 0 is installed.", "2026-11-03T10:00:00-06:00 Critical Power supply 1 failed."}, 1},
		"ilo":     {nil, []string{"2026-01-01T00:00:00Z OK Server power restored.", "2026-01-02T00:00:00Z Warning Fan 3 degraded."}, 1},
		"openbmc": {[]string{"[ 0.1] line 3", "Kernel panic - not syncing"}, []string{"2026-01-01T00:00:00+00:00 OK first", "2026-01-02T00:00:00+00:00 OK second"}, 4},
	} {
		t.Run(vendor, func(t *testing.T) {
			f := newFake(t, vendor)
			c := f.connect(f.config())
			before, _ := c.Requests()
			for range 2 {
				got, err := c.ConsoleTail(context.Background(), 2)
				for i := range got {
					got[i] = strings.Join(strings.Fields(got[i]), " ")
				}
				if err != nil || !reflect.DeepEqual(got, want.console) {
					t.Errorf("console %q, %v", got, err)
				}
			}
			if after, _ := c.Requests(); int(after-before) != want.consoleRequests {
				t.Errorf("%d requests for the console, want %d", after-before, want.consoleRequests)
			}
			got, err := c.EventTail(context.Background(), 2)
			if err != nil || !reflect.DeepEqual(got, want.events) {
				t.Errorf("events %q, %v", got, err)
			}
		})
	}
}
