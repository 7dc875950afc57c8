package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// pluginCookie is what OpenTofu says to a plugin that it starts: without it a
// provider refuses to run (terraform-plugin-go, tf6server).
const pluginCookie = "TF_PLUGIN_MAGIC_COOKIE=d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2"

// benchPlugin times the provider's start until the line by which OpenTofu knows
// that it can connect, beside a provider that has nothing in it.
func benchPlugin(ctx context.Context, o options) error {
	heading("Start of the provider")
	if o.provider == "" {
		return errors.New("-provider is missing")
	}
	floor, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	const ours, empty = "metal", "limit: the framework with an empty provider"
	s := samples{}
	// A start takes milliseconds, so there are more of them than of other rounds.
	for range 5 * o.runs {
		for _, p := range []struct {
			name string
			args []string
		}{{ours, []string{o.provider}}, {empty, []string{floor, "empty-provider"}}} {
			took, cpu, rss, err := startPlugin(ctx, p.args)
			if err != nil {
				return err
			}
			s.add(p.name, "ms", took.Seconds()*1000)
			s.add(p.name, "CPU ms", cpu.Seconds()*1000)
			s.add(p.name, "RSS MiB", rss)
		}
	}
	s.print(os.Stdout, "until the handshake line", []string{ours, empty}, []column{{"ms", "%.0f"}, {"CPU ms", "%.0f"}, {"RSS MiB", "%.1f"}})
	note("Goal: 100 ms and 60 MiB; measured %.0f ms and %.1f MiB. The limit is linked into this benchmark's program, which has more in it than an empty provider needs.",
		s.median(ours, "ms"), s.median(ours, "RSS MiB"))
	return nil
}

func startPlugin(ctx context.Context, args []string) (took, cpu time.Duration, rss float64, err error) {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Env = append(os.Environ(), pluginCookie, "PLUGIN_PROTOCOL_VERSIONS=6", "TF_LOG=off")
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, 0, 0, fmt.Errorf("starting %q: %w", args[0], err)
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		return 0, 0, 0, fmt.Errorf("starting %q: %w", args[0], err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	took = time.Since(began)
	if err == nil {
		rss, err = resident(c.Process.Pid)
	}
	// It serves until it is told to end; how it ends says nothing here.
	kill := c.Process.Kill()
	_ = c.Wait()
	if err = errors.Join(err, kill); err != nil {
		return 0, 0, 0, fmt.Errorf("starting %q: %w", args[0], err)
	}
	if fields := strings.Split(line, "|"); len(fields) < 5 || fields[4] != "grpc" {
		return 0, 0, 0, fmt.Errorf("starting %q: %q is no handshake", args[0], line)
	}
	return took, c.ProcessState.UserTime() + c.ProcessState.SystemTime(), rss, nil
}

// resident is the memory of a running process in MiB (proc(5), VmRSS in KiB).
func resident(pid int) (float64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "kB")), 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmRSS", pid)
}

// nothing is a provider without resources: what the framework alone takes.
type nothing struct{}

func (nothing) Metadata(_ context.Context, _ provider.MetadataRequest, r *provider.MetadataResponse) {
	r.TypeName = "nothing"
}
func (nothing) Schema(context.Context, provider.SchemaRequest, *provider.SchemaResponse)          {}
func (nothing) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {}
func (nothing) DataSources(context.Context) []func() datasource.DataSource                        { return nil }
func (nothing) Resources(context.Context) []func() resource.Resource                              { return nil }

func emptyProvider(ctx context.Context, _ []string) error {
	return providerserver.Serve(ctx, func() provider.Provider { return nothing{} },
		providerserver.ServeOpts{Address: "registry.opentofu.org/nanometal/nothing", ProtocolVersion: 6})
}
