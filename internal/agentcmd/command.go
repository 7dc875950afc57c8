package agentcmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/nanometal/terraform-provider-metal/metal/agent"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Command is `agent` with its subcommands; without one it serves. It ends when
// the command's context does.
func Command(version string) *cobra.Command {
	var socket string
	root := serveCommand("agent", version, &socket)
	root.Long = "Serve one facility: DHCP, TFTP, HTTP boot, BMC access and the life of its hosts and clusters."
	root.PersistentFlags().StringVar(&socket, "socket", "", "unix socket of the agent; only its owner and root may use it")
	if err := root.MarkPersistentFlagRequired("socket"); err != nil {
		panic(err) // the flag is defined one line above
	}
	root.AddCommand(serveCommand("serve", version, &socket), eventsCommand(version, &socket), tableCommand(version, &socket),
		kubeconfigCommand(version, &socket), statusCommand(version, &socket), stopCommand(&socket))
	return root
}

// dial connects a subcommand to the agent of --socket.
func dial(cmd *cobra.Command, socket, version string) (*agent.Client, error) {
	path, err := filepath.Abs(socket)
	if err != nil {
		return nil, fmt.Errorf("resolving socket %q: %w", socket, err)
	}
	return agent.Dial(cmd.Context(), "unix://"+path, agent.Options{Version: version})
}

// explained adds the details of a fault to the line that main prints.
func explained(run func(*cobra.Command) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		err := run(cmd)
		var f *fault.Error
		if errors.As(err, &f) {
			return fmt.Errorf("%w\n%s", err, f.Detail())
		}
		return err
	}
}

// terminal tells whether the command's output is one, and which.
func terminal(cmd *cobra.Command) (*os.File, bool) {
	file, ok := cmd.OutOrStdout().(*os.File)
	return file, ok && isTerminal(file)
}
