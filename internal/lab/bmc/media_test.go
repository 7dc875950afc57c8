package bmc

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
)

func TestVirtualMedia(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/boot.iso" {
			http.NotFound(w, r)
			return
		}
		if _, err := w.Write([]byte("iso content")); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	b := newBench(t)
	insert := func(image string) reply {
		return b.do("POST", insertPath, `{"Image":"`+image+`","Inserted":true,"WriteProtected":true}`)
	}
	b.do("POST", ejectPath, "").want(204) // an empty drive

	insert(server.URL + "/boot.iso").want(204)
	cd := b.get(cdPath)
	if cd["Inserted"] != true || cd["Image"] != server.URL+"/boot.iso" || cd["ConnectedVia"] != "URI" || cd["ImageName"] != "boot.iso" || cd["TransferProtocolType"] != "HTTPS" {
		t.Errorf("drive %v", cd)
	}
	insert(server.URL + "/boot.iso").want(409).wantMessage("ResourceInUse")

	b.do("PATCH", system, `{"Boot":{"BootSourceOverrideTarget":"Cd","BootSourceOverrideEnabled":"Once"}}`).want(200)
	b.reset("On").want(204)
	boot := b.machine.lastBoot(t)
	content, err := os.ReadFile(boot.Media)
	if err != nil || string(content) != "iso content" || boot.Target != TargetCd {
		t.Errorf("boot %+v, content %q, error %v", boot, content, err)
	}

	b.do("POST", ejectPath, "{}").want(204)
	if cd := b.get(cdPath); cd["Inserted"] != false || cd["Image"] != nil || cd["ConnectedVia"] != "NotConnected" {
		t.Errorf("drive after eject %v", cd)
	}
	if _, err := os.Stat(boot.Media); !os.IsNotExist(err) {
		t.Errorf("the ejected image is still there: %v", err)
	}
}

func TestVirtualMediaRefusals(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	b := newBench(t)
	b.do("POST", insertPath, `{}`).want(400).wantMessage("ActionParameterMissing")
	b.do("POST", insertPath, `{"Image":"x","Nonsense":1}`).want(400).wantMessage("ActionParameterUnknown")
	for _, image := range []string{"file:///etc/passwd", "ftp://a/b", "http://", "not a URI\\u0007"} {
		b.do("POST", insertPath, `{"Image":"`+image+`"}`).want(400).wantMessage("ActionParameterValueNotInList")
	}
	b.do("POST", insertPath, `{"Image":"`+server.URL+`/none.iso"}`).want(400)
	if b.get(cdPath)["Inserted"] != false {
		t.Error("media was inserted")
	}
	left, err := os.ReadDir(b.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if entry.Name() != certificateFile && entry.Name() != stateFile {
			t.Errorf("%q was left behind", entry.Name())
		}
	}
}
