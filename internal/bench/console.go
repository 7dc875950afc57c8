package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// consolePace is how often the console's file is read; the lab itself writes it
// every 20 ms.
const consolePace = 10 * time.Millisecond

// console is what a machine's serial line says from now on.
type console struct {
	path string
	at   int64
	text []byte
}

func openConsole(path string) (*console, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return &console{path: path}, nil // before the first start
	}
	if err != nil {
		return nil, fmt.Errorf("reading the console: %w", err)
	}
	return &console{path: path, at: info.Size()}, nil
}

// wait gives the times at which all the texts were there, by their names.
func (c *console) wait(ctx context.Context, texts map[string]string) (map[string]time.Time, error) {
	times := map[string]time.Time{}
	tick := time.NewTicker(consolePace)
	defer tick.Stop()
	for {
		if err := c.read(); err != nil {
			return nil, err
		}
		for text, name := range texts {
			if _, ok := times[name]; !ok && bytes.Contains(c.text, []byte(text)) {
				times[name] = time.Now()
			}
		}
		if len(times) == len(texts) {
			return times, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the console: %w; it ends with %q", ctx.Err(), tail(string(c.text)))
		}
	}
}

func (c *console) read() error {
	f, err := os.Open(c.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the console: %w", err)
	}
	defer f.Close()
	more, err := io.ReadAll(io.NewSectionReader(f, c.at, 1<<20))
	if err != nil {
		return fmt.Errorf("reading the console: %w", err)
	}
	c.at += int64(len(more))
	c.text = append(c.text, more...)
	return nil
}
