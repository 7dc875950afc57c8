package agentcmd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func statusCommand(version string, socket *string) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use: "status", Short: "Tell whether the agent answers, and its version", Args: cobra.NoArgs,
		RunE: explained(func(cmd *cobra.Command) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), max(wait, time.Second))
			defer cancel()
			for {
				err := answers(cmd, *socket, version)
				if err == nil || wait == 0 {
					return err
				}
				select {
				case <-ctx.Done():
					return err
				case <-time.After(100 * time.Millisecond):
				}
			}
		}),
	}
	cmd.Flags().DurationVar(&wait, "wait", 0, "how long to wait for an agent that is just starting")
	return cmd
}

func answers(cmd *cobra.Command, socket, version string) (err error) {
	client, err := dial(cmd, socket, version)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	v, err := client.Version(cmd.Context())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%+v\n", v)
	return err
}

func stopCommand(socket *string) *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "End the agent in order and wait until it is gone; its state stays", Args: cobra.NoArgs,
		RunE: explained(func(cmd *cobra.Command) error { return stopAgent(cmd.Context(), *socket) }),
	}
}

// stopAgent asks the process at the other end of the socket to end. The kernel
// says which one that is (unix(7), SO_PEERCRED), so no file with a process ID
// can be stale.
func stopAgent(ctx context.Context, socket string) error {
	pid, err := peer(ctx, socket)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) {
		return nil // nothing serves there
	}
	if err != nil {
		return err
	}
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("opening the agent's process %d: %w", pid, err)
	}
	defer unix.Close(handle) //nolint:errcheck // nothing was written
	if err := unix.PidfdSendSignal(handle, unix.SIGTERM, nil, 0); err != nil {
		return fmt.Errorf("ending the agent's process %d: %w", pid, err)
	}
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(handle), Events: unix.POLLIN}}, 500)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for the agent's process %d: %w", pid, err)
		}
	}
	return ctx.Err()
}

// peer gives the process that serves the socket.
func peer(ctx context.Context, socket string) (pid int, err error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return 0, fmt.Errorf("reaching the agent at %q: %w", socket, err)
	}
	defer conn.Close() //nolint:errcheck // only the peer's identity was read
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("looking at the socket %q: %w", socket, err)
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err = errors.Join(err, credErr); err != nil {
		return 0, fmt.Errorf("asking who serves the socket %q: %w", socket, err)
	}
	return int(cred.Pid), nil
}
