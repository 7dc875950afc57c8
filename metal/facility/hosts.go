package facility

import (
	"context"
	"errors"
	"fmt"

	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// notFound makes the host package's error the one that front ends know.
func notFound(err error) error {
	if errors.Is(err, host.ErrUnknown) {
		return fmt.Errorf("%w (%w)", err, ErrNotFound)
	}
	return err
}

// ApplyHost makes spec the wanted state and starts the work towards it.
func (f *Facility) ApplyHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	if err := spec.Validate(); err != nil {
		return host.Status{}, err
	}
	if err := f.ensureServing(ctx); err != nil {
		return host.Status{}, err
	}
	if err := f.store.remove(bucketReleased, spec.Name); err != nil {
		return host.Status{}, err
	}
	return f.hosts.Apply(ctx, spec, recall)
}

// RecallHost makes a missing record from recall; nothing is touched. A host that
// this agent has given back is not made again: it is ErrNotFound.
func (f *Facility) RecallHost(ctx context.Context, spec host.Spec, recall *host.Status) (host.Status, error) {
	if released, err := f.store.released(spec.Name); err != nil {
		return host.Status{}, err
	} else if released {
		return host.Status{}, fmt.Errorf("host %q was given back: %w", spec.Name, ErrNotFound)
	}
	return f.hosts.Recall(ctx, spec, recall)
}

// Host gives a host's status, after a read-only look at its BMC if refresh is set.
func (f *Facility) Host(ctx context.Context, name string, refresh bool) (host.Status, error) {
	if refresh {
		s, err := f.hosts.Refresh(ctx, name)
		return s, notFound(err)
	}
	s, err := f.hosts.Status(name)
	return s, notFound(err)
}

// WaitHost returns when the revision is another than after, or ctx is done.
func (f *Facility) WaitHost(ctx context.Context, name string, after uint64) (host.Status, error) {
	s, err := f.hosts.Wait(ctx, name, after)
	return s, notFound(err)
}

// ReleaseHost starts giving a host back; afterwards it is not found.
func (f *Facility) ReleaseHost(ctx context.Context, name string, abandon bool) (host.Status, error) {
	s, err := f.hosts.Status(name)
	if err != nil {
		return s, notFound(err)
	}
	if s.Deployment != "" { // to be wiped through the installer
		if err := f.ensureServing(ctx); err != nil && !abandon {
			return s, err
		} else if err != nil {
			f.log.Warn("giving a host up without boot services", "host", name, "error", err)
		}
	}
	s, err = f.hosts.Release(ctx, name, abandon)
	return s, notFound(err)
}

// Hosts lists all hosts.
func (f *Facility) Hosts(context.Context) ([]host.Status, error) { return f.hosts.List(), nil }
