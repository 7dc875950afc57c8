package agentcmd

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/event"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func at(seconds int, name string, phase host.Phase, message string) event.Event {
	return event.Event{Time: start.Add(time.Duration(seconds) * time.Second), Kind: "host", Name: name, Phase: string(phase), Message: message}
}

func written(e event.Event, done, total int64, elapsed time.Duration) event.Event {
	e.Done, e.Total, e.Elapsed = done, total, elapsed
	return e
}

func TestLogIsOneLinePerChange(t *testing.T) {
	events := []event.Event{
		at(0, "n1", host.PhaseConnect, "reaching the BMC"),
		at(1, "n1", host.PhaseConnect, "still reaching"),
		at(2, "n2", host.PhaseConnect, "reaching the BMC"),
		at(3, "n1", host.PhaseImage, "writing"),
	}
	for s := 4; s <= 14; s++ {
		events = append(events, written(at(s, "n1", host.PhaseImage, ""), int64(s-3)*300_000_000, 3_300_000_000, time.Duration(s-3)*time.Second))
	}
	events = append(events, at(15, "n1", "failed", "no \x1b[31mlink\n"), event.Event{Time: start, Kind: "cluster", Name: "c", Phase: "ready"})
	var out bytes.Buffer
	b := newBoard()
	for _, e := range events {
		if err := logEvent(b, e, &out); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Join([]string{
		`03:04:05 n1                   connect                                               0s  reaching the BMC`,
		`03:04:07 n2                   connect                                               0s  reaching the BMC`,
		`03:04:08 n1                   image                                                 0s  writing`,
		`03:04:13 n1                   image        1500 MB of 3300 MB  45% 300 MB/s         5s  writing`,
		`03:04:18 n1                   image        3000 MB of 3300 MB  90% 300 MB/s        10s  writing`,
		`03:04:20 n1                   failed                                                0s  no ?[31mlink`,
		`03:04:05 cluster/c            ready                                                 0s`,
	}, "\n") + "\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestTimePassesInAPhaseOnly(t *testing.T) {
	for _, c := range []struct {
		kind, phase, want string
	}{{"host", "image", "12s"}, {"host", "ready", "12s"}, {"host", "failed", "2s"}, {"host", "", "2s"}, {"cluster", "joining", "12s"}, {"cluster", "ready", "2s"}} {
		l, _ := newBoard().take(event.Event{Time: start, Kind: c.kind, Name: "n", Phase: c.phase, Elapsed: 2 * time.Second})
		if got := l.at(start.Add(10 * time.Second)); !strings.HasSuffix(got, " "+c.want) {
			t.Errorf("%s in phase %q: %q, want %s", c.kind, c.phase, got, c.want)
		}
	}
}

func TestProgressText(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		elapsed     time.Duration
		want        string
	}{
		{0, 0, time.Minute, ""},
		{1_000_000, 0, 0, "1 MB"},
		{0, 5_000_000, 0, "0 MB of 5 MB   0%"},
		{6_000_000, 5_000_000, 2 * time.Second, "6 MB of 5 MB 100% 3 MB/s"},
		{12_000_000_000, 48_000_000_000, 10 * time.Second, "12.0 GB of 48.0 GB  25% 1200 MB/s"},
		{1 << 62, 1 << 62, time.Second, "4611686018.4 GB of 4611686018.4 GB 100% 4611686018427 MB/s"},
	} {
		if got := (&line{done: c.done, total: c.total, elapsed: c.elapsed}).bytes(); got != c.want {
			t.Errorf("%d of %d: %q, want %q", c.done, c.total, got, c.want)
		}
	}
}

func TestScreenRedrawsInPlace(t *testing.T) {
	var out bytes.Buffer
	height := 24
	s := &screen{out: &out, size: func() (int, int) { return 40, height }}
	b := newBoard()
	for i := range 5 {
		b.take(at(i, fmt.Sprintf("n%d", i), host.PhaseImage, "a message that does not fit into forty columns"))
	}
	now := start.Add(10 * time.Second)
	draw := func() string {
		out.Reset()
		if err := s.draw(b, now); err != nil {
			t.Fatal(err)
		}
		for _, l := range strings.Split(out.String(), "\n") {
			if text := strings.TrimPrefix(l, "\x1b[5F\x1b[J"); len([]rune(text)) > 39 && !strings.HasPrefix(text, "\x1b") {
				t.Errorf("line %q wraps", text)
			}
		}
		return out.String()
	}
	if first := draw(); strings.Contains(first, "\x1b") || strings.Count(first, "\n") != 5 {
		t.Errorf("first drawing %q", first)
	}
	if second := draw(); !strings.HasPrefix(second, "\x1b[5F\x1b[J") || strings.Count(second, "\n") != 5 {
		t.Errorf("second drawing %q", second)
	}
	// With less room the objects that changed last are shown.
	height = 4
	small := draw()
	if strings.Count(small, "\n") != 3 || !strings.Contains(small, "n3 ") || !strings.Contains(small, "n4 ") || !strings.Contains(small, "... and 3 more") {
		t.Errorf("small drawing %q", small)
	}
	if next := draw(); !strings.HasPrefix(next, "\x1b[3F\x1b[J") {
		t.Errorf("after the small drawing %q", next)
	}
}

func TestPhaseTable(t *testing.T) {
	hosts := []host.Status{
		{Name: "node-2", Timings: []host.Timing{{Phase: host.PhaseImage, Seconds: 10, Bytes: 4_000_000_000, Written: 1_500_000_000, Baseline: 512e6}, {Phase: host.PhaseConnect, Seconds: 0.25}}},
		{Name: "node-1", Timings: []host.Timing{{Phase: host.PhaseConnect, Seconds: 1.5}, {Phase: host.PhaseWipe, Seconds: 3}}},
		{Name: "node-3"},
	}
	var out bytes.Buffer
	if err := table(&out, hosts); err != nil {
		t.Fatal(err)
	}
	want := `    host  connect  image  wipe  image MB   MB/s  written MB   MB/s  dd MB/s
  node-1      1.5      -   3.0         -      -           -      -        -
  node-2      0.2   10.0     -      4000  400.0        1500  150.0    512.0
  node-3        -      -     -         -      -           -      -        -
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	out.Reset()
	if err := table(&out, nil); err != nil || out.String() != "  host\n" {
		t.Errorf("no hosts: %q, %v", out.String(), err)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("n1", "image", "message\r\n\x1b[2J", int64(5), int64(-1), int64(-5))
	f.Fuzz(func(t *testing.T, name, phase, message string, done, total, elapsed int64) {
		l, _ := newBoard().take(event.Event{Time: start, Kind: "host", Name: name, Phase: phase, Message: message, Done: done, Total: total, Elapsed: time.Duration(elapsed)})
		if text := l.at(start.Add(time.Hour)); strings.ContainsAny(text, "\r\n\x1b\x07\u009b") {
			t.Errorf("line %q steers the terminal", text)
		}
	})
}
