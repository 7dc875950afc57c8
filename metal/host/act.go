package host

import (
	"context"
	"fmt"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/bmc"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// act does one action. Each is repeatable: after a kill in its middle, the next
// observation leads to it again or to what follows it.
func (r *run) act(ctx context.Context, a Action) error {
	switch a {
	case ActLedger:
		return r.openLedger(ctx)
	case ActPowerOff:
		return r.powerOff(ctx)
	case ActPowerOn:
		return r.powerOn(ctx)
	case ActBootInstaller:
		return r.bootInstaller(ctx)
	case ActAwait:
		return r.await(ctx)
	case ActAccept:
		return r.accept()
	case ActWrite:
		return r.write(ctx)
	case ActAdoptWritten:
		return r.adoptWritten()
	case ActStart:
		return r.startSystem(ctx)
	case ActWipe:
		return r.wipe(ctx)
	case ActForgetImage:
		return r.forgetImage()
	case ActRestore:
		return r.restore(ctx)
	}
	return fmt.Errorf("action %q is not known", a)
}

func (r *run) powerOff(ctx context.Context) error {
	r.phase(PhasePowerOff, "switching off")
	ctx, cancel := context.WithTimeout(ctx, seconds(r.spec().Timeouts.PowerSeconds, defaultPower))
	defer cancel()
	if err := r.askToStop(ctx); err != nil {
		return err
	}
	if err := r.bmc.SetPower(ctx, bmc.ForceOff); err != nil {
		return err
	}
	r.endPhase(PhasePowerOff)
	r.mu.Lock()
	r.inventory, r.current, r.progress = nil, nil, nil
	r.mu.Unlock()
	return r.update(func(rec *Record) { rec.Boot, rec.Status.Power = nil, "off" })
}

// politeWait is how long a system that somebody else installed may take to shut
// down before it is switched off.
const politeWait = time.Minute

// askToStop lets a system that is not ours shut down in order. One that does not
// is switched off all the same; the attempt is told.
func (r *run) askToStop(ctx context.Context) error {
	rec := r.record()
	if rec.Boot != nil || rec.Status.Deployment != "" || rec.Status.Hardware != nil {
		return nil
	}
	polite, cancel := context.WithTimeout(ctx, politeWait)
	defer cancel()
	if err := r.bmc.SetPower(polite, bmc.GracefulShutdown); err != nil {
		r.tell(fmt.Sprintf("it did not shut down in %s; switching it off", politeWait), 0, 0)
	}
	return ctx.Err()
}

// powerOn starts what is installed.
func (r *run) powerOn(ctx context.Context) error {
	r.phase(PhasePowerOn, "switching on")
	ctx, cancel := context.WithTimeout(ctx, seconds(r.spec().Timeouts.PowerSeconds, defaultPower))
	defer cancel()
	if err := r.bmc.SetPower(ctx, bmc.On); err != nil {
		return err
	}
	return r.update(func(rec *Record) { rec.Status.Power = "on" })
}

// bootInstaller makes a token, sets the one-time boot and switches on. The token
// is written down first, so that a boot that outlives this process is known.
func (r *run) bootInstaller(ctx context.Context) error {
	if r.boots++; r.boots > maxBoots {
		return r.didNotBoot(r.record().Boot)
	}
	r.phase(PhasePowerOn, "starting the installer")
	spec, token := r.spec(), secret()
	if err := r.update(func(rec *Record) {
		rec.Boot = &BootSession{Token: token, Started: r.m.cfg.Now()}
	}); err != nil {
		return err
	}
	r.mu.Lock()
	r.inventory, r.current, r.progress = nil, nil, nil
	r.mu.Unlock()
	system, err := r.bmc.System(ctx)
	if err != nil {
		return err
	}
	boot, err := r.oneTimeBoot(spec, system, token)
	if err != nil {
		return err
	}
	if err := r.bmc.SetBoot(ctx, boot); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, seconds(spec.Timeouts.PowerSeconds, defaultPower))
	defer cancel()
	if err := r.bmc.SetPower(ctx, bmc.On); err != nil {
		return err
	}
	return r.update(func(rec *Record) { rec.Status.Power = "on" })
}

