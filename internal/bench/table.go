package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// median is the middle of the values, the mean of the two middle ones where
// their number is even, and 0 without any.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// samples are the values of a table's cells, one per round.
type samples map[string]map[string][]float64

func (s samples) add(row, column string, value float64) {
	if s[row] == nil {
		s[row] = map[string][]float64{}
	}
	s[row][column] = append(s[row][column], value)
}

func (s samples) median(row, column string) float64 { return median(s[row][column]) }

// has says whether anything was measured.
func (s samples) has(row, column string) bool { return len(s[row][column]) > 0 }

// column is a table's column: the name of its samples and how they are printed.
type column struct{ name, format string }

// print writes a Markdown table; "-" is what was not measured.
func (s samples) print(w io.Writer, corner string, rows []string, columns []column) {
	head := []string{corner}
	for _, c := range columns {
		head = append(head, c.name)
	}
	fmt.Fprintf(w, "\n| %s |\n|%s\n", strings.Join(head, " | "), strings.Repeat(" --- |", len(head)))
	for _, row := range rows {
		cells := []string{row}
		for _, c := range columns {
			cell := "-"
			if s.has(row, c.name) {
				cell = fmt.Sprintf(c.format, s.median(row, c.name))
			}
			cells = append(cells, cell)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}

// note prints a line of text of the report.
func note(format string, args ...any) { fmt.Printf("\n"+format+"\n", args...) }

// heading begins a section, with how busy the machine is: figures of a busy
// machine are to be read with care.
func heading(title string) {
	load := "unknown"
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = strings.Join(strings.Fields(string(raw))[:3], " ")
	}
	fmt.Printf("\n## %s\n\n%s, load average before: %s\n", title, time.Now().Format(time.TimeOnly), load)
}

// progress tells who waits what is going on; it is not part of the report.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
