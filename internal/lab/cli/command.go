package cli

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/nanometal/terraform-provider-metal/internal/lab"
)

// daemonCommand is the hidden command that Up starts.
const daemonCommand = "daemon"

// which names a lab: the flags that every command has.
type which struct {
	name string
	dir  string
}

// Command is the tree of "lab" commands.
func Command(version string) *cobra.Command {
	w := &which{}
	root := &cobra.Command{
		Use: "lab", Short: "Run a virtual facility on this machine", Version: version,
		Long: "A lab is a virtual facility on one Linux machine: servers with real firmware (QEMU) and virtual BMCs (Redfish) on a\n" +
			"bridge in a network namespace of their own. \"lab exec\" runs a command, such as an agent, on that bridge.",
	}
	root.PersistentFlags().StringVar(&w.name, "name", "demo", "name of the lab")
	root.PersistentFlags().StringVar(&w.dir, "dir", "", "directory of the lab (default: one that belongs to the name)")
	root.AddCommand(upCommand(w), downCommand(w), statusCommand(w), consoleCommand(w), execCommand(w), dumpCommand(w), daemonCmd())
	for _, cmd := range root.Commands() {
		cmd.SilenceUsage = true // a failure is no reason to explain the flags
	}
	return root
}

func daemonCmd() *cobra.Command {
	return &cobra.Command{
		Use: daemonCommand + " DIR", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "Hold a lab (started by \"lab up\")",
		RunE: func(cmd *cobra.Command, args []string) error {
			// The terminal of "lab up" may go away.
			signal.Ignore(syscall.SIGHUP)
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			logger := hclog.New(&hclog.LoggerOptions{Name: "lab", Level: hclog.LevelFromString(orInfo(os.Getenv("METAL_LAB_LOG"))), Output: os.Stderr})
			err := lab.RunDaemon(ctx, args[0], logger)
			if err != nil {
				logger.Error("lab failed", "error", err)
			}
			return err
		},
	}
}

func orInfo(level string) string {
	if level == "" {
		return "info"
	}
	return level
}

// daemonArgs is the command line that runs the daemon: this program, with the
// words that lead to this command's sibling.
func daemonArgs(cmd *cobra.Command) ([]string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	words := strings.Fields(cmd.Parent().CommandPath())
	return append(append([]string{program}, words[1:]...), daemonCommand), nil
}
