package member

import "testing"

func TestIDIsThereAndBack(t *testing.T) {
	for _, facility := range []string{"embedded:.metal", "unix:///run/metal/agent.sock", "unix:///odd#name.sock"} {
		got, name, err := ParseID(ID(facility, "node-1"))
		if err != nil || got != facility || name != "node-1" {
			t.Errorf("%q came back as %q, %q, %v", facility, got, name, err)
		}
	}
	for _, id := range []string{"", "#", "node-1", "#node-1", "embedded:.metal#", "embedded:.metal"} {
		if _, _, err := ParseID(id); err == nil {
			t.Errorf("%q was taken for an id", id)
		}
	}
}
