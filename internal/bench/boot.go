package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/lab"
	"github.com/nanometal/terraform-provider-metal/metal/bmc"
	"github.com/nanometal/terraform-provider-metal/metal/netboot"
)

// bootPatience bounds one boot; an emulated machine on a busy host is slow.
const bootPatience = 5 * time.Minute

const consoleWords = "console=tty0 console=ttyS0,115200n8 quiet"

// bootKind is something to boot, and the console lines at which it got there.
type bootKind struct {
	name, image, cmdline string
	lines                map[string]string // column by what the console says
}

const untilInit, untilNetwork = "s to /init", "s to network"

// bootKinds are the floor and the installer. Without its words on the command
// line the installer says at once, before anything else, that they are missing:
// that is the moment at which /init runs. With them it goes on to the network.
func bootKinds(agent netip.Addr) []bootKind {
	return []bootKind{
		{name: "minimal kernel and /init", image: "minimal.efi", cmdline: consoleWords, lines: map[string]string{"minimal-init: reached": untilInit}},
		{name: "installer", image: "installer.efi", cmdline: consoleWords, lines: map[string]string{"installer: the kernel command line has no": untilInit}},
		{name: "installer with its work", image: "installer.efi",
			cmdline: fmt.Sprintf("metal.agent=https://%s:1 metal.pin=%s metal.token=bench %s", agent, strings.Repeat("0", 64), consoleWords),
			lines:   map[string]string{"network up": untilNetwork}},
	}
}

// benchBoot runs in the network of a lab with one machine.
func benchBoot(ctx context.Context, o options) error {
	heading("Power-on to the installer")
	if err := printSizes(o.installer); err != nil {
		return err
	}
	if o.lab == "" {
		note("Not measured: booting (there is no lab; it needs QEMU and root or user namespaces).")
		return nil
	}
	b, err := newBootBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	kinds := bootKinds(b.address.Addr())
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	for round := range o.runs {
		for _, k := range kinds {
			progress("boot: round %d, %s", round+1, k.name)
			if err := b.boot(ctx, k); err != nil {
				return fmt.Errorf("booting %q: %w", k.name, err)
			}
		}
	}
	b.samples.print(os.Stdout, "from Redfish On by UEFI HTTP", names, []column{{"s to first DHCP", "%.1f"}, {"s to HTTP done", "%.1f"}, {untilInit, "%.1f"}, {untilNetwork, "%.1f"}})
	ratio := b.samples.median("installer", untilInit) / b.samples.median(kinds[0].name, untilInit)
	note("Goal: the installer's /init within 1.20 times the floor; measured %.2f times. Accelerator: %s (%s).", ratio, b.status.Accelerator, b.status.AcceleratorReason)
	return nil
}

func printSizes(dir string) error {
	s := samples{}
	var rows []string
	sum := int64(0)
	for _, f := range []struct {
		name    string
		counted bool
	}{{"vmlinuz", true}, {"initramfs.zst", true}, {"installer.efi", false}, {"minimal.efi", false}} {
		info, err := os.Stat(filepath.Join(dir, f.name))
		if err != nil {
			return fmt.Errorf("measuring the installer: %w", err)
		}
		if f.counted {
			sum += info.Size()
		}
		rows = append(rows, f.name)
		s.add(f.name, "MiB", float64(info.Size())/(1<<20))
	}
	s.print(os.Stdout, "file", rows, []column{{"MiB", "%.1f"}})
	note("Goal: kernel and initramfs within 40 MiB; they are %.1f MiB.", float64(sum)/(1<<20))
	return nil
}

// bootBench is one machine of the lab with its BMC.
type bootBench struct {
	options options
	status  lab.Status
	address netip.Prefix
	machine lab.MachineStatus
	mac     net.HardwareAddr
	client  *bmc.Client
	work    string
	samples samples
}

