package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// fleet is how many hosts are driven at once beside a single one.
const fleet = 200

// bmcRow is one competitor: a program with its way of doing the same.
type bmcRow struct {
	name    string
	program string // "" is this one
	way     string
}

func bmcRows(peers string) []bmcRow {
	var rows []bmcRow
	if peers != "" {
		rows = []bmcRow{{"bmclib v2 (gofish provider only)", peers, "bmclib"}, {"gofish v0.20.0", peers, "gofish"},
			{"gofish v0.20.0, ReuseConnections", peers, "gofish-reuse"}}
	}
	return append(rows, bmcRow{"metal, first contact", "", "first"}, bmcRow{"metal, cold", "", "cold"},
		bmcRow{"metal, cold, read back", "", "cold-read-back"}, bmcRow{"metal, kept connection", "", "kept"},
		bmcRow{"metal, kept connection, read back", "", "kept-read-back"})
}

// bmcResult is what a client process says when all hosts are done.
type bmcResult struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"`
}

func benchBMC(ctx context.Context, o options) error {
	heading("Redfish round trips")
	dir, err := os.MkdirTemp(o.work, "bmc-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	mock, err := startMocks(ctx, fleet, filepath.Join(dir, "bmcs"))
	if err != nil {
		return err
	}
	defer mock.close()
	rows := bmcRows(o.peers)
	s := samples{}
	for round := range o.runs {
		for _, hosts := range []int{1, fleet} {
			for _, slow := range []time.Duration{0, handshakeTime} {
				for _, row := range rows {
					progress("Redfish: round %d, %d hosts, handshake %s, %s", round+1, hosts, slow, row.name)
					if err := bmcRound(ctx, s, mock, row, hosts, slow); err != nil {
						return fmt.Errorf("%s, %d hosts: %w", row.name, hosts, err)
					}
				}
			}
		}
	}
	printBMC(s, rows)
	if o.peers == "" {
		note("Not measured: bmclib and gofish (the module peers could not be built).")
	}
	return nil
}

func printBMC(s samples, rows []bmcRow) {
	var names []string
	for _, row := range rows {
		names = append(names, row.name)
	}
	columns := []column{{"requests", "%.0f"}, {"TLS connections", "%.0f"}}
	for _, hosts := range []int{1, fleet} {
		for _, slow := range []time.Duration{0, handshakeTime} {
			columns = append(columns, column{secondsColumn(hosts, slow), "%.2f"})
		}
	}
	s.print(os.Stdout, "connect, read power, PXE once, power on, close", names, append(columns, column{cpuColumn, "%.2f"}))
	note("The BMCs are the lab's, which take %s per request, one at a time. Requests and connections are per host. Cold: the resources' paths are known, the session is not. "+
		"Read back: boot override and power are read until they hold, which the others do not do. Kept: the session and connection are there already, so there is neither login nor logout.", requestTime)
	const want = "Goal: cold <= 0.45 s with a slow handshake, kept <= 0.2 s, %d hosts cold <= 0.65 s, CPU <= 25 %% of bmclib's; measured %.2f s, %.2f s, %.2f s and %s."
	share := "no bmclib beside it"
	if theirs := s.median(rows[0].name, cpuColumn); rows[0].way == "bmclib" && theirs > 0 {
		share = fmt.Sprintf("%.0f %%", 100*s.median("metal, cold", cpuColumn)/theirs)
	}
	note(want, fleet, s.median("metal, cold", secondsColumn(1, handshakeTime)), s.median("metal, kept connection", secondsColumn(1, handshakeTime)),
		s.median("metal, cold", secondsColumn(fleet, handshakeTime)), share)
}

var cpuColumn = fmt.Sprintf("client CPU s, %d hosts", fleet)

func secondsColumn(hosts int, slow time.Duration) string {
	name := fmt.Sprintf("s, %d hosts", hosts)
	if hosts == 1 {
		name = "s, 1 host"
	}
	if slow > 0 {
		name += fmt.Sprintf(", handshake +%s", slow)
	}
	return name
}

// bmcRound runs one client process: it prepares, says so, and begins when told.
func bmcRound(ctx context.Context, s samples, mock *mocks, row bmcRow, hosts int, slow time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	mock.reset(0) // preparing is not measured
	c, err := command(ctx, "bmc-client", row.way)
	if row.program != "" {
		c, err = exec.CommandContext(ctx, row.program, "bmc-client", row.way), nil
	}
	if err != nil {
		return err
	}
	var result bmcResult
	err = converse(c, strings.Join(mock.urls[:hosts], " "), func() { mock.reset(slow) }, &result)
	if err != nil {
		return err
	}
	if on := mock.on(hosts); on != hosts {
		return fmt.Errorf("%d of %d machines are on", on, hosts)
	}
	s.add(row.name, "requests", float64(mock.requests.Load())/float64(hosts))
	s.add(row.name, "TLS connections", float64(mock.tls.Load())/float64(hosts))
	s.add(row.name, secondsColumn(hosts, slow), result.Seconds)
	if hosts == fleet && slow == 0 {
		s.add(row.name, cpuColumn, result.CPU)
	}
	return nil
}

// converse tells a client its hosts, waits for "ready", and reads the result.
func converse(c *exec.Cmd, hosts string, ready func(), into any) (err error) {
	var words strings.Builder
	c.Stderr = &words
	in, err := c.StdinPipe()
	if err != nil {
		return err
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	err = func() error {
		if _, err := io.WriteString(in, hosts+"\n"); err != nil {
			return err
		}
		if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
			return fmt.Errorf("the client says %q instead of being ready: %w", line, err)
		}
		ready()
		if _, err := io.WriteString(in, "go\n"); err != nil {
			return err
		}
		return json.NewDecoder(lines).Decode(into)
	}()
	if err != nil {
		_ = c.Process.Kill()
	}
	if wait := c.Wait(); err == nil {
		err = wait
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, tail(words.String()))
	}
	return err
}
