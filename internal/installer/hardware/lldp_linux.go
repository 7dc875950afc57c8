package hardware

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/order"
	"golang.org/x/sys/unix"
)

const (
	etherTypeLLDP = 0x88cc
	// lldpTime is two of the usual 30 s periods and a bit.
	lldpTime = 70 * time.Second
)

// lldpGroup is the nearest bridge's group address (IEEE 802.1AB table 7-1).
var lldpGroup = [8]uint8{0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e}

// listenLLDP listens on all ports for a bounded time, beside everything else.
func (w *watcher) listenLLDP(ctx context.Context, sys string) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(networkOrder(etherTypeLLDP)))
	if err != nil {
		return fmt.Errorf("opening a packet socket: %w", err)
	}
	sock := os.NewFile(uintptr(fd), "lldp")
	macs := map[int]string{}
	for _, name := range names(filepath.Join(sys, "class/net")) {
		n, ok := nic(sys, name)
		ifi, err := net.InterfaceByName(name)
		if !ok || err != nil {
			continue
		}
		macs[ifi.Index] = n.MAC
		req := unix.PacketMreq{Ifindex: int32(ifi.Index), Type: unix.PACKET_MR_MULTICAST, Alen: 6, Address: lldpGroup}
		if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &req); err != nil {
			w.logger.Debug("LLDP is not heard on one port", "port", name, "error", err)
		}
	}
	if err := sock.SetReadDeadline(time.Now().Add(lldpTime)); err != nil {
		return errors.Join(fmt.Errorf("bounding the LLDP socket: %w", err), sock.Close())
	}
	conn, err := sock.SyscallConn()
	if err != nil {
		return errors.Join(err, sock.Close())
	}
	stop := context.AfterFunc(ctx, func() { _ = sock.SetReadDeadline(time.Now()) }) // a closed socket has ended already
	go func() {
		defer stop()
		defer sock.Close()
		w.receiveLLDP(conn, macs)
	}()
	return nil
}

// rawReader is the part of syscall.RawConn that receiving needs.
type rawReader interface {
	Read(f func(fd uintptr) (done bool)) error
}

func (w *watcher) receiveLLDP(conn rawReader, macs map[int]string) {
	heard := map[string]string{}
	buf := make([]byte, 2048)
	for {
		var n int
		var from unix.Sockaddr
		var err error
		ready := conn.Read(func(fd uintptr) bool {
			n, from, err = unix.Recvfrom(int(fd), buf, 0)
			return !errors.Is(err, unix.EAGAIN)
		})
		if ready != nil || err != nil {
			return // the time is over
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok || ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		mac, neighbour := macs[ll.Ifindex], parseLLDP(buf[:n])
		if mac == "" || neighbour == "" || heard[mac] == neighbour {
			continue
		}
		heard[mac] = neighbour
		w.amendNIC(mac, func(have *order.NIC) { have.LLDP = neighbour })
	}
}

// networkOrder is htons.
func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