func newBootBench(ctx context.Context, o options) (*bootBench, error) {
	b := &bootBench{options: o, samples: samples{}}
	raw, err := os.ReadFile(o.lab)
	if err == nil {
		err = json.Unmarshal(raw, &b.status)
	}
	if err == nil && len(b.status.Machines) == 0 {
		err = errors.New("it has no machine")
	}
	if err != nil {
		return nil, fmt.Errorf("reading the lab's status %q: %w", o.lab, err)
	}
	b.machine = b.status.Machines[0]
	if b.address, err = netip.ParsePrefix(b.status.Address); err != nil {
		return nil, fmt.Errorf("reading the lab's status %q: %w", o.lab, err)
	}
	if b.mac, err = net.ParseMAC(b.machine.MACs[0]); err != nil {
		return nil, fmt.Errorf("reading the lab's status %q: %w", o.lab, err)
	}
	password, err := os.ReadFile(b.status.BMCPasswordFile)
	if err != nil {
		return nil, fmt.Errorf("reading the BMC's password: %w", err)
	}
	if b.work, err = os.MkdirTemp(o.work, "boot-"); err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	b.client, err = bmc.Connect(ctx, bmc.Config{URL: b.machine.BMCURL, Username: b.status.BMCUser,
		Password: strings.TrimRight(string(password), "\n"), Fingerprint: b.machine.BMCFingerprint})
	return b, err
}

func (b *bootBench) close() {
	_ = b.client.Close(context.Background()) // the lab goes away
	_ = os.RemoveAll(b.work)
}

// folder is an installer's folder whose UEFI image is another.
func (b *bootBench) folder(k bootKind) (string, error) {
	dir, err := os.MkdirTemp(b.work, "files-")
	if err != nil {
		return "", err
	}
	for _, name := range netboot.RequiredFiles(true) {
		from := name
		if name == "installer.efi" {
			from = k.image
		}
		if err := os.Symlink(filepath.Join(b.options.installer, from), filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// directory knows the one machine.
type directory struct{ client netboot.Client }

func (d directory) ByMAC(mac net.HardwareAddr) (netboot.Client, bool) {
	return d.client, bytes.Equal(mac, d.client.MAC)
}

func (d directory) ByToken(token string) (netboot.Client, bool) {
	return d.client, token == d.client.Boot.Token
}

// boot switches the machine on and times its way, with the product's own boot
// services and BMC client; then it switches it off.
func (b *bootBench) boot(ctx context.Context, k bootKind) (err error) {
	ctx, cancel := context.WithTimeout(ctx, bootPatience)
	defer cancel()
	dir, err := b.folder(k)
	if err != nil {
		return err
	}
	seen := make(chan netboot.Observation, 4096)
	token := fmt.Sprintf("bench-%d-token", time.Now().UnixNano())
	server, err := netboot.Start(ctx, netboot.Config{InstallerDir: dir, HTTPPort: 8080, DHCP: true,
		Networks: []netboot.Network{{Name: "lab", Agent: b.address.Addr(), Prefix: b.address.Masked()}},
		Observe: func(o netboot.Observation) {
			select {
			case seen <- o:
			default: // the times of interest come first
			}
		}}, directory{netboot.Client{Name: "server-1", Network: "lab", MAC: b.mac, Addr: netip.PrefixFrom(host(b.address, 100), b.address.Bits()),
		Boot: &netboot.Boot{Token: token, Cmdline: k.cmdline}}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	if err := b.client.SetBoot(ctx, bmc.Boot{Enabled: "Once", Target: "UefiHttp", Mode: "UEFI", HTTPBootURI: server.BootURL("lab", token)}); err != nil {
		return err
	}
	log, err := openConsole(b.machine.Console)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := b.client.RequestPower(ctx, bmc.On); err != nil {
		return err
	}
	times, err := log.wait(ctx, k.lines)
	off := b.client.SetPower(context.WithoutCancel(ctx), bmc.ForceOff)
	if err = errors.Join(err, off); err != nil {
		return err
	}
	for name, at := range times {
		b.samples.add(k.name, name, at.Sub(began).Seconds())
	}
	b.network(k.name, began, seen)
	return nil
}

// network adds when the firmware first asked and when it had its image.
func (b *bootBench) network(row string, began time.Time, seen <-chan netboot.Observation) {
	first := true
	for {
		select {
		case o := <-seen:
			if first {
				b.samples.add(row, "s to first DHCP", o.Time.Sub(began).Seconds())
				first = false
			}
			if o.Done && o.Total > 1<<20 && o.Bytes == o.Total {
				b.samples.add(row, "s to HTTP done", o.Time.Sub(began).Seconds())
				return
			}
		default:
			return
		}
	}
}

// host is the n-th address of a subnet.
func host(p netip.Prefix, n byte) netip.Addr {
	a := p.Masked().Addr().As4()
	a[3] += n
	return netip.AddrFrom4(a)
}
