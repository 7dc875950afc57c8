package image

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand"
	"sync"
	"testing"
	"testing/quick"

	"github.com/klauspost/compress/zstd"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// memoryTarget is a disk in memory, filled with junk at first. It remembers
// which bytes were written.
type memoryTarget struct {
	mu      sync.Mutex
	b       []byte
	touched []bool
	fail    error
	synced  bool
}

func newTarget(size int, junk byte) *memoryTarget {
	return &memoryTarget{b: bytes.Repeat([]byte{junk}, size), touched: make([]bool, size)}
}

func (m *memoryTarget) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return 0, m.fail
	}
	for i := range p {
		m.touched[off+int64(i)] = true
	}
	return copy(m.b[off:], p), nil
}

func (m *memoryTarget) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return copy(p, m.b[off:]), nil
}

func (m *memoryTarget) Sync() error { m.synced = true; return nil }

// sparseImage makes an image with runs of zeros and of noise.
func sparseImage(seed int64, size int) []byte {
	rnd := rand.New(rand.NewSource(seed))
	b := make([]byte, size)
	for at := 0; at < size; {
		n := min(1+rnd.Intn(300<<10), size-at)
		if rnd.Intn(2) == 0 {
			rnd.Read(b[at : at+n])
		}
		at += n
	}
	return b
}

