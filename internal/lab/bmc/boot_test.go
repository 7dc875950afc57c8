package bmc

import (
	"slices"
	"testing"
)

func TestOverrideSemantics(t *testing.T) {
	const uri = "http://172.30.0.1/installer.efi"
	for _, test := range []struct {
		name, patch   string
		first, second Boot
		enabledAfter  string
		targetAfter   string
	}{
		{"none", `{}`, Boot{Target: TargetNone}, Boot{Target: TargetNone}, "Disabled", "None"},
		{"once", `{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once"}`,
			Boot{Target: TargetPxe}, Boot{Target: TargetNone}, "Disabled", "None"},
		{"continuous", `{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Continuous"}`,
			Boot{Target: TargetPxe}, Boot{Target: TargetPxe}, "Continuous", "Pxe"},
		{"disabled", `{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Disabled"}`,
			Boot{Target: TargetNone}, Boot{Target: TargetNone}, "Disabled", "Pxe"},
		{"target without enabled", `{"BootSourceOverrideTarget":"Pxe"}`,
			Boot{Target: TargetNone}, Boot{Target: TargetNone}, "Disabled", "Pxe"},
		{"nothing once", `{"BootSourceOverrideTarget":"None","BootSourceOverrideEnabled":"Once"}`,
			Boot{Target: TargetNone}, Boot{Target: TargetNone}, "Disabled", "None"},
		{"URI once", `{"BootSourceOverrideTarget":"UefiHttp","BootSourceOverrideEnabled":"Once","HttpBootUri":"` + uri + `"}`,
			Boot{Target: TargetUefiHTTP, URI: uri}, Boot{Target: TargetNone}, "Disabled", "None"},
		{"URI without its target", `{"BootSourceOverrideTarget":"Hdd","BootSourceOverrideEnabled":"Once","HttpBootUri":"` + uri + `"}`,
			Boot{Target: TargetHdd}, Boot{Target: TargetNone}, "Disabled", "None"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			b.do("PATCH", system, `{"Boot":`+test.patch+`}`).want(200)
			b.reset("On").want(204)
			check := func(which string, want Boot) {
				got := b.machine.lastBoot(t)
				if got.Target != want.Target || got.URI != want.URI {
					t.Errorf("%s boot from %s %q, want %s %q", which, got.Target, got.URI, want.Target, want.URI)
				}
			}
			check("first", test.first)
			b.reset("ForceRestart").want(204)
			check("second", test.second)
			boot := b.boot()
			if boot["BootSourceOverrideEnabled"] != test.enabledAfter || boot["BootSourceOverrideTarget"] != test.targetAfter {
				t.Errorf("afterwards %v %v, want %s %s", boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"], test.enabledAfter, test.targetAfter)
			}
		})
	}
}

func TestBootRefusals(t *testing.T) {
	for _, test := range []struct{ name, patch, message string }{
		{"unknown target", `{"Boot":{"BootSourceOverrideTarget":"Floppy"}}`, "PropertyValueNotInList"},
		{"target of wrong type", `{"Boot":{"BootSourceOverrideTarget":1}}`, "PropertyValueTypeError"},
		{"unknown enabled", `{"Boot":{"BootSourceOverrideEnabled":"Twice"}}`, "PropertyValueNotInList"},
		{"mode that the machine has not", `{"Boot":{"BootSourceOverrideMode":"Legacy"}}`, "PropertyValueNotInList"},
		{"file URI", `{"Boot":{"HttpBootUri":"file:///etc/passwd"}}`, "PropertyValueFormatError"},
		{"URI without host", `{"Boot":{"HttpBootUri":"http:///x"}}`, "PropertyValueFormatError"},
		{"URI of wrong type", `{"Boot":{"HttpBootUri":7}}`, "PropertyValueTypeError"},
		{"unknown property of boot", `{"Boot":{"Nonsense":1}}`, "PropertyUnknown"},
		{"read-only property of boot", `{"Boot":{"BootOptions":{}}}`, "PropertyNotWritable"},
		{"boot of wrong type", `{"Boot":"Pxe"}`, "PropertyValueTypeError"},
		{"unknown boot option", `{"Boot":{"BootOrder":["Boot0001","Boot0002","Boot0003","Boot00FF"]}}`, "PropertyValueNotInList"},
		{"boot option twice", `{"Boot":{"BootOrder":["Boot0001","Boot0001","Boot0002","Boot0003"]}}`, "PropertyValueNotInList"},
		{"boot order too short", `{"Boot":{"BootOrder":["Boot0001"]}}`, "PropertyValueNotInList"},
		{"unknown property", `{"Nonsense":1}`, "PropertyUnknown"},
		{"read-only property", `{"SerialNumber":"X"}`, "PropertyNotWritable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t)
			before := b.do("GET", system, "").header.Get("ETag")
			b.do("PATCH", system, test.patch).want(400).wantMessage(test.message)
			if b.do("GET", system, "").header.Get("ETag") != before {
				t.Error("a refused PATCH changed the resource")
			}
		})
	}
}

func TestPatchIsWholeOrNothing(t *testing.T) {
	b := newBench(t)
	b.do("PATCH", system, `{"AssetTag":"x","Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Twice"}}`).want(400)
	if got := b.get(system)["AssetTag"]; got != "" {
		t.Errorf("asset tag %q was set", got)
	}
	r := b.do("PATCH", system, `{"AssetTag":1,"Nonsense":2}`).want(400)
	infos := r.json()["error"].(map[string]any)["@Message.ExtendedInfo"].([]any)
	if len(infos) != 2 {
		t.Errorf("%d messages, want one for each mistake", len(infos))
	}
}

func TestBootOrder(t *testing.T) {
	b := newBench(t)
	b.do("PATCH", system, `{"Boot":{"BootOrder":["Boot0003","Boot0001","Boot0004","Boot0002"]}}`).want(200)
	b.reset("On").want(204)
	if got, want := b.machine.lastBoot(t).Order, []string{"nic-2", "disk-1", DeviceCD, "nic-1"}; !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
	options := b.get(bootOptions)
	if options["Members@odata.count"] != float64(4) {
		t.Errorf("%v boot options", options["Members@odata.count"])
	}
}

func TestBIOSHasNoHTTPBoot(t *testing.T) {
	b := newBench(t)
	h := testHardware()
	h.Firmware = FirmwareBIOS
	b.open(h)
	if _, there := b.boot()["HttpBootUri"]; there {
		t.Error("a BIOS shows HttpBootUri")
	}
	b.do("PATCH", system, `{"Boot":{"BootSourceOverrideTarget":"UefiHttp"}}`).want(400).wantMessage("PropertyValueNotInList")
	b.do("PATCH", system, `{"Boot":{"HttpBootUri":"http://a/b"}}`).want(400).wantMessage("PropertyUnknown")
	b.do("PATCH", system, `{"Boot":{"BootSourceOverrideMode":"Legacy","BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once"}}`).want(200)
}

func TestSettingsOutliveTheBMC(t *testing.T) {
	b := newBench(t)
	b.do("PATCH", system, `{"AssetTag":"keep","Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Continuous","BootOrder":["Boot0002","Boot0001","Boot0003","Boot0004"]}}`).want(200)
	certificate := string(b.bmc.Certificate())
	before := b.get(system)
	if err := b.bmc.Close(); err != nil {
		t.Fatal(err)
	}
	b.open(testHardware())
	after := b.get(system)
	if before["@odata.etag"] != after["@odata.etag"] {
		t.Errorf("before %v\nafter %v", before, after)
	}
	if certificate != string(b.bmc.Certificate()) {
		t.Error("the certificate changed")
	}
}
