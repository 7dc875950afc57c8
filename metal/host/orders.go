package host

import (
	"context"
	"fmt"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// write gives the order to write the image. The disk is checked once more with
// what this session saw; the installer checks again.
func (r *run) write(ctx context.Context) error {
	d := r.deployment
	disk, err := r.sessionDisk()
	if err != nil {
		return err
	}
	spec := r.spec()
	if err := checkForeign(spec, disk); err != nil {
		return err
	}
	if err := r.update(func(rec *Record) {
		rec.Status.State, rec.Status.Deployment, rec.Status.Owner, rec.Status.Image = Provisioning, d.ID, d.Owner, d.Image.SHA256
		rec.Written, rec.Booted = false, false
		rec.Status.Milestones, rec.Status.MilestoneTimes = nil, nil
	}); err != nil {
		return err
	}
	r.phase(PhaseImage, "writing the image to "+disk.Name)
	p, err := r.obey(ctx, order.Order{ID: r.orderID(order.WriteImage), Kind: order.WriteImage, WriteImage: &order.WriteImageOrder{
		Disk: refOf(disk), Overwrite: spec.Wipe == WipeAny, URL: d.Image.URL, SHA256: d.Image.SHA256, SizeBytes: d.Image.SizeBytes,
		Format: d.Image.Format, RawSizeBytes: d.Image.RawSizeBytes, Mark: order.Mark{Host: spec.Name, Deployment: d.ID},
		Seed: d.Seed, Files: d.Files}})
	if err != nil {
		return err
	}
	if p == nil {
		return nil // to be tried again
	}
	r.timing(Timing{Phase: PhaseImage, Seconds: p.Elapsed.Seconds(), Bytes: max(p.Total, p.Done), Written: p.Written, Baseline: p.Baseline})
	return r.update(func(rec *Record) { rec.Written = true }) // counted by takeProgress
}

// adoptWritten takes over what an earlier process had written and could not
// write down.
func (r *run) adoptWritten() error {
	d := r.deployment
	return r.update(func(rec *Record) {
		rec.Status.State, rec.Status.Deployment, rec.Status.Owner, rec.Status.Image = Provisioning, d.ID, d.Owner, d.Image.SHA256
		rec.Written, rec.Booted = true, false
		rec.Status.ImagesWritten = max(rec.Status.ImagesWritten, 1) // nobody was there to count it
	})
}

// startSystem boots the installed system; the session ends with it.
func (r *run) startSystem(ctx context.Context) error {
	disk, err := r.sessionDisk()
	if err != nil {
		return err
	}
	r.phase(PhaseKexec, "starting the installed system")
	p, err := r.obey(ctx, order.Order{ID: r.orderID(order.Boot), Kind: order.Boot,
		Boot: &order.BootOrder{Disk: refOf(disk), ExtraCmdline: r.deployment.ExtraCmdline}})
	if err != nil || p == nil {
		return err
	}
	return r.markBooted()
}

// markBooted ends the session: from now on the deployed system runs.
func (r *run) markBooted() error {
	r.mu.Lock()
	r.inventory, r.current, r.progress = nil, nil, nil
	r.mu.Unlock()
	return r.update(func(rec *Record) { rec.Booted, rec.Boot = true, nil })
}

// wipe takes what was deployed off the root disk.
func (r *run) wipe(ctx context.Context) error {
	disk, err := r.sessionDisk()
	if err != nil {
		return err
	}
	if rec := r.record(); !rec.Written && rec.Status.ImagesWritten == 0 {
		if err := checkForeign(rec.Spec, disk); err != nil {
			return err
		}
	}
	if err := r.update(func(rec *Record) { rec.Status.State = Deprovisioning }); err != nil {
		return err
	}
	r.phase(PhaseWipe, "wiping "+disk.Name)
	p, err := r.obey(ctx, order.Order{ID: r.orderID(order.Wipe), Kind: order.Wipe, Wipe: &order.WipeOrder{Disks: []order.DiskRef{refOf(disk)}}})
	if err != nil || p == nil {
		return err
	}
	r.endPhase(PhaseWipe)
	return r.forgetImage()
}

func (r *run) forgetImage() error {
	return r.update(func(rec *Record) {
		rec.Status.Deployment, rec.Status.Owner, rec.Status.Image = "", "", ""
		rec.Written, rec.Booted, rec.MilestoneKey = false, false, ""
		rec.Status.Milestones, rec.Status.MilestoneTimes = nil, nil
	})
}

// orderID names an order within the host's life: the same step of the same boot
// session and attempt has the same ID, whichever process gives it.
func (r *run) orderID(kind order.Kind) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	boot := ""
	if r.rec.Boot != nil {
		boot = digest(r.rec.Boot.Token)[:12]
	}
	return fmt.Sprintf("%s/%s/%s/%d", kind, boot, r.deploymentID(), r.orders[kind])
}

// obey gives an order and waits for its end. A nil Progress without error means:
// look again and decide anew (the installer was lost, or a retryable failure).
func (r *run) obey(ctx context.Context, o order.Order) (*order.Progress, error) {
	r.mu.Lock()
	r.current, r.progress = &o, nil
	r.mu.Unlock()
	stall := seconds(r.spec().Timeouts.StallSeconds, defaultStall)
	moved, last := r.m.cfg.Now(), int64(-1)
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	for {
		r.mu.Lock()
		changed, p, contact := r.changed, r.progress, r.contact
		r.mu.Unlock()
		now := r.m.cfg.Now()
		if p != nil {
			switch p.State {
			case order.Done:
				return p, nil
			case order.Failed:
				return nil, r.failed(o, *p)
			}
			if p.Done != last {
				last, moved = p.Done, now
			}
		}
		if now.Sub(contact) > lostContact {
			r.tell("the installer is silent; looking again", 0, 0)
			return nil, nil
		}
		if now.Sub(moved) > stall {
			return nil, &fault.Error{Class: fault.Retryable, Summary: "no progress", Seen: fmt.Sprintf("%d bytes for %s", last, stall),
				Expected: "progress", Advice: "look at the disk's health; raise timeouts.stall_seconds for slow disks"}
		}
		timer.Reset(time.Second)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		case <-timer.C:
		}
	}
}

// failed turns the installer's reason into a fault; nil means: try again.
func (r *run) failed(o order.Order, p order.Progress) error {
	if p.Retryable {
		if r.orders[o.Kind]++; r.orders[o.Kind] < maxOrders {
			r.tell(fmt.Sprintf("trying again: %s", p.Error), 0, 0)
			return nil
		}
	}
	e := &fault.Error{Class: fault.NeedsPerson, Summary: fmt.Sprintf("the installer could not carry out %q", o.Kind), Seen: p.Error}
	switch p.Reason {
	case order.ReasonDigestMismatch:
		e.Attribute, e.Summary = "image.sha256", "the image's digest is wrong"
	case order.ReasonForeignData:
		e.Attribute, e.Summary = "wipe", "the root disk holds data that this product did not write"
		e.Advice = `save the data, or set wipe = "any" on this host; nothing was written`
	case order.ReasonDiskChanged, order.ReasonDiskTooSmall:
		e.Attribute = "root_device"
	case order.ReasonNoBootable:
		e.Attribute = "image.url"
	}
	return e
}