func pack(t testing.TB, format string, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch format {
	case Raw:
		return raw
	case Gzip:
		w = gzip.NewWriter(&b)
	case Zstd:
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestStreamWritesEveryFormat(t *testing.T) {
	raw := sparseImage(1, 9<<20+12345)
	for _, format := range []string{Raw, Gzip, Zstd} {
		for _, zeroed := range []bool{false, true} {
			packed, target := pack(t, format, raw), newTarget(len(raw), 0)
			if !zeroed {
				target = newTarget(len(raw), 0xaa)
			}
			var lastRaw, lastWritten int64
			res, err := Stream(context.Background(), StreamOptions{Source: bytes.NewReader(packed), SHA256: sum(packed), Target: target,
				Zeroed: zeroed, LimitBytes: int64(len(raw)), Progress: func(r, w int64) { lastRaw, lastWritten = r, w }})
			if err != nil {
				t.Fatalf("%s: %v", format, err)
			}
			if !bytes.Equal(target.b, raw) || !target.synced {
				t.Errorf("%s, zeroed %v: the target differs or is not synced", format, zeroed)
			}
			if res.Format != format || res.RawBytes != int64(len(raw)) || res.SourceBytes != int64(len(packed)) {
				t.Errorf("%s: result %+v", format, res)
			}
			if lastRaw != res.RawBytes || lastWritten != res.WrittenBytes {
				t.Errorf("%s: last progress %d, %d; result %+v", format, lastRaw, lastWritten, res)
			}
			if zeroed == (res.WrittenBytes == res.RawBytes) {
				t.Errorf("%s, zeroed %v: wrote %d of %d bytes", format, zeroed, res.WrittenBytes, res.RawBytes)
			}
		}
	}
}

func TestStreamKeepsReservedRange(t *testing.T) {
	reserved := Range{1<<20 - 4096, 4096}
	for _, test := range []struct {
		name   string
		zeroed bool
		data   bool // the image has data of its own there
	}{{"zeroed target", true, false}, {"junk target", false, false}, {"image data", true, true}} {
		raw := sparseImage(2, 3<<20)
		clear(raw[1<<20-70<<10 : 1<<20])
		raw[1<<20-70<<10] = 7 // data in the same granule
		if test.data {
			raw[1<<20-10] = 9
		}
		target := newTarget(len(raw), 0)
		mark := bytes.Repeat([]byte{0x5a}, 4096)
		copy(target.b[reserved.Offset:], mark)
		res, err := Stream(context.Background(), StreamOptions{Source: bytes.NewReader(raw), SHA256: sum(raw), Target: target,
			Zeroed: test.zeroed, Reserved: reserved})
		if err != nil {
			t.Fatal(err)
		}
		if res.ReservedUsed != test.data {
			t.Errorf("%s: ReservedUsed %v", test.name, res.ReservedUsed)
		}
		want := bytes.Clone(raw)
		if !test.data {
			copy(want[reserved.Offset:], mark)
		}
		if !bytes.Equal(target.b, want) {
			t.Errorf("%s: the target differs", test.name)
		}
	}
}

// A disk that said it was zero, and lies.
func TestStreamReadsHolesBack(t *testing.T) {
	raw := sparseImage(3, 5<<20)
	target := newTarget(len(raw), 0)
	for at := 0; at < len(raw); at += 700_001 {
		target.b[at] = 1
	}
	_, err := Stream(context.Background(), StreamOptions{Source: bytes.NewReader(raw), SHA256: sum(raw), Target: target, Zeroed: true, ReadBack: target})
	if err != nil || !bytes.Equal(target.b, raw) {
		t.Fatalf("error %v, equal %v", err, bytes.Equal(target.b, raw))
	}
}

func TestStreamFailures(t *testing.T) {
	raw := sparseImage(4, 2<<20)
	packed := pack(t, Zstd, raw)
	damaged := bytes.Clone(packed)
	damaged[len(damaged)/2] ^= 0xff
	bomb := pack(t, Zstd, make([]byte, 64<<20))
	broken := errors.New("cable pulled")
	for _, test := range []struct {
		name   string
		source io.Reader
		sha    string
		limit  int64
		write  error
		want   error
	}{
		{"wrong digest", bytes.NewReader(packed), sum(raw), 0, nil, ErrDigest},
		{"damaged bytes are a wrong digest, not a decoder's riddle", bytes.NewReader(damaged), sum(packed), 0, nil, ErrDigest},
		{"truncated", bytes.NewReader(packed[:len(packed)/2]), sum(packed), 0, nil, ErrDigest},
		{"truncated as published", bytes.NewReader(packed[:len(packed)/2]), sum(packed[:len(packed)/2]), 0, nil, io.ErrUnexpectedEOF},
		{"source fails", io.MultiReader(bytes.NewReader(packed[:1000]), failingReader{broken}), sum(packed), 0, nil, ErrSource},
		{"the source's own error", io.MultiReader(bytes.NewReader(packed[:1000]), failingReader{broken}), sum(packed), 0, nil, broken},
		{"bomb", bytes.NewReader(bomb), sum(bomb), 3 << 20, nil, ErrTooLarge},
		{"disk fails", bytes.NewReader(packed), sum(packed), 0, broken, ErrTarget},
		{"empty", bytes.NewReader(nil), sum(packed), 0, nil, ErrDigest},
	} {
		t.Run(test.name, func(t *testing.T) {
			target := newTarget(4<<20, 0)
			target.fail = test.write
			_, err := Stream(context.Background(), StreamOptions{Source: test.source, SHA256: test.sha, LimitBytes: test.limit, Target: target, Zeroed: true})
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			var f *fault.Error
			if test.want == ErrDigest && (!errors.As(err, &f) || f.Attribute != "image.sha256" || f.Class != fault.NeedsPerson || f.Seen == "" || f.Expected == "") {
				t.Errorf("not a complete fault: %#v", f)
			}
		})
	}
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func TestStreamEndsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write(make([]byte, 3<<20)) // the reader goes away in the middle: that is the test
		cancel()
		w.CloseWithError(context.Canceled)
	}()
	_, err := Stream(ctx, StreamOptions{Source: r, SHA256: sum(nil), Target: newTarget(8<<20, 0)})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

// Whatever the block, its runs cover exactly what has to be written.
func TestRunsProperty(t *testing.T) {
	check := func(seed int64, offGranules uint8, zeroed bool, at uint16) bool {
		b := sparseImage(seed, 600<<10+int(seed&0xfff))
		off := int64(offGranules) * granule
		reserved := Range{int64(at) * alignment, alignment}
		covered := make([]bool, len(b))
		last := int64(-1)
		for _, r := range runs(b, off, zeroed, reserved) {
			if r.Offset < off || r.Offset <= last || r.Length <= 0 || r.Offset%alignment != 0 {
				return false
			}
			last = r.Offset + r.Length - 1
			for i := r.Offset; i <= last; i++ {
				covered[i-off] = true
			}
		}
		for i, c := range b {
			inReserved := overlaps(Range{off + int64(i), 1}, reserved)
			if !covered[i] && c != 0 || !covered[i] && !zeroed && !inReserved {
				return false
			}
			if covered[i] && inReserved {
				lo, hi := max(0, reserved.Offset-off), min(int64(len(b)), reserved.Offset+reserved.Length-off)
				if isZero(b[lo:hi]) {
					return false // a zero there must not be written
				}
			}
		}
		return true
	}
	if err := quick.Check(check, &quick.Config{MaxCount: 40}); err != nil {
		t.Error(err)
	}
}
