package agentcmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/facility"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// serveOptions are the flags of serving.
type serveOptions struct {
	version     string
	socket      string
	stateDir    string
	logLevel    string
	credentials string
}

func serveCommand(use, version string, socket *string) *cobra.Command {
	options := serveOptions{version: version}
	cmd := &cobra.Command{
		Use: use, Short: "Serve one facility on a unix socket", Args: cobra.NoArgs,
		RunE: explained(func(cmd *cobra.Command) error {
			options.socket = *socket
			return serve(cmd.Context(), options, cmd.ErrOrStderr())
		}),
	}
	flags := cmd.Flags()
	flags.StringVar(&options.stateDir, "state-dir", "", "directory of the agent's state; made when missing")
	flags.StringVar(&options.logLevel, "log-level", "info", "trace, debug, info, warn or error")
	flags.StringVar(&options.credentials, "credentials-dir", "", "directory with NAME/username and NAME/password for BMCs that no client offers credentials for")
	if err := cmd.MarkFlagRequired("state-dir"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// serve runs an agent until ctx is done.
func serve(ctx context.Context, o serveOptions, stderr io.Writer) error {
	level := hclog.LevelFromString(o.logLevel)
	if level == hclog.NoLevel {
		return fault.Invalid("log-level", "unknown log level", fmt.Sprintf("%q", o.logLevel), "trace, debug, info, warn or error")
	}
	logger := hclog.New(&hclog.LoggerOptions{Name: "agent", Level: level, Output: stderr})
	options := facility.Options{Dir: o.stateDir, Version: o.version, Logger: logger, Resume: true}
	if o.credentials != "" {
		credentials, err := openCredentials(o.credentials, logger)
		if err != nil {
			return err
		}
		defer credentials.close()
		options.Credentials = credentials.find
	}
	site, err := facility.Open(ctx, options)
	if err != nil {
		return err
	}
	server := &agent.Server{Socket: o.socket, Handler: agent.NewHandler(agent.EnginesOf(site, o.version), logger), Logger: logger}
	return errors.Join(server.Serve(ctx), site.Close())
}
