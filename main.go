// Command terraform-provider-metal is the OpenTofu provider plugin when it is
// started without a subcommand, as OpenTofu does; its subcommands are the agent
// of a facility and the virtual lab.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nanometal/terraform-provider-metal/internal/agentcmd"
	labcli "github.com/nanometal/terraform-provider-metal/internal/lab/cli"
	terraform "github.com/nanometal/terraform-provider-metal/provider/terraform"
)

// version is set by the release build.
var version = "dev"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || args[0] == "-debug" || args[0] == "--debug" {
		return servePlugin(args)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{Use: "terraform-provider-metal", Short: "Bare metal for OpenTofu, Terraform and Cluster API",
		SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(agentcmd.Command(version), labcli.Command(version), &cobra.Command{Use: "version", Short: "Print the version",
		Args: cobra.NoArgs, Run: func(cmd *cobra.Command, _ []string) { fmt.Fprintln(cmd.OutOrStdout(), version) }})
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// servePlugin speaks the plugin protocol, version 6, on standard output.
func servePlugin(args []string) error {
	flags := flag.NewFlagSet("terraform-provider-metal", flag.ContinueOnError)
	debug := flags.Bool("debug", false, "run with support for debuggers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return terraform.Serve(context.Background(), version, *debug)
}
