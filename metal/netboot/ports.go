package netboot

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// portFault explains why a port could not be bound.
func portFault(protocol string, at netip.AddrPort, attribute string, err error) error {
	f := &fault.Error{Class: fault.NeedsPerson, Subject: fmt.Sprintf("%s port %d on %s", protocol, at.Port(), at.Addr()), Attribute: attribute,
		Summary: "the port can't be bound", Seen: err.Error(), Err: err, Expected: "a port that the agent can listen on"}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		f.Summary = "the port is in use"
		f.Expected = "a free port"
		f.Advice = "stop the program that holds it"
		if holders := holdersOf(protocol, at.Port()); len(holders) > 0 {
			f.Seen = "held by " + strings.Join(holders, ", ")
			f.Advice = "stop " + strings.Join(holders, ", ")
		}
		if attribute != "" {
			f.Advice += fmt.Sprintf(", or set another %q", attribute)
		}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		f.Summary = "the address is on none of this machine's interfaces"
		f.Advice = fmt.Sprintf("give %s to the interface on the network, or correct the agent's address", at.Addr())
	case errors.Is(err, fs.ErrPermission):
		f.Summary = "not allowed to bind the port"
		f.Advice = "run the agent as root, or with the capabilities CAP_NET_BIND_SERVICE and CAP_NET_RAW"
	default:
		f.Class = fault.Retryable
	}
	return f
}

// holdersOf names the processes of this machine that listen on a port, as far
// as /proc tells (Linux, and processes that we may look into): `dnsmasq (process 812)`.
func holdersOf(protocol string, port uint16) []string {
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/" + protocol, "/proc/net/" + protocol + "6"} {
		for _, inode := range listening(table, port) {
			sockets["socket:["+inode+"]"] = true
		}
	}
	if len(sockets) == 0 {
		return nil
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil
	}
	var holders []string
	for _, link := range links {
		// A process may end, or be another user's, while we look.
		target, err := os.Readlink(link)
		if err != nil || !sockets[target] {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		holder := fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
		if !slices.Contains(holders, holder) {
			holders = append(holders, holder)
		}
	}
	return holders
}

// listening gives the inodes of sockets in a /proc/net table that are bound to
// port; of TCP, those that listen. Columns: proc(5).
func listening(table string, port uint16) []string {
	raw, err := os.ReadFile(table)
	if err != nil {
		return nil
	}
	var inodes []string
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) < 10 {
			continue
		}
		_, hex, _ := strings.Cut(f[1], ":")
		p, err := strconv.ParseUint(hex, 16, 16)
		const listen = "0A"
		if err != nil || uint16(p) != port || strings.Contains(table, "tcp") && f[3] != listen {
			continue
		}
		inodes = append(inodes, f[9])
	}
	return inodes
}
