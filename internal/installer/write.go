package installer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nanometal/terraform-provider-metal/internal/installer/content"
	"github.com/nanometal/terraform-provider-metal/metal/image"
	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// imagePatience is how long a download waits for an agent that went away.
const imagePatience = 30 * time.Minute

// writeImage writes an image and the first files into it. Every step can be
// cut short by a power loss: the mark says then that the disk is ours and not
// complete.
func (r *runner) writeImage(ctx context.Context, o order.WriteImageOrder, t *tracker) (err error) {
	t.step("check")
	d, err := r.openChecked(ctx, o.Disk)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if o.RawSizeBytes > o.Disk.SizeBytes {
		return refuse(order.ReasonDiskTooSmall, "disk %q has %d bytes, the image needs %d", o.Disk.Name, o.Disk.SizeBytes, o.RawSizeBytes)
	}
	if err := refuseForeign(d, o); err != nil {
		return err
	}
	mark := o.Mark
	mark.Complete = false
	res, err := r.stream(ctx, d, o, mark, t)
	if err != nil {
		return err
	}
	if err := d.Reread(ctx); err != nil {
		return err
	}
	t.step("seed")
	if err := seedRoot(ctx, d, o); err != nil {
		return err
	}
	if res.ReservedUsed {
		r.logger.Warn("the image uses the place of the mark; the disk stays without one", "disk", o.Disk.Name)
		return d.Sync()
	}
	mark.Complete = true
	return writeMark(d, &mark)
}

// refuseForeign lets only an empty disk, one of ours, or an order to overwrite pass.
func refuseForeign(d Disk, o order.WriteImageOrder) error {
	if o.Overwrite {
		return nil
	}
	mark, err := ReadMark(d)
	if err != nil || mark != nil {
		return err
	}
	found, err := content.Inspect(d, o.Disk.SizeBytes)
	if err != nil {
		return fmt.Errorf("looking at disk %q: %w", o.Disk.Name, err)
	}
	if !found.Empty() {
		return refuse(order.ReasonForeignData, "disk %q has data that is not ours: %s", o.Disk.Name, strings.Join(found.Lines(), ", "))
	}
	return nil
}

func (r *runner) stream(ctx context.Context, d Disk, o order.WriteImageOrder, mark order.Mark, t *tracker) (image.Result, error) {
	t.step("clear")
	if err := writeMark(d, &mark); err != nil {
		return image.Result{}, err
	}
	zeroed, certain, err := d.Blank(ctx, o.RawSizeBytes)
	if err != nil {
		return image.Result{}, err
	}
	if err := zeroTail(d, o.Disk.SizeBytes); err != nil {
		return image.Result{}, err
	}
	if err := r.baseline(d, o.Disk.SizeBytes, t); err != nil {
		return image.Result{}, err
	}
	if err := writeMark(d, &mark); err != nil { // again: the discard took it
		return image.Result{}, err
	}
	t.step("write")
	src := &image.ResumingReader{Client: r.images, URL: o.URL, SizeBytes: o.SizeBytes, GiveUpAfter: imagePatience, Logger: r.logger}
	if err := src.Open(ctx); err != nil {
		return image.Result{}, fmt.Errorf("%w: %w", image.ErrSource, err)
	}
	defer src.Close()
	so := image.StreamOptions{Source: src, Subject: "image of this host", SHA256: o.SHA256, Format: o.Format, Target: d,
		LimitBytes: o.Disk.SizeBytes, Zeroed: zeroed, Reserved: markRange,
		Progress: func(raw, written int64) { t.bytes(raw, o.RawSizeBytes, written) }}
	if !certain {
		so.ReadBack = d
	}
	if o.RawSizeBytes > 0 {
		so.LimitBytes = o.RawSizeBytes
	}
	res, err := image.Stream(ctx, so)
	if err == nil {
		r.logger.Info("image written", "raw MiB", res.RawBytes>>20, "written MiB", res.WrittenBytes>>20,
			"seconds", int(res.Elapsed.Seconds()), "reconnects", src.Reopened)
	}
	return res, err
}

// baselineSpan is how much is written to learn how fast the disk is.
const baselineSpan = 64 << 20

// baseline writes zeros to the start of the disk, which the image overwrites, as
// dd would: the figure that the image's speed is read beside. A slow disk shows.
func (r *runner) baseline(d Disk, size int64, t *tracker) error {
	began := time.Now()
	n := min(baselineSpan, size)
	if err := zeroRange(d, size, 0, n); err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return err
	}
	t.baseline(float64(n) / max(time.Since(began).Seconds(), 1e-6))
	return nil
}

// zeroTail removes a former backup GPT, which would contradict the new table.
func zeroTail(d Disk, size int64) error {
	n := min(metadataSpan, size)
	return zeroRange(d, size, size-n, n)
}
