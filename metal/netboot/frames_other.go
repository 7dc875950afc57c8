//go:build !linux

package netboot

import (
	"errors"
	"fmt"
)

// listenFrames needs packet sockets.
func listenFrames(name string) (frames, error) {
	return nil, fmt.Errorf("opening interface %q: %w", name, errors.ErrUnsupported)
}
