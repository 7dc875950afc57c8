package netboot

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNamespace says that this process is the one that TestMain has started.
const inNamespace = "NETBOOT_TEST_NAMESPACE"

// TestMain runs the tests in a process with a network namespace of its own,
// which goes away with it: ports 67 and 69 are free there, and no packet leaves
// this machine. Without root it takes a user namespace as well.
func TestMain(m *testing.M) {
	if os.Getenv(inNamespace) != "" {
		if err := buildSegment(); err != nil {
			fmt.Fprintln(os.Stderr, "preparing the network namespace:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	child := exec.Command(os.Args[0], os.Args[1:]...)
	child.Env = append(os.Environ(), inNamespace+"=1")
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if uid := os.Getuid(); uid != 0 {
		child.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		child.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		child.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	err := child.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		os.Exit(max(exit.ExitCode(), 1))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting the tests in a network namespace:", err)
		os.Exit(1)
	}
}

// The segment: the agent is at one end of a cable, the hosts are at the other.
const (
	agentPort = "agent0"
	hostsPort = "hosts0"
)

var hostsMAC = net.HardwareAddr{2, 0xcc, 0, 0, 0, 1}

func buildSegment() error {
	if _, err := netlink.LinkByName(agentPort); err == nil {
		return nil // a fuzzing process of the one that has built it
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	cable := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: agentPort}, PeerName: hostsPort, PeerHardwareAddr: hostsMAC}
	if err := errors.Join(netlink.LinkSetUp(lo), netlink.LinkAdd(cable)); err != nil {
		return err
	}
	// Link-local addresses without waiting for duplicates to speak up.
	for port, addresses := range map[string][]string{agentPort: {"172.30.8.1/22", "fe80::a/64"}, hostsPort: {"fe80::b/64"}} {
		link, err := netlink.LinkByName(port)
		if err != nil {
			return err
		}
		for _, text := range addresses {
			a, err := netlink.ParseAddr(text)
			if err != nil {
				return err
			}
			a.Flags = unix.IFA_F_NODAD
			if err := netlink.AddrAdd(link, a); err != nil {
				return fmt.Errorf("address %s of %s: %w", text, port, err)
			}
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
	}
	return nil
}