// oneTimeBoot is the override that leads into the installer.
func (r *run) oneTimeBoot(spec Spec, system bmc.System, token string) (bmc.Boot, error) {
	method := spec.BootMethod
	if method == "" || method == "auto" {
		method = BootPXE
		if supports(system.Boot, "UefiHttp") {
			method = BootUEFIHTTP
		}
	}
	want := bmc.Boot{Enabled: "Once", Target: "Pxe", Mode: system.Boot.Mode}
	if method == BootPXE {
		return want, nil
	}
	if !supports(system.Boot, "UefiHttp") {
		return want, &fault.Error{Class: fault.NeedsPerson, Attribute: "boot_method", Summary: "the BMC cannot boot by UEFI HTTP",
			Seen: fmt.Sprintf("boot targets %v", system.Boot.Supports), Expected: "UefiHttp", Advice: `set boot_method = "pxe" or "auto"`}
	}
	url, err := r.m.cfg.Site.BootURL(spec, token)
	if err != nil {
		return want, err
	}
	want.Target, want.Mode, want.HTTPBootURI = "UefiHttp", "UEFI", url
	return want, nil
}

func supports(b bmc.Boot, target string) bool {
	for _, t := range b.Supports {
		if t == target {
			return true
		}
	}
	return false
}

// await waits for the installer's report, for the boot's deadline, or for the
// time to look at the power again.
func (r *run) await(ctx context.Context) error {
	r.mu.Lock()
	changed, boot := r.changed, r.rec.Boot
	r.mu.Unlock()
	wait := powerCheck
	if boot != nil && boot.KeyDigest == "" {
		wait = min(wait, time.Until(boot.Started.Add(seconds(r.spec().Timeouts.BootSeconds, defaultBoot))))
	}
	timer := time.NewTimer(max(wait, 100*time.Millisecond))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-timer.C:
		r.tell("waiting for the installer", 0, 0)
	}
	return nil
}

// didNotBoot says why the installer was not heard, from what the network saw.
func (r *run) didNotBoot(last *BootSession) error {
	spec := r.spec()
	e := &fault.Error{Class: fault.NeedsPerson, Phase: string(PhasePowerOn), Summary: "the installer did not start",
		Expected: fmt.Sprintf("a report within %s of power-on, tried %d times", seconds(spec.Timeouts.BootSeconds, defaultBoot), maxBoots)}
	since := r.m.cfg.Now().Add(-time.Duration(maxBoots) * seconds(spec.Timeouts.BootSeconds, defaultBoot))
	if last != nil {
		since = last.Started
	}
	e.Evidence = r.m.cfg.Site.Seen(spec.BootMAC, since)
	if len(e.Evidence) == 0 {
		e.Seen = fmt.Sprintf("nothing was heard from %s: no DHCP request, no download", spec.BootMAC)
		e.Advice = "check the cable and VLAN of that port, that boot_mac is right, and that network boot is enabled in the firmware"
		return e
	}
	e.Seen = fmt.Sprintf("%s spoke to the boot services, but no installer reported", spec.BootMAC)
	e.Advice = "see how far it came in the evidence; the console shows why it stopped there"
	return e
}

// accept checks the session's inventory and keeps it.
func (r *run) accept() error {
	r.mu.Lock()
	inv, rec := r.inventory, r.rec
	r.mu.Unlock()
	r.phase(PhaseInspect, "checking the inventory")
	macs := make([]string, 0, len(inv.NICs))
	for _, n := range inv.NICs {
		macs = append(macs, n.MAC)
	}
	if !contains(macs, rec.Spec.BootMAC) {
		return &fault.Error{Class: fault.NeedsPerson, Attribute: "boot_mac", Summary: "no port of the host has the boot MAC address",
			Seen: fmt.Sprintf("%v", macs), Expected: rec.Spec.BootMAC, Advice: "correct boot_mac"}
	}
	disk, err := SelectRootDisk(rec.Spec.RootDevice, inv.Disks)
	if err != nil {
		return err
	}
	if err := checkForeign(rec.Spec, disk); err != nil {
		return err
	}
	ref := refOf(disk)
	r.endPhase(PhaseInspect)
	return r.update(func(rec *Record) {
		rec.Status.Hardware, rec.Status.RootDisk = inv, &ref
	})
}

// sessionDisk is the root disk in this session's inventory.
func (r *run) sessionDisk() (order.Disk, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inventory == nil {
		return order.Disk{}, &fault.Error{Class: fault.Retryable, Summary: "the installer's session ended"}
	}
	ref := r.rec.Status.RootDisk
	if ref == nil {
		return SelectRootDisk(r.rec.Spec.RootDevice, r.inventory.Disks)
	}
	if d := sameDisk(*ref, r.inventory.Disks); d != nil {
		return *d, nil
	}
	return order.Disk{}, &fault.Error{Class: fault.NeedsPerson, Attribute: "root_device", Summary: "the root disk is not there any more",
		Seen: "other disks", Expected: fmt.Sprintf("%s, serial %q, %d bytes", ref.Name, ref.Serial, ref.SizeBytes),
		Advice: "put the disk back, or replace the host: destroy it (abandon if need be) and create it again", Evidence: describeDisks(r.inventory.Disks)}
}
