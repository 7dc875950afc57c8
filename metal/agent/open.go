package agent

import (
	"context"
	"io"

	"github.com/hashicorp/go-hclog"

	"github.com/nanometal/terraform-provider-metal/metal/facility"
)

var (
	_ Site     = (*facility.Facility)(nil)
	_ Hosts    = (*facility.Facility)(nil)
	_ Clusters = (*facility.Facility)(nil)
	_ Specs    = (*facility.Facility)(nil)
)

// OpenFacility is the Opener of a real facility.
func OpenFacility(ctx context.Context, dir, version string, logger hclog.Logger) (Engines, io.Closer, error) {
	site, err := facility.Open(ctx, facility.Options{Dir: dir, Version: version, Logger: logger})
	if err != nil {
		return Engines{}, nil, err
	}
	return EnginesOf(site, version), site, nil
}

// EnginesOf are the engines of a facility.
func EnginesOf(site *facility.Facility, version string) Engines {
	return Engines{Site: site, Hosts: site, Clusters: site, Specs: site, Version: version}
}
