package machine

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestConsole(t *testing.T) {
	c := &console{path: filepath.Join(t.TempDir(), "console.log")}
	if text, err := c.tail(); err != nil || len(text) != 0 {
		t.Fatalf("tail of nothing: %q, %v", text, err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, step := range []struct{ why, says string }{{startPowerOn, "first"}, {startPowerOn, "second"}, {startReset, "third"}} {
		if err := c.mark(step.why, now); err != nil {
			t.Fatal(err)
		}
		if err := c.pump(strings.NewReader(step.says)); err != nil {
			t.Fatal(err)
		}
	}
	tail, err := c.tail()
	if err != nil {
		t.Fatal(err)
	}
	if got := string(tail); strings.Contains(got, "first") || !strings.Contains(got, "--- power on at 2026-01-02T03:04:05Z ---\nsecond") || !strings.HasSuffix(got, "third") {
		t.Errorf("tail %q", got)
	}
	whole, err := os.ReadFile(c.path)
	if err != nil || !strings.Contains(string(whole), "first") {
		t.Errorf("the log lost the first power-on: %q, %v", whole, err)
	}
}

func TestConsoleIsBounded(t *testing.T) {
	c := &console{path: filepath.Join(t.TempDir(), "console.log")}
	if err := c.mark(startPowerOn, time.Now()); err != nil {
		t.Fatal(err)
	}
	c.left = 100
	reader, writer := io.Pipe()
	written := make(chan error, 1)
	go func() {
		var err error
		for range 20 {
			if _, err = io.WriteString(writer, "0123456789"); err != nil {
				break
			}
		}
		writer.Close()
		written <- err
	}()
	if err := c.pump(reader); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Errorf("the guest was stopped: %v", err)
	}
	text, err := c.tail()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "0123456789"); n != 10 || !strings.Contains(string(text), "limit of one start reached") {
		t.Errorf("%d lines are logged: %q", n, text)
	}
}

func TestConsoleRotates(t *testing.T) {
	c := &console{path: filepath.Join(t.TempDir(), "console.log")}
	if err := os.WriteFile(c.path, make([]byte, consoleRotate+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.mark(startReset, time.Now()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.path)
	if err != nil || info.Size() > 100 {
		t.Errorf("size %d, error %v", info.Size(), err)
	}
	if _, err := os.Stat(c.path + ".1"); err != nil {
		t.Error(err)
	}
}
