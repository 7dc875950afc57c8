package cli

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nanometal/terraform-provider-metal/internal/lab"
)

// passwordVariable gives the BMCs' password without a command line.
const passwordVariable = "METAL_LAB_BMC_PASSWORD"

type upFlags struct {
	machines     string
	firmware     string
	memoryMB     int64
	cpus         int
	disks        []string
	nics         int
	subnet       string
	forwards     []string
	bmcUser      string
	passwordFile string
	accelerator  string
	quirks       []string
	foreground   bool
}

func upCommand(w *which) *cobra.Command { return newUp(w, &upFlags{}) }

func newUp(w *which, f *upFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use: "up", Short: "Start a lab, and return when its BMCs answer", Args: cobra.NoArgs,
		Long: "Start a lab, and return when its BMCs answer. What a crashed lab of the same name left is removed first.\n" +
			"The password of the BMCs is that of --bmc-password-file, of $" + passwordVariable + ", or a random one that is kept in the\n" +
			"lab's directory.",
		RunE: func(cmd *cobra.Command, _ []string) error { return up(cmd, w, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.machines, "machines", "1", "number of machines, or a YAML or JSON file that specifies the lab")
	flags.StringVar(&f.firmware, "firmware", "uefi", "firmware of the machines: uefi or bios")
	flags.Int64Var(&f.memoryMB, "memory", 2048, "memory of each machine in MiB")
	flags.IntVar(&f.cpus, "cpus", 2, "processors of each machine")
	flags.StringSliceVar(&f.disks, "disk", []string{"20G"}, "size of a disk of each machine; repeat for more disks")
	flags.IntVar(&f.nics, "nics", 1, "network ports of each machine")
	flags.StringVar(&f.subnet, "subnet", "172.30.0.0/24", "IPv4 network of the lab; the first address is the bridge's")
	flags.StringArrayVar(&f.forwards, "forward", nil, "forward from outside, LISTEN=TARGET, such as 127.0.0.1:16443=172.30.0.100:6443; may be repeated")
	flags.StringVar(&f.bmcUser, "bmc-user", "admin", "user name on the BMCs")
	flags.StringVar(&f.passwordFile, "bmc-password-file", "", "file with the password of the BMCs")
	flags.StringVar(&f.accelerator, "accelerator", "auto", "auto, kvm or tcg; auto takes KVM when a trial boot works")
	flags.StringSliceVar(&f.quirks, "bmc-quirk", nil, "make the BMCs differ from the standard as real ones do: a profile such as idrac, ilo or supermicro, or a single quirk")
	flags.BoolVar(&f.foreground, "foreground", false, "stay until interrupted, then take the lab down")
	return cmd
}

func (f *upFlags) spec(cmd *cobra.Command, name string) (lab.Spec, error) {
	spec := lab.Spec{Name: name, Subnet: f.subnet, BMCUser: f.bmcUser, Accelerator: f.accelerator}
	count, err := strconv.Atoi(f.machines)
	if err != nil {
		if spec, err = lab.LoadSpec(f.machines); err != nil {
			return spec, err
		}
		if spec.Name == "" || cmd.Flags().Changed("name") {
			spec.Name = name
		}
	}
	for range count {
		spec.Machines = append(spec.Machines, lab.MachineSpec{Firmware: f.firmware, CPUs: f.cpus, MemoryMB: f.memoryMB, Disks: f.disks, NICs: f.nics, BMCQuirks: f.quirks})
	}
	for _, text := range f.forwards {
		forward, err := lab.ParseForward(text)
		if err != nil {
			return spec, err
		}
		spec.Forwards = append(spec.Forwards, forward)
	}
	return spec, nil
}

func (f *upFlags) password() (string, error) {
	if f.passwordFile == "" {
		return os.Getenv(passwordVariable), nil
	}
	raw, err := os.ReadFile(f.passwordFile)
	if err != nil {
		return "", fmt.Errorf("reading BMC password: %w", err)
	}
	password := strings.TrimRight(string(raw), "\r\n")
	if password == "" {
		return "", fmt.Errorf("reading BMC password from %q: the file is empty", f.passwordFile)
	}
	return password, nil
}

func up(cmd *cobra.Command, w *which, f *upFlags) error {
	spec, err := f.spec(cmd, w.name)
	if err != nil {
		return err
	}
	password, err := f.password()
	if err != nil {
		return err
	}
	daemon, err := daemonArgs(cmd)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d, err := lab.Up(ctx, lab.Options{Spec: spec, Dir: w.dir, Password: password, Daemon: daemon})
	if err != nil {
		return err
	}
	status, err := lab.ReadStatus(ctx, spec.Name, d.Dir())
	if err != nil {
		return err
	}
	printStatus(cmd.OutOrStdout(), status)
	if !f.foreground {
		return nil
	}
	<-ctx.Done()
	waitErr := errors.Join(d.Stop(), d.Wait())
	return errors.Join(waitErr, down(cmd, &which{name: spec.Name, dir: d.Dir()}, false))
}
