package machine

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// maxMessage bounds one QMP message; the longest seen is a few kilobytes.
const maxMessage = 1 << 20

// monitor speaks the QEMU Machine Protocol on one connection.
type monitor struct {
	conn    net.Conn
	scanner *bufio.Scanner

	mu     sync.Mutex // one command at a time
	result chan qmpMessage
	ended  chan struct{}

	stateMu sync.Mutex
	reason  string
}

type qmpMessage struct {
	QMP    json.RawMessage `json:"QMP"`
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Class string `json:"class"`
		Desc  string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	Data  struct {
		Guest  bool   `json:"guest"`
		Reason string `json:"reason"`
	} `json:"data"`
}

// openMonitor waits for QEMU's greeting, which says that the machine was put
// together, and leaves the negotiation mode.
func openMonitor(conn net.Conn, timeout time.Duration) (*monitor, error) {
	m := &monitor{conn: conn, scanner: bufio.NewScanner(conn), result: make(chan qmpMessage, 1), ended: make(chan struct{})}
	m.scanner.Buffer(make([]byte, 4096), maxMessage)
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, fmt.Errorf("opening monitor: %w", err)
	}
	greeting, err := m.read()
	if err != nil {
		return nil, fmt.Errorf("waiting for the monitor's greeting: %w", err)
	}
	if greeting.QMP == nil {
		return nil, errors.New("waiting for the monitor's greeting: something else came")
	}
	if _, err := io.WriteString(conn, `{"execute":"qmp_capabilities"}`+"\n"); err != nil {
		return nil, fmt.Errorf("negotiating with the monitor: %w", err)
	}
	if answer, err := m.read(); err != nil || answer.Error != nil {
		return nil, fmt.Errorf("negotiating with the monitor: answer %v: %w", answer.Error, err)
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("opening monitor: %w", err)
	}
	go m.loop()
	return m, nil
}

func (m *monitor) read() (qmpMessage, error) {
	var message qmpMessage
	if !m.scanner.Scan() {
		return message, errors.Join(io.ErrUnexpectedEOF, m.scanner.Err())
	}
	if err := json.Unmarshal(m.scanner.Bytes(), &message); err != nil {
		return message, fmt.Errorf("decoding monitor message: %w", err)
	}
	return message, nil
}

// loop sorts answers from events until the connection ends.
func (m *monitor) loop() {
	defer close(m.ended)
	defer close(m.result)
	for {
		message, err := m.read()
		if err != nil {
			return
		}
		switch {
		case message.Event == "SHUTDOWN":
			m.stateMu.Lock()
			m.reason = message.Data.Reason
			m.stateMu.Unlock()
		case message.Event == "":
			m.result <- message
		}
	}
}

// shutdownReason is the reason of the last SHUTDOWN event, such as
// "guest-reset" or "guest-shutdown" (QAPI ShutdownCause).
func (m *monitor) shutdownReason() string {
	m.stateMu.Lock()
	defer m.stateMu.Unlock()
	return m.reason
}

// execute runs a command without arguments.
func (m *monitor) execute(command string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := fmt.Fprintf(m.conn, "{\"execute\":%q}\n", command); err != nil {
		return fmt.Errorf("running monitor command %q: %w", command, err)
	}
	answer, ok := <-m.result
	if !ok {
		return fmt.Errorf("running monitor command %q: %w", command, io.ErrUnexpectedEOF)
	}
	if answer.Error != nil {
		return fmt.Errorf("running monitor command %q: %s: %s", command, answer.Error.Class, answer.Error.Desc)
	}
	return nil
}
