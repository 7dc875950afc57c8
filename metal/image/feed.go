package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync/atomic"
)

const (
	feedBlock = 1 << 20
	feedDepth = 8
	// drainLimit bounds how much is read on after the decoder failed, only to
	// tell a wrong file from a broken one.
	drainLimit = 64 << 30
)

// feed reads the source once and gives every block to two consumers: the
// decoder (as an io.Reader) and the digest. Blocks are reused, so memory is
// bounded by feedDepth blocks.
type feed struct {
	free   chan []byte
	toRead chan *feedBuf
	toHash chan *feedBuf
	hashed chan digest
	cur    *feedBuf
	off    int
	head   []byte
	err    error // set before toRead is closed
	halt   chan struct{}
	// detached: the decoder reads no more; blocks are only hashed.
	detached chan struct{}
}

type feedBuf struct {
	b    []byte
	refs atomic.Int32
}

func newFeed(ctx context.Context, src io.Reader) *feed {
	f := &feed{free: make(chan []byte, feedDepth), toRead: make(chan *feedBuf, feedDepth), toHash: make(chan *feedBuf, feedDepth),
		hashed: make(chan digest, 1), halt: make(chan struct{}), detached: make(chan struct{})}
	for range feedDepth {
		f.free <- nil // allocated when first used: a small image takes little
	}
	go f.read(ctx, src)
	go f.hash()
	return f
}

func (f *feed) read(ctx context.Context, src io.Reader) {
	defer close(f.toHash)
	defer close(f.toRead)
	var total int64
	for {
		var b []byte
		select {
		case b = <-f.free:
		case <-ctx.Done():
			f.err = context.Cause(ctx)
			return
		case <-f.halt:
			f.err = io.ErrClosedPipe
			return
		}
		if b == nil {
			b = make([]byte, feedBlock)
		}
		n, err := readBlock(src, b[:feedBlock])
		if total += int64(n); total > drainLimit && f.isDetached() {
			f.err = io.ErrClosedPipe
			return
		}
		if n > 0 {
			f.give(b[:n])
		}
		if err != nil {
			f.err = err
			return
		}
	}
}

// readBlock fills b, except that io.EOF after some bytes is reported as io.EOF
// with them. io.ErrUnexpectedEOF stays what the source said.
func readBlock(src io.Reader, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m, err := src.Read(b[n:])
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (f *feed) give(b []byte) {
	buf := &feedBuf{b: b}
	buf.refs.Store(2)
	f.toHash <- buf // never blocks for long: capacity is the number of blocks
	select {
	case f.toRead <- buf:
	case <-f.detached:
		f.release(buf)
	}
}

func (f *feed) release(b *feedBuf) {
	if b.refs.Add(-1) == 0 {
		f.free <- b.b
	}
}

func (f *feed) hash() {
	h, d := sha256.New(), digest{}
	for b := range f.toHash {
		h.Write(b.b)
		d.bytes += int64(len(b.b))
		f.release(b)
	}
	d.sha256 = hex.EncodeToString(h.Sum(nil))
	if f.err == io.EOF {
		d.complete = true
	} else {
		d.err = f.err
	}
	f.hashed <- d
}

// peek gives the first n bytes without consuming them.
func (f *feed) peek(n int) ([]byte, error) {
	if err := f.next(); err != nil {
		return nil, err
	}
	return f.cur.b[:min(n, len(f.cur.b))], nil
}

// next makes cur a block with unread bytes.
func (f *feed) next() error {
	if f.cur != nil && f.off < len(f.cur.b) {
		return nil
	}
	if f.cur != nil {
		f.release(f.cur)
		f.cur = nil
	}
	b, ok := <-f.toRead
	if !ok {
		return f.err
	}
	f.cur, f.off = b, 0
	return nil
}

// Read is the decoder's side.
func (f *feed) Read(p []byte) (int, error) {
	if err := f.next(); err != nil {
		return 0, err
	}
	n := copy(p, f.cur.b[f.off:])
	f.off += n
	return n, nil
}

func (f *feed) isDetached() bool {
	select {
	case <-f.detached:
		return true
	default:
		return false
	}
}

// finish ends the decoder's side and, with drain, waits for the digest of the
// whole source.
func (f *feed) finish(drain bool) digest {
	close(f.detached)
	if !drain {
		close(f.halt)
		return digest{}
	}
	for b := range f.toRead {
		f.release(b)
	}
	return <-f.hashed
}

// stop lets the goroutines end when Stream is left early.
func (f *feed) stop() {
	select {
	case <-f.halt:
	default:
		close(f.halt)
	}
}
