package installer

import (
	"context"
	"errors"
	"fmt"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// ErrNothingToBoot says that a disk has no kernel that could be started.
var ErrNothingToBoot = errors.New("no kernel to start was found")

// failure is a failed order as the protocol tells it.
type failure struct {
	reason    string
	retryable bool
	err       error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func refuse(reason, format string, args ...any) error {
	return &failure{reason: reason, err: fmt.Errorf(format, args...)}
}

// message is the error as one line that also tells what was expected.
func message(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Expected != "" {
		return err.Error() + "; expected " + f.Expected
	}
	return err.Error()
}

// classify gives an error its stable reason.
func classify(err error) *failure {
	var f *failure
	switch {
	case errors.As(err, &f):
		return &failure{f.reason, f.retryable, err}
	case errors.Is(err, image.ErrDigest):
		return &failure{order.ReasonDigestMismatch, false, err}
	case errors.Is(err, image.ErrTooLarge):
		return &failure{order.ReasonDiskTooSmall, false, err}
	case errors.Is(err, ErrNothingToBoot):
		return &failure{order.ReasonNoBootable, false, err}
	case errors.Is(err, image.ErrSource), errors.Is(err, context.DeadlineExceeded):
		return &failure{order.ReasonIO, true, err}
	}
	return &failure{order.ReasonIO, false, err}
}
