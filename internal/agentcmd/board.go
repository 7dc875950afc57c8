package agentcmd

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/event"
)

// board holds the latest of each object, as events tell it.
type board struct {
	lines map[string]*line
}

// line is one object's.
type line struct {
	kind    string
	name    string
	phase   string
	message string
	began   time.Time // of the phase
	last    time.Time // of the last event
	done    int64
	total   int64
	elapsed time.Duration // in the phase, at the last event
	printed time.Time     // of the last event that was printed
}

func newBoard() *board { return &board{lines: map[string]*line{}} }

// take applies an event and tells whether the phase changed with it.
func (b *board) take(e event.Event) (*line, bool) {
	name := clean(e.Name)
	if e.Kind != "host" {
		name = clean(e.Kind) + "/" + name
	}
	l := b.lines[name]
	entered := l == nil || l.phase != clean(e.Phase)
	if entered {
		printed := time.Time{}
		if l != nil {
			printed = l.printed
		}
		l = &line{kind: e.Kind, name: name, phase: clean(e.Phase), began: e.Time.Add(-e.Elapsed), printed: printed}
		b.lines[name] = l
	}
	l.last = e.Time
	l.elapsed = max(e.Elapsed, e.Time.Sub(l.began))
	if e.Message != "" {
		l.message = clean(e.Message)
	}
	if e.Done > 0 || e.Total > 0 {
		l.done, l.total = e.Done, e.Total
	}
	return l, entered
}

// due says whether a line that did not change its phase is printed again:
// progress at most once per interval and object. The event's own time decides,
// so that old events read like new ones.
func (l *line) due(interval time.Duration) bool { return l.last.Sub(l.printed) >= interval }

// sorted gives the lines by name.
func (b *board) sorted() []*line {
	lines := make([]*line, 0, len(b.lines))
	for _, l := range b.lines {
		lines = append(lines, l)
	}
	slices.SortFunc(lines, func(a, b *line) int { return cmp.Compare(a.name, b.name) })
	return lines
}

// String is the line with the time that the last event had.
func (l *line) String() string { return l.at(l.last) }

// over says that nothing is done in this phase, so its time stands still. A host
// in phase "ready" is on its way there, a cluster has arrived.
func (l *line) over() bool {
	switch l.phase {
	case "", "failed", "released":
		return true
	}
	return l.kind != "host" && l.phase == string(cluster.PhaseReady)
}

// at is the line as it reads at a later time: the phase goes on.
func (l *line) at(now time.Time) string {
	elapsed := l.elapsed
	if !l.over() {
		elapsed += max(0, now.Sub(l.last))
	}
	text := fmt.Sprintf("%-20s %-12s %-34s %8s  %s", l.name, l.phase, l.bytes(), elapsed.Round(time.Second), l.message)
	return strings.TrimRight(text, " ")
}

// bytes shows how far the phase's data is and how fast it came; MB is 10^6.
func (l *line) bytes() string {
	if l.done == 0 && l.total == 0 {
		return ""
	}
	text := megabytes(l.done)
	if l.total > 0 {
		text += fmt.Sprintf(" of %s %3d%%", megabytes(l.total), min(100, int64(100*float64(l.done)/float64(l.total))))
	}
	if seconds := l.elapsed.Seconds(); seconds >= 1 {
		text += fmt.Sprintf(" %.0f MB/s", float64(l.done)/1e6/seconds)
	}
	return text
}

func megabytes(n int64) string {
	if n >= 10_000_000_000 {
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
	return fmt.Sprintf("%d MB", n/1e6)
}

// clean keeps a text from a BMC or an installer from steering the terminal.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
	const most = 300
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "..."
	}
	return text
}
