package network

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// maxForwarded bounds the connections of one forward.
const maxForwarded = 256

// closeWriter is a connection that can end one direction.
type closeWriter interface{ CloseWrite() error }

// Forward hands every connection of a listener on to a TCP address, until the
// context ends. The listener may belong to another network namespace than the
// one that the process dials in.
func Forward(ctx context.Context, listener net.Listener, target string, logger hclog.Logger) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	slots := make(chan struct{}, maxForwarded)
	var work sync.WaitGroup
	defer work.Wait()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			if err := relay(ctx, conn, target); err != nil {
				logger.Debug("forwarded connection ended", "target", target, "error", err)
			}
		})
	}
}

func relay(ctx context.Context, near net.Conn, target string) error {
	defer near.Close()
	var dialer net.Dialer
	far, err := dialer.DialContext(ctx, "tcp", target)
	if err != nil {
		return err
	}
	defer far.Close()
	stop := context.AfterFunc(ctx, func() { near.Close(); far.Close() })
	defer stop()
	done := make(chan error, 2)
	pass := func(to, from net.Conn) {
		_, err := io.Copy(to, from)
		if half, ok := to.(closeWriter); ok {
			err = errors.Join(err, half.CloseWrite())
		}
		done <- err
	}
	go pass(far, near)
	go pass(near, far)
	return errors.Join(<-done, <-done)
}
