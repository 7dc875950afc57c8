package installer

import (
	"net/netip"
	"strings"
	"testing"
)

const goodCmdline = "BOOT_IMAGE=/vmlinuz quiet metal.agent=https://10.0.0.1:8443/x/ metal.pin=" +
	"ABababababababababababababababababababababababababababababababab metal.token=t0k3n"

func TestParseCmdline(t *testing.T) {
	c, err := ParseCmdline(goodCmdline + " metal.mac=01-AA-bb-cc-dd-ee-ff metal.address=192.0.2.7/24,192.0.2.1")
	want := Config{AgentURL: "https://10.0.0.1:8443/x", Pin: strings.Repeat("ab", 32), Token: "t0k3n", MAC: "aa:bb:cc:dd:ee:ff",
		Address: netip.MustParsePrefix("192.0.2.7/24"), Gateway: netip.MustParseAddr("192.0.2.1")}
	if err != nil || c != want {
		t.Errorf("got %+v, %v", c, err)
	}
	if c, err := ParseCmdline(goodCmdline + " metal.address=2001:db8::7/64"); err != nil || c.Gateway.IsValid() || c.Address.Bits() != 64 {
		t.Errorf("without a gateway: %+v, %v", c, err)
	}
}

func TestParseCmdlineErrors(t *testing.T) {
	for name, line := range map[string]string{
		"nothing":         "quiet",
		"no token":        strings.Replace(goodCmdline, "metal.token", "x", 1),
		"http":            goodCmdline + " metal.agent=http://10.0.0.1",
		"no host":         goodCmdline + " metal.agent=https://",
		"short pin":       goodCmdline + " metal.pin=ab",
		"bad mac":         goodCmdline + " metal.mac=zz",
		"bad address":     goodCmdline + " metal.address=10.0.0.1",
		"bad gateway":     goodCmdline + " metal.address=10.0.0.1/8,x",
		"mixed addresses": goodCmdline + " metal.address=10.0.0.1/8,2001:db8::1",
	} {
		_, err := ParseCmdline(line)
		if err == nil || strings.Contains(err.Error(), "t0k3n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseCmdline(f *testing.F) {
	f.Add(goodCmdline)
	f.Fuzz(func(t *testing.T, line string) {
		if c, err := ParseCmdline(line); err == nil && (c.AgentURL == "" || len(c.Pin) != 64 || c.Token == "") {
			t.Errorf("%q: %+v", line, c)
		}
	})
}
