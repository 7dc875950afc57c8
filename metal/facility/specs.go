package facility

import (
	"context"
	"fmt"

	"github.com/nanometal/terraform-provider-metal/metal/cluster"
	"github.com/nanometal/terraform-provider-metal/metal/host"
)

// FacilitySpec gives what was applied or recalled last, for a front end that
// takes over a facility that it does not know yet.
func (f *Facility) FacilitySpec(context.Context) (Spec, error) {
	spec := f.known()
	if spec == nil {
		return Spec{}, fmt.Errorf("facility: %w", ErrNotFound)
	}
	return *spec, nil
}

// HostSpec is FacilitySpec for a host. Its MAC address is in normal form.
func (f *Facility) HostSpec(_ context.Context, name string) (host.Spec, error) {
	records, err := f.store.Hosts()
	if err != nil {
		return host.Spec{}, err
	}
	for _, r := range records {
		if r.Spec.Name == name {
			return r.Spec, nil
		}
	}
	return host.Spec{}, fmt.Errorf("host %q: %w", name, ErrNotFound)
}

// ClusterSpec is FacilitySpec for a cluster.
func (f *Facility) ClusterSpec(_ context.Context, name string) (cluster.Spec, error) {
	record, found, err := clusterRecords{f.store}.Load(name)
	if err != nil {
		return cluster.Spec{}, err
	}
	if !found {
		return cluster.Spec{}, fmt.Errorf("cluster %q: %w", name, ErrNotFound)
	}
	return record.Spec, nil
}
