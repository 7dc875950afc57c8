package agent

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// peerUser asks the kernel for the user ID of the process that connected
// (SO_PEERCRED, unix(7)).
func peerUser(conn *net.UnixConn) (uint32, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("reaching the socket of a connection: %w", err)
	}
	var credentials *syscall.Ucred
	var asking error
	err = raw.Control(func(fd uintptr) {
		credentials, asking = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(err, asking); err != nil {
		return 0, fmt.Errorf("asking who connected: %w", err)
	}
	return credentials.Uid, nil
}
