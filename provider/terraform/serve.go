package terraform

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/provider/terraform/connection"
)

// Address is the provider's in the registries.
const Address = "registry.opentofu.org/nanometal/metal"

// New gives the constructor of a provider of the given version.
func New(version string) func() provider.Provider {
	return construct(version, func(*connection.Pool) {})
}

func construct(version string, opened func(*connection.Pool)) func() provider.Provider {
	return func() provider.Provider {
		return &Provider{version: version, dial: dialer(version), environ: os.Environ, opened: opened}
	}
}

// Serve speaks the plugin protocol, version 6, until OpenTofu ends it; then it
// closes all connections. An embedded agent ends with its connection, and so do
// its sessions on BMCs, of which hardware has few.
func Serve(ctx context.Context, version string, debug bool) error {
	var all pools
	err := providerserver.Serve(ctx, construct(version, all.add), providerserver.ServeOpts{Address: Address, Debug: debug, ProtocolVersion: 6})
	return errors.Join(err, all.close())
}

// pools are those that were opened.
type pools struct {
	mu     sync.Mutex
	opened []*connection.Pool
}

func (p *pools) add(pool *connection.Pool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = append(p.opened, pool)
}

func (p *pools) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []error
	for _, pool := range p.opened {
		all = append(all, pool.Close())
	}
	return errors.Join(all...)
}

func dialer(version string) connection.Dial {
	logger := pluginLogger(os.Getenv)
	return func(ctx context.Context, url string) (connection.Client, error) {
		client, err := agent.Dial(ctx, url, agent.Options{Version: version, Logger: logger})
		if err != nil {
			return nil, err
		}
		return client, nil
	}
}

// pluginLogger writes lines that OpenTofu takes as its own log's. They go to
// hclog's output, which is the real standard error: go-plugin replaces os.Stderr.
func pluginLogger(getenv func(string) string) hclog.Logger {
	for _, name := range []string{"TF_LOG_PROVIDER", "TF_LOG"} {
		if level := getenv(name); level != "" {
			parsed := hclog.LevelFromString(level)
			if parsed == hclog.NoLevel {
				parsed = hclog.Trace
			}
			return hclog.New(&hclog.LoggerOptions{Name: "metal", Level: parsed, JSONFormat: true})
		}
	}
	return hclog.NewNullLogger()
}
