package hardware

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/internal/installer"
	"github.com/nanometal/terraform-provider-metal/internal/installer/content"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

type inspector struct {
	sys, proc, dev string
	logger         hclog.Logger
	watcher        *watcher
	life           context.Context
	once           sync.Once
}

// Inspect reads the inventory. The first time, it also starts to listen for
// what comes later.
func (i *inspector) Inspect(ctx context.Context) (order.Inventory, error) {
	if i.watcher != nil {
		i.once.Do(func() { i.watcher.start(i.life, i) })
	}
	inv := order.Inventory{System: system(i.sys), Firmware: firmware(i.sys), CPU: cpu(i.proc), MemoryMB: memory(i.proc)}
	inv.Disks = i.disks(ctx, diskNames(i.sys))
	if err := ctx.Err(); err != nil {
		return inv, err
	}
	for _, name := range names(filepath.Join(i.sys, "class/net")) {
		if nic, ok := nic(i.sys, name); ok {
			inv.NICs = append(inv.NICs, nic)
		}
	}
	return inv, nil
}

// Amendments are what was learnt after an Inspect.
func (i *inspector) Amendments() <-chan func(*order.Inventory) { return i.watcher.amendments }

// diskTime bounds the reading of all disks, which are read side by side: a
// dying one answers after minutes.
const diskTime = 20 * time.Second

// disks describes the disks. One that does not answer in time is reported as
// such; its reading goes on in vain beside us.
func (i *inspector) disks(ctx context.Context, kernelNames []string) []order.Disk {
	ctx, cancel := context.WithTimeout(ctx, diskTime)
	defer cancel()
	read := make([]chan order.Disk, len(kernelNames))
	for k, name := range kernelNames {
		read[k] = make(chan order.Disk, 1)
		go func() { read[k] <- i.disk(name) }()
	}
	var out []order.Disk
	for k, name := range kernelNames {
		select {
		case d := <-read[k]:
			out = append(out, d)
		case <-ctx.Done():
			d := describe(i.sys, name)
			d.Content = []string{"unreadable: no answer within " + diskTime.String()}
			out = append(out, d)
		}
	}
	return out
}

// disk describes a disk with its content. One that cannot be read is reported
// as having unknown content, so that nobody takes it for empty.
func (i *inspector) disk(name string) order.Disk {
	d := describe(i.sys, name)
	lines, mark, err := i.content(d)
	if err != nil {
		i.logger.Warn("disk cannot be read", "disk", d.Name, "error", err)
		lines = append(lines, "unreadable: "+err.Error())
	}
	d.Content, d.Mark = lines, mark
	for _, holder := range names(filepath.Join(i.sys, "block", name, "holders")) {
		d.Content = append(d.Content, "in use by "+holder)
	}
	return d
}

func (i *inspector) content(d order.Disk) ([]string, *order.Mark, error) {
	f, err := os.Open(filepath.Join(i.dev, strings.TrimPrefix(d.Name, "/dev/")))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	found, err := content.Inspect(f, d.SizeBytes)
	mark, merr := installer.ReadMark(f)
	return found.Lines(), mark, errors.Join(err, merr)
}

var _ image.Target = (*disk)(nil)

// system is SMBIOS type 1 as the kernel shows it.
func system(sys string) order.System {
	id := filepath.Join(sys, "class/dmi/id")
	return order.System{Manufacturer: attr(id, "sys_vendor"), Product: attr(id, "product_name"),
		Serial: attr(id, "product_serial"), UUID: strings.ToLower(attr(id, "product_uuid"))}
}

func firmware(sys string) order.Firmware {
	id := filepath.Join(sys, "class/dmi/id")
	f := order.Firmware{Vendor: attr(id, "bios_vendor"), Version: attr(id, "bios_version"), Date: attr(id, "bios_date"), Mode: "bios"}
	if exists(sys, "firmware/efi") {
		f.Mode = "uefi"
	}
	return f
}

func memory(proc string) int64 {
	for _, line := range strings.Split(attr(proc, "meminfo"), "\n") {
		var kib int64
		if n, err := fmt.Sscanf(line, "MemTotal: %d kB", &kib); err == nil && n == 1 {
			return kib / 1024
		}
	}
	return 0
}

// cpu counts in /proc/cpuinfo: one paragraph per thread, with the socket's and
// core's number where the machine tells them.
func cpu(proc string) order.CPU {
	c := order.CPU{Arch: runtime.GOARCH}
	sockets, cores := map[string]bool{}, map[string]bool{}
	for _, para := range strings.Split(attr(proc, "cpuinfo"), "\n\n") {
		f := fields(para)
		if f["processor"] == "" {
			continue
		}
		c.Threads++
		c.Model = firstOf(c.Model, f["model name"], f["CPU implementer"])
		sockets[f["physical id"]] = true
		cores[f["physical id"]+"/"+firstOf(f["core id"], f["processor"])] = true
	}
	c.Sockets, c.Cores = len(sockets), len(cores)
	return c
}

func fields(para string) map[string]string {
	out := map[string]string{}
	for _, line := range strings.Split(para, "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			out[strings.TrimSpace(k)] = strings.TrimSpace(v)
		}
	}
	return out
}

// nic describes an Ethernet port that is hardware (it has a device).
func nic(sys, name string) (order.NIC, bool) {
	dir := filepath.Join(sys, "class/net", name)
	const ethernet = 1 // ARPHRD_ETHER
	if number(dir, "type") != ethernet || !exists(dir, "device") {
		return order.NIC{}, false
	}
	n := order.NIC{Name: name, MAC: attr(dir, "address"), Link: number(dir, "carrier") == 1, Driver: linkBase(dir, "device", "driver")}
	if s := number(dir, "speed"); s > 0 && n.Link {
		n.SpeedMbps = int(s)
	}
	return n, true
}
