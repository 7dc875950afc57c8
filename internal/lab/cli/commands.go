package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/nanometal/terraform-provider-metal/internal/lab"
)

func downCommand(w *which) *cobra.Command {
	purge := false
	cmd := &cobra.Command{
		Use: "down", Short: "Stop a lab and remove every process, interface and namespace of it", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return down(cmd, w, purge) },
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "remove its directory too, with disks, BMC settings and logs")
	return cmd
}

func down(cmd *cobra.Command, w *which, purge bool) error {
	removed, err := lab.Down(context.WithoutCancel(cmd.Context()), w.name, w.dir, purge)
	out := cmd.OutOrStdout()
	if removed.Daemon {
		fmt.Fprintln(out, "removed the daemon and its machines")
	}
	for _, p := range removed.Processes {
		fmt.Fprintln(out, "removed", p)
	}
	if removed.Namespace {
		fmt.Fprintln(out, "removed the network namespace with its interfaces")
	}
	for _, file := range removed.Files {
		fmt.Fprintln(out, "removed", file)
	}
	if removed.Nothing() && err == nil {
		fmt.Fprintf(out, "lab %q: there was nothing to remove\n", w.name)
	}
	return err
}

func statusCommand(w *which) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "status", Short: "Show a running lab", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := lab.ReadStatus(cmd.Context(), w.name, w.dir)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), status)
			}
			printStatus(cmd.OutOrStdout(), status)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printStatus(out io.Writer, s lab.Status) {
	fmt.Fprintf(out, "lab %q in %s, network %s, bridge %s with %s, accelerator %s (%s)\n", s.Name, s.Dir, s.Subnet, s.Bridge, s.Address,
		s.Accelerator, s.AcceleratorReason)
	fmt.Fprintf(out, "BMC user %q, password in %s\n", s.BMCUser, s.BMCPasswordFile)
	for _, f := range s.Forwards {
		fmt.Fprintf(out, "forward %s to %s\n", f.Listen, f.Target)
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "MACHINE\tPOWER\tFIRMWARE\tMAC\tBMC\tBMC FROM OUTSIDE\tBMC CERTIFICATE (SHA-256)")
	for _, m := range s.Machines {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.Power, m.Firmware, strings.Join(m.MACs, ","), m.BMCURL, m.BMCForward, m.BMCFingerprint)
	}
	table.Flush()
}

func writeJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func execCommand(w *which) *cobra.Command {
	return &cobra.Command{
		Use: "exec -- COMMAND [ARGUMENT...]", Short: "Run a command on the lab's network", Args: cobra.MinimumNArgs(1),
		Long: "Run a command inside the lab's network namespace, with everything else as it is: an agent, or tofu with an embedded\n" +
			"agent, gets onto the bridge this way.",
		RunE: func(_ *cobra.Command, args []string) error { return lab.Exec(w.name, w.dir, args) },
	}
}

func dumpCommand(w *which) *cobra.Command {
	file := ""
	cmd := &cobra.Command{
		Use: "dump", Short: "Write everything that the BMCs hold, without what changes by itself", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dump, err := lab.ReadDump(cmd.Context(), w.name, w.dir)
			if err != nil {
				return err
			}
			if file == "" {
				return writeJSON(cmd.OutOrStdout(), dump)
			}
			raw, err := json.MarshalIndent(dump, "", "  ")
			if err != nil {
				return fmt.Errorf("encoding dump: %w", err)
			}
			return os.WriteFile(file, append(raw, '\n'), 0o600)
		},
	}
	cmd.Flags().StringVar(&file, "json", "", "file to write; standard output without it")
	return cmd
}

func consoleCommand(w *which) *cobra.Command {
	follow := false
	cmd := &cobra.Command{
		Use: "console MACHINE", Short: "Print the serial console log of a machine", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			status, err := lab.ReadStatus(cmd.Context(), w.name, w.dir)
			if err != nil {
				return err
			}
			m, err := status.Machine(args[0])
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return printConsole(ctx, cmd.OutOrStdout(), m.Console, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "stay and print what comes")
	return cmd
}

// followInterval is how often a followed file is looked at.
const followInterval = 200 * time.Millisecond

func printConsole(ctx context.Context, out io.Writer, path string, follow bool) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening console log: %w", err)
	}
	defer file.Close()
	tick := time.NewTicker(followInterval)
	defer tick.Stop()
	for {
		if _, err := io.Copy(out, file); err != nil {
			return fmt.Errorf("printing console log %q: %w", path, err)
		}
		if !follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
