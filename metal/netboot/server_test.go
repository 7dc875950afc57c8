package netboot

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

func asFault(err error) *fault.Error {
	var f *fault.Error
	errors.As(err, &f)
	return f
}

var loopback = Network{Name: "loop", Agent: netip.MustParseAddr("127.0.0.1"), Prefix: netip.MustParsePrefix("127.0.0.0/8")}

func TestStartRefuses(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	dir := installerDir(t, 1000)
	sparse := installerDir(t, 1000)
	if err := os.Remove(filepath.Join(sparse, FileKernel)); err != nil {
		t.Fatal(err)
	}
	with := func(change func(*Network)) Network {
		n := loopback
		change(&n)
		return n
	}
	cases := map[string]struct {
		config    Config
		attribute string
		words     []string
	}{
		"port in use": {Config{Networks: []Network{loopback}, HTTPPort: port, InstallerDir: dir}, "services.http_port",
			[]string{"127.0.0.1", strconv.Itoa(port), "in use", "process " + strconv.Itoa(os.Getpid())}},
		"no network":           {Config{InstallerDir: dir}, "networks", nil},
		"file missing":         {Config{Networks: []Network{loopback}, InstallerDir: sparse}, "services.installer", []string{FileKernel}},
		"no folder":            {Config{Networks: []Network{loopback}, InstallerDir: "/nonexistent"}, "services.installer", []string{"/nonexistent"}},
		"address outside":      {Config{Networks: []Network{with(func(n *Network) { n.Agent = netip.MustParseAddr("192.0.2.1") })}, InstallerDir: dir}, "networks[0].agent_address", []string{"192.0.2.1", "127.0.0.0/8"}},
		"address on nothing":   {Config{Networks: []Network{with(func(n *Network) { n.Agent = netip.MustParseAddr("127.0.0.77") })}, InstallerDir: dir}, "networks[0].agent_address", []string{"127.0.0.77", "127.0.0.1/8 on lo"}},
		"no such interface":    {Config{Networks: []Network{with(func(n *Network) { n.Interface = "eth99" })}, InstallerDir: dir}, "networks[0].agent_address", []string{"eth99"}},
		"two of one name":      {Config{Networks: []Network{loopback, loopback}, InstallerDir: dir}, "networks[1].name", []string{"networks[0]"}},
		"overlapping networks": {Config{Networks: []Network{loopback, with(func(n *Network) { n.Name = "two" })}, InstallerDir: dir}, "networks[1].cidr", []string{"overlap"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := Start(t.Context(), c.config, newDirectory())
			if err == nil {
				t.Fatal(errors.Join(errors.New("it starts"), s.Close()))
			}
			f := asFault(err)
			if f == nil {
				t.Fatalf("%v is no fault", err)
			}
			if f.Attribute != c.attribute || f.Class != fault.NeedsPerson {
				t.Errorf("attribute %q, class %q, want attribute %q", f.Attribute, f.Class, c.attribute)
			}
			for _, w := range c.words {
				if text := f.Error() + "\n" + f.Detail(); !strings.Contains(text, w) {
					t.Errorf("%q is not in:\n%s", w, text)
				}
			}
		})
	}
}

func TestStartWithoutDHCP(t *testing.T) {
	s, err := Start(t.Context(), Config{Networks: []Network{loopback}, InstallerDir: installerDir(t, 1000)}, newDirectory(host(1)))
	if err != nil {
		t.Fatal(err)
	}
	url := s.BootURL("loop", host(1).Boot.Token)
	if !strings.HasPrefix(url, s.BaseURL("loop")+"/boot/token-of-1-") || !strings.HasSuffix(url, "/installer.efi") || s.BootURL("other", "x") != "" || s.BaseURL("other") != "" {
		t.Errorf("URL %q", url)
	}
	if got := fetch(t, url); !strings.Contains(string(got), host(1).Boot.Cmdline) {
		t.Errorf("%d bytes without the command line", len(got))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	host, err := netip.ParseAddrPort(strings.TrimPrefix(s.BaseURL("loop"), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := net.Listen("tcp4", host.String())
	if err != nil {
		t.Fatalf("the port is not free after Close: %v", err)
	}
	again.Close()
}
