package main

import (
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1}, 5}, {[]float64{3, 100, 1}, 3}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(tc.values); got != tc.want {
			t.Errorf("median(%v) = %v, want %v", tc.values, got, tc.want)
		}
	}
}

func TestTableShowsWhatWasNotMeasured(t *testing.T) {
	s := samples{}
	s.add("ours", "MB/s", 10)
	s.add("ours", "MB/s", 30)
	s.add("ours", "MB/s", 20)
	var b strings.Builder
	s.print(&b, "program", []string{"ours", "theirs"}, []column{{"MB/s", "%.1f"}, {"CPU s", "%.2f"}})
	want := "\n| program | MB/s | CPU s |\n| --- | --- | --- |\n| ours | 20.0 | - |\n| theirs | - | - |\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}
