package main

import (
	"bufio"
	"context"
	"os"
	"strings"
	"sync"
)

const (
	ringLines  = 300
	lineLength = 400
)

// ring is the log: every line goes to the console and is kept for the next
// report. The token is taken out of all lines, also the kernel's, which prints
// its command line.
type ring struct {
	secret string
	mu     sync.Mutex
	lines  []string
}

func newRing(secret string) *ring { return &ring{secret: secret} }

// Write takes one log line of the installer.
func (r *ring) Write(p []byte) (int, error) {
	line := r.clean(string(p))
	r.add(line)
	if _, err := os.Stderr.WriteString(line + "\n"); err != nil {
		return len(p), nil // a machine without a console still reports
	}
	return len(p), nil
}

func (r *ring) clean(line string) string {
	line = strings.TrimRight(line, "\n")
	if r.secret != "" {
		line = strings.ReplaceAll(line, r.secret, "***")
	}
	return line[:min(len(line), lineLength)]
}

func (r *ring) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
	if len(r.lines) > ringLines {
		r.lines = append(r.lines[:0:0], r.lines[len(r.lines)-ringLines:]...)
	}
}

// take gives the lines since the last call.
func (r *ring) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.lines
	r.lines = nil
	return out
}

// followKernel copies the kernel's warnings and worse (level 4 and below) into
// the ring. They are on the console already.
func (r *ring) followKernel(ctx context.Context) {
	f, err := os.Open("/dev/kmsg")
	if err != nil {
		r.add("kernel log not readable: " + err.Error())
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = f.Close() }) // ends the read below
	defer stop()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if line, ok := kernelLine(s.Text()); ok {
			r.add(r.clean(line))
		}
	}
}

// kernelLine parses "prio,seq,usec,flags;text" (Documentation/ABI/testing/dev-kmsg).
func kernelLine(record string) (string, bool) {
	head, text, ok := strings.Cut(record, ";")
	if !ok || head == "" || head[0] < '0' || head[0] > '9' {
		return "", false
	}
	prio := 0
	for _, c := range head {
		if c < '0' || c > '9' {
			break
		}
		prio = prio*10 + int(c-'0')
	}
	return "kernel: " + text, prio&7 <= 4
}
