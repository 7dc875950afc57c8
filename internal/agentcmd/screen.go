package agentcmd

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"
)

// screen redraws a board on a terminal, one line per object.
type screen struct {
	out io.Writer
	// size gives the columns and rows now.
	size  func() (width, height int)
	drawn int // lines on the terminal
}

func isTerminal(file *os.File) bool { return term.IsTerminal(int(file.Fd())) }

// onTerminal is the screen of a terminal; 80 by 24 where it does not tell.
func onTerminal(file *os.File) *screen {
	return &screen{out: file, size: func() (int, int) {
		width, height, err := term.GetSize(int(file.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	}}
}

// draw replaces what was drawn before. Control sequences are those of ECMA-48:
// CPL (cursor up to a line's start), ED (erase to the end).
func (s *screen) draw(b *board, now time.Time) error {
	width, height := s.size()
	lines := fit(b.sorted(), max(1, height-1))
	var text strings.Builder
	if s.drawn > 0 {
		fmt.Fprintf(&text, "\x1b[%dF\x1b[J", s.drawn)
	}
	for _, l := range lines {
		// A line that wraps would be two when going up again.
		text.WriteString(cut(l.at(now), width-1) + "\n")
	}
	s.drawn = len(lines)
	if hidden := len(b.lines) - len(lines); hidden > 0 {
		text.WriteString(cut(fmt.Sprintf("... and %d more", hidden), width-1) + "\n")
		s.drawn++
	}
	_, err := io.WriteString(s.out, text.String())
	return err
}

// fit gives the lines that changed last when not all have a row, by name.
func fit(lines []*line, rows int) []*line {
	if len(lines) <= rows {
		return lines
	}
	recent := slices.Clone(lines)
	slices.SortStableFunc(recent, func(a, b *line) int { return b.last.Compare(a.last) })
	recent = recent[:max(0, rows-1)]
	return slices.DeleteFunc(slices.Clone(lines), func(l *line) bool { return !slices.Contains(recent, l) })
}

func cut(text string, width int) string {
	if runes := []rune(text); len(runes) > max(0, width) {
		return string(runes[:max(0, width)])
	}
	return text
}
