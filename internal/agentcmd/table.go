package agentcmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/nanometal/terraform-provider-metal/metal/host"
)

func tableCommand(version string, socket *string) *cobra.Command {
	return &cobra.Command{
		Use: "table", Short: "Show the seconds that each host spent in each phase", Args: cobra.NoArgs,
		RunE: explained(func(cmd *cobra.Command) (err error) {
			client, err := dial(cmd, *socket, version)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, client.Close()) }()
			hosts, err := client.Hosts(cmd.Context())
			if err != nil {
				return err
			}
			return table(cmd.OutOrStdout(), hosts)
		}),
	}
}

// phases are the columns, in the order of a host's life.
var phases = []host.Phase{
	host.PhaseConnect, host.PhaseLedger, host.PhasePowerOn, host.PhaseInspect, host.PhaseImage, host.PhaseKexec,
	host.PhaseFirstBoot, host.PhaseBootstrap, host.PhaseReady, host.PhaseWipe, host.PhasePowerOff, host.PhaseRestore,
}

// table writes a row per host with the seconds of each phase that any host went
// through, and how fast the image came: by its raw size, and by what was really
// written (zeros are left out), beside what the same disk took of plain zeros in
// the same run. MB is 10^6.
func table(out io.Writer, hosts []host.Status) error {
	hosts = slices.Clone(hosts)
	slices.SortFunc(hosts, func(a, b host.Status) int { return cmp.Compare(a.Name, b.Name) })
	columns := slices.DeleteFunc(slices.Clone(phases), func(p host.Phase) bool {
		return !slices.ContainsFunc(hosts, func(s host.Status) bool { return timing(s, p) != nil })
	})
	imaged := slices.Contains(columns, host.PhaseImage)
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	header := []string{"host"}
	for _, p := range columns {
		header = append(header, string(p))
	}
	if imaged {
		header = append(header, "image MB", "MB/s", "written MB", "MB/s", "dd MB/s")
	}
	if err := row(w, header); err != nil {
		return err
	}
	for _, s := range hosts {
		cells := []string{s.Name}
		for _, p := range columns {
			cells = append(cells, seconds(timing(s, p)))
		}
		if imaged {
			cells = append(cells, speed(timing(s, host.PhaseImage))...)
		}
		if err := row(w, cells); err != nil {
			return err
		}
	}
	return w.Flush()
}

func row(w io.Writer, cells []string) error {
	_, err := fmt.Fprintln(w, strings.Join(cells, "\t")+"\t")
	return err
}

func timing(s host.Status, p host.Phase) *host.Timing {
	i := slices.IndexFunc(s.Timings, func(t host.Timing) bool { return t.Phase == p })
	if i < 0 {
		return nil
	}
	return &s.Timings[i]
}

func seconds(t *host.Timing) string {
	if t == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f", t.Seconds)
}

func speed(t *host.Timing) []string {
	if t == nil || t.Bytes == 0 || t.Seconds <= 0 {
		return []string{"-", "-", "-", "-", "-"}
	}
	of := func(n int64) []string {
		mb := float64(n) / 1e6
		return []string{fmt.Sprintf("%.0f", mb), fmt.Sprintf("%.1f", mb/t.Seconds)}
	}
	return append(append(of(t.Bytes), of(t.Written)...), fmt.Sprintf("%.1f", t.Baseline/1e6))
}
