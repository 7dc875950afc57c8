package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// cost is what a process, with the children it waited for, took.
type cost struct {
	wall, cpu time.Duration
	// rss is the most memory, in MiB, that one process had at once.
	rss float64
}

// command is a process of this very program in another role.
func command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return exec.CommandContext(ctx, self, args...), nil
}

// shell runs a script of bash with the arguments as $1, $2 and so on.
func shell(ctx context.Context, script string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "bash", append([]string{"-euo", "pipefail", "-c", script, "bash"}, args...)...)
}

// measure runs a command to its end.
func measure(c *exec.Cmd) (cost, error) {
	var words strings.Builder
	if c.Stdout == nil {
		c.Stdout = &words
	}
	c.Stderr = &words
	began := time.Now()
	err := c.Run()
	wall := time.Since(began)
	if err != nil {
		return cost{}, fmt.Errorf("running %q: %w: %s", strings.Join(c.Args[:min(len(c.Args), 2)], " "), err, tail(words.String()))
	}
	return cost{wall: wall, cpu: c.ProcessState.UserTime() + c.ProcessState.SystemTime(), rss: peak(c.ProcessState)}, nil
}

// peak is a finished process's greatest resident set in MiB.
func peak(s *os.ProcessState) float64 {
	if usage, ok := s.SysUsage().(*syscall.Rusage); ok {
		return float64(usage.Maxrss) / 1024 // Linux counts in KiB (getrusage(2))
	}
	return 0
}

// output runs a command and decodes the JSON that it prints.
func output(c *exec.Cmd, into any) error {
	raw, err := c.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, tail(string(exit.Stderr)))
		}
		return fmt.Errorf("running %q: %w", c.Args[0], err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("reading the answer of %q: %w", c.Args[0], err)
	}
	return nil
}

func tail(s string) string {
	s = strings.TrimSpace(s)
	return s[max(0, len(s)-600):]
}

// have says whether a program is installed.
func have(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}
