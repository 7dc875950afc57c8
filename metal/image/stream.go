package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

var (
	// ErrDigest says that the bytes read are not those that were asked for.
	ErrDigest = errors.New("the digest does not match")
	// ErrTooLarge says that the decoded image is larger than allowed.
	ErrTooLarge = errors.New("the image is larger than its target")
	// ErrSource wraps a failure to read the image's bytes.
	ErrSource = errors.New("the image cannot be read")
	// ErrTarget wraps a failure to write.
	ErrTarget = errors.New("the target cannot be written")
)

// Target is what an image is written to: a Device, or a file.
type Target interface {
	io.WriterAt
	// Sync makes everything written durable.
	Sync() error
}

// Range is a part of a target, in bytes.
type Range struct{ Offset, Length int64 }

// StreamOptions describe one Stream. Source, Target and SHA256 are required.
type StreamOptions struct {
	// Source gives the image's bytes as they are stored (compressed or not).
	Source io.Reader
	// Subject names the image in faults: `image "https://..."`.
	Subject string
	// SHA256 is the digest, in hex, of everything that Source gives.
	SHA256 string
	// Format is Raw, Zstd or Gzip; empty: by the magic number.
	Format string
	Target Target
	// LimitBytes bounds the decoded size, usually the target's size; 0: no bound.
	LimitBytes int64
	// Zeroed says that the target reads zero everywhere already, so that zeros
	// need not be written.
	Zeroed bool
	// ReadBack, with Zeroed, is the target for reading: every range of zeros is
	// read back, and written after all where the target did not read zero.
	ReadBack io.ReaderAt
	// Reserved is a range that zeros of the image do not overwrite. Other data
	// does; Result tells. It must be aligned to 4096 bytes.
	Reserved Range
	// Progress is called about once per Interval (0: 250 ms) and at the end with
	// the decoded bytes so far and those really written. Never concurrently.
	Progress func(raw, written int64)
	Interval time.Duration
}

// Result is what a Stream did.
type Result struct {
	// SourceBytes were read, RawBytes decoded, WrittenBytes really written.
	SourceBytes, RawBytes, WrittenBytes int64
	// ReservedUsed says that the image has data of its own in the reserved range.
	ReservedUsed bool
	// Format is what the image was.
	Format string
	// Elapsed is the time taken, with the final sync.
	Elapsed time.Duration
}

// Stream decodes an image onto a target: reading, digest, decoding and writing
// run side by side on large reused buffers (about 40 MiB in all, and the
// decoder's window). The target is durable and the digest verified when it
// returns nil. After an error the target's content is undefined.
//
// Errors wrap ErrDigest (as a *fault.Error on "image.sha256"), ErrTooLarge,
// ErrSource or ErrTarget.
func Stream(ctx context.Context, o StreamOptions) (Result, error) {
	began := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &stream{o: o, ctx: ctx, fail: cancel}
	feed := newFeed(ctx, o.Source)
	defer feed.stop()

	stopProgress := s.reportProgress()
	format, err := s.decodeAndWrite(feed)
	stopProgress()
	// After a decoder's complaint the rest is read for its digest: a wrong file
	// and a broken one need different advice.
	digest := feed.finish(err == nil || ctx.Err() == nil && !errors.Is(err, ErrTooLarge))

	res := Result{SourceBytes: digest.bytes, RawBytes: s.raw.Load(), WrittenBytes: s.written.Load(),
		ReservedUsed: s.reservedUsed.Load(), Format: format}
	if err := s.verdict(err, digest); err != nil {
		return res, err
	}
	if err := o.Target.Sync(); err != nil {
		return res, fmt.Errorf("syncing the target: %w: %w", ErrTarget, err)
	}
	if o.Progress != nil {
		o.Progress(res.RawBytes, res.WrittenBytes)
	}
	res.Elapsed = time.Since(began)
	return res, nil
}

type stream struct {
	o            StreamOptions
	ctx          context.Context
	fail         context.CancelCauseFunc
	raw, written atomic.Int64
	reservedUsed atomic.Bool
}

// verdict chooses the error that helps most: a source that ended early or a
// full disk is itself; a decoder's complaint about bytes that are not the ones
// asked for is a digest mismatch.
func (s *stream) verdict(err error, d digest) error {
	switch {
	case errors.Is(err, ErrTarget), errors.Is(err, ErrTooLarge), s.ctx.Err() != nil && err != nil:
		return err
	case d.err != nil:
		return fmt.Errorf("%w: %w", ErrSource, d.err)
	case d.complete && !strings.EqualFold(d.sha256, s.o.SHA256):
		return mismatch(s.o.Subject, d.sha256, s.o.SHA256)
	}
	return err
}

func mismatch(subject, actual, expected string) error {
	return &fault.Error{Class: fault.NeedsPerson, Subject: subject, Attribute: "image.sha256",
		Summary: "the image's digest does not match", Seen: "sha256 " + actual, Expected: "sha256 " + strings.ToLower(expected),
		Advice: "check that the URL serves the intended file, then correct image.sha256 or the file", Err: ErrDigest}
}

func (s *stream) decodeAndWrite(feed *feed) (string, error) {
	head, err := feed.peek(4)
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("%w: %w", ErrSource, err)
	}
	format := s.o.Format
	if format == "" {
		format = DetectFormat(head)
	}
	dec, err := newDecoder(format, feed)
	if err != nil {
		return format, err
	}
	defer dec.Close()
	return format, s.pump(dec)
}

// reportProgress calls Progress at intervals until the function returned is called.
func (s *stream) reportProgress() (stop func()) {
	if s.o.Progress == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	tick := time.NewTicker(orDefault(s.o.Interval, 250*time.Millisecond))
	go func() {
		defer close(ended)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				s.o.Progress(s.raw.Load(), s.written.Load())
			}
		}
	}()
	return func() { close(done); <-ended }
}

// digest is what the hashing side found.
type digest struct {
	sha256   string
	bytes    int64
	complete bool  // the source came to its end
	err      error // the source's own error
}

// Digest gives the SHA-256, in hex, and the size of everything that r gives.
func Digest(r io.Reader) (string, int64, error) {
	h := sha256.New()
	buf := make([]byte, 1<<20)
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, buf)
	return hex.EncodeToString(h.Sum(nil)), n, err
}
