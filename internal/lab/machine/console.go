package machine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

const (
	// consolePerStart bounds what one start of the machine may log; a system
	// that panics in a loop must not fill the host's disk.
	consolePerStart = 4 << 20
	// consoleRotate is the size from which the log is moved aside at a start.
	consoleRotate = 16 << 20
	// consolePace is how often the serial line is read: QEMU writes it
	// character by character, and each wake-up takes time from the guest.
	consolePace = 20 * time.Millisecond
)

// console is the log of the serial line, over all starts of a machine.
type console struct {
	path string

	mu    sync.Mutex
	begin int64 // where the last power-on begins
	left  int64
}

// mark writes the header line of a start. A power-on also begins a new part of
// the log for Console.
func (c *console) mark(why string, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.path)
	if err == nil && info.Size() > consoleRotate {
		err = os.Rename(c.path, c.path+".1")
		info = nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("opening console log %q: %w", c.path, err)
	}
	if why == startPowerOn || info == nil {
		c.begin = 0
		if info != nil {
			c.begin = info.Size()
		}
	}
	c.left = consolePerStart
	return c.append([]byte(fmt.Sprintf("\n--- %s at %s ---\n", why, now.UTC().Format(time.RFC3339))))
}

// append needs the lock.
func (c *console) append(text []byte) error {
	file, err := os.OpenFile(c.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("writing console log: %w", err)
	}
	_, err = file.Write(text)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing console log %q: %w", c.path, err)
	}
	return nil
}

// pump logs what comes from the serial line until it ends. It goes on reading
// when the limit is reached or the log can't be written: a full line would stop
// the guest.
func (c *console) pump(serial io.Reader) error {
	var failure error
	pace := time.NewTicker(consolePace)
	defer pace.Stop()
	buffer := make([]byte, 64<<10)
	for {
		n, err := serial.Read(buffer)
		if n > 0 && failure == nil {
			failure = c.write(buffer[:n])
		}
		if err != nil {
			return failure
		}
		<-pace.C
	}
}

func (c *console) write(text []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left <= 0 {
		return nil
	}
	if int64(len(text)) >= c.left {
		text = append(text[:c.left:c.left], "\n--- limit of one start reached; the rest is not logged ---\n"...)
		c.left = 0
	} else {
		c.left -= int64(len(text))
	}
	return c.append(text)
}

// tail gives the log since the last power-on, at most consolePerStart bytes of
// its end.
func (c *console) tail() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	file, err := os.Open(c.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading console log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading console log %q: %w", c.path, err)
	}
	begin := max(c.begin, info.Size()-consolePerStart)
	text, err := io.ReadAll(io.NewSectionReader(file, begin, info.Size()-begin))
	if err != nil {
		return nil, fmt.Errorf("reading console log %q: %w", c.path, err)
	}
	return text, nil
}
