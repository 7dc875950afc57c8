package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func moduleTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestModulesAreLoadedWithTheirNeeds(t *testing.T) {
	m, err := readModules(moduleTree(t, map[string]string{
		"modules.dep":    "virtio:\nvirtio_ring:\nvirtio_net: virtio_ring virtio net_failover\nnet_failover:\nxfs: libcrc32c broken\nlibcrc32c:\nbroken:\n",
		"modules.alias":  "virtio:d00000001v* virtio_net\nfs-xfs xfs\npci:v00001AF4d*sv*sd*bc02* virtio_net\nacpi*:PNP0[AB]03:* left_out\n",
		"modules.always": "xfs\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	var loaded []string
	m.load = func(file string) error {
		loaded = append(loaded, strings.TrimSuffix(filepath.Base(file), ".ko"))
		if strings.Contains(file, "broken") {
			return errors.New("no such instruction")
		}
		return nil
	}
	if n, err := m.forAlias("virtio:d00000001v00001AF4"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := m.forAlias("pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00"); n != 0 || err != nil {
		t.Errorf("loaded again: %d, %v", n, err)
	}
	if n, err := m.forAlias("acpi:PNP0A03:"); n != 0 || err != nil {
		t.Errorf("a module that is not here: %d, %v", n, err)
	}
	if n, err := m.forAlias("fs-xfs"); n != 1 || err != nil {
		t.Errorf("a need that fails must do no harm: %d, %v", n, err)
	}
	want := []string{"virtio_ring", "virtio", "net_failover", "virtio_net", "libcrc32c", "broken", "xfs"}
	if !slices.Equal(loaded, want) || !slices.Equal(m.always, []string{"xfs"}) {
		t.Errorf("loaded %v, always %v", loaded, m.always)
	}
}

func TestModuleFailureTellsOfItsNeeds(t *testing.T) {
	m, err := readModules(moduleTree(t, map[string]string{"modules.dep": "a: b\nb:\n", "modules.alias": ""}))
	if err != nil {
		t.Fatal(err)
	}
	m.load = func(string) error { return errors.New("refused") }
	if _, err := m.insert("a"); err == nil || !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("%v", err)
	}
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"a*", "abc", true}, {"a*c", "abcbc", true}, {"a?c", "abc", true}, {"a?c", "ac", false}, {"[a-c]x", "bx", true},
		{"[a-c]x", "dx", false}, {"[xyz]", "y", true}, {"[", "[", false}, {"", "", true}, {"", "a", false}, {"a", "", false}, {"pci:v*d*", "pci:v1d2sv3", true},
	} {
		if got := match(test.pattern, test.name); got != test.want {
			t.Errorf("%q %q: %v", test.pattern, test.name, got)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*[b-d]?", "abcd")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 64 || len(name) > 64 || strings.Count(pattern, "*") > 5 {
			return // real aliases have about eight stars and no repetition
		}
		if !strings.ContainsAny(pattern, "*?[") && match(pattern, name) != (pattern == name) {
			t.Errorf("%q %q", pattern, name)
		}
	})
}

func TestRingHidesTheToken(t *testing.T) {
	r := newRing("s3cret")
	r.add(r.clean("Kernel command line: quiet metal.token=s3cret"))
	if got := r.take(); len(got) != 1 || strings.Contains(got[0], "s3cret") {
		t.Errorf("%q", got)
	}
	for range ringLines + 50 {
		r.add("x")
	}
	if got := r.take(); len(got) != ringLines {
		t.Errorf("%d lines kept", len(got))
	}
	if got := r.take(); len(got) != 0 {
		t.Errorf("lines given twice: %q", got)
	}
}

func TestKernelLine(t *testing.T) {
	for record, want := range map[string]string{
		"4,801,5140900,-;I/O error": "kernel: I/O error", "30,1,2,-;chatter": "", " SUBSYSTEM=x": "", "": "", "3": "", "12,1,2,-;user warning": "kernel: user warning",
	} {
		if got, ok := kernelLine(record); ok && got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", record, got, ok)
		}
	}
}
