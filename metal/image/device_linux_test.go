package image

import (
	"bytes"
	"context"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func fileDevice(t testing.TB, size int64) (*Device, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	d, err := OpenDevice(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, path
}

func TestDeviceWritesWhatever(t *testing.T) {
	for _, direct := range []bool{false, true} {
		testDeviceWrites(t, direct)
	}
}

func testDeviceWrites(t *testing.T, direct bool) {
	const size = 1<<20 + 777
	d, path := fileDevice(t, size)
	if direct {
		d.openDirect() // a file system that cannot do it falls back
	}
	rnd, want := rand.New(rand.NewSource(11)), make([]byte, size)
	aligned := alignedBuffer(256 << 10)
	for range 200 {
		off, b := rnd.Intn(size), aligned[rnd.Intn(2)*(1+rnd.Intn(100)):]
		if rnd.Intn(2) == 0 {
			off = off / alignment * alignment
		}
		b = b[:min(1+rnd.Intn(len(b)), size-off)]
		rnd.Read(b)
		if n, err := d.WriteAt(b, int64(off)); err != nil || n != len(b) {
			t.Fatalf("%d bytes at %d: %d, %v", len(b), off, n, err)
		}
		copy(want[off:], b)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the file differs, %v", err)
	}
	if _, err := d.WriteAt(make([]byte, 2), size-1); err == nil {
		t.Error("a write beyond the end was taken")
	}
}

func TestDeviceBlank(t *testing.T) {
	d, _ := fileDevice(t, 3<<20)
	if _, err := d.WriteAt([]byte("data"), 1<<20); err != nil {
		t.Fatal(err)
	}
	if hole, err := d.Hole(); hole || err != nil {
		t.Fatalf("a file with data is no hole: %v, %v", hole, err)
	}
	zeroed, certain, err := d.Blank(context.Background(), 0)
	if err != nil || !zeroed || !certain {
		t.Fatalf("zeroed %v, certain %v, %v", zeroed, certain, err)
	}
	b := make([]byte, 3<<20)
	if _, err := d.ReadAt(b, 0); err != nil || !isZero(b) {
		t.Errorf("not zero after Blank: %v", err)
	}
	if err := d.writeZeros(100, 200_000); err != nil {
		t.Error(err)
	}
	if err := d.ZeroOut(context.Background(), 4096, 1<<20); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.ZeroOut(ctx, 0, 1<<20); err != context.Canceled {
		t.Errorf("got %v", err)
	}
}

func TestOpenDeviceRefusesWhatIsNoDisk(t *testing.T) {
	for _, path := range []string{"/dev/null", t.TempDir(), "/nowhere"} {
		if d, err := OpenDevice(path); err == nil {
			t.Errorf("%q was opened: %d bytes", path, d.Size())
		}
	}
}

// benchImage is 256 MiB of which 19 % is not zero, as a Debian image's, and
// compresses about as well.
func benchImage(b *testing.B) (raw int64, packed []byte) {
	b.Helper()
	rnd := rand.New(rand.NewSource(1))
	image := make([]byte, 256<<20)
	words := make([][]byte, 512)
	for i := range words {
		words[i] = make([]byte, 4+rnd.Intn(40))
		rnd.Read(words[i])
	}
	for at := 0; at < len(image); at += granule {
		if rnd.Intn(100) >= 19 {
			continue
		}
		for n := 0; n < granule; {
			n += copy(image[at+n:at+granule], words[rnd.Intn(len(words))])
		}
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		b.Fatal(err)
	}
	return int64(len(image)), enc.EncodeAll(image, nil)
}

func BenchmarkStream(b *testing.B) {
	raw, packed := benchImage(b)
	digest := sum(packed)
	b.Run("pipeline", func(b *testing.B) {
		b.SetBytes(raw)
		for b.Loop() {
			d, _ := fileDevice(b, raw)
			zeroed, _, err := d.Blank(context.Background(), 0)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := Stream(context.Background(), StreamOptions{Source: bytes.NewReader(packed), SHA256: digest, Target: d, Zeroed: zeroed}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("io.Copy", func(b *testing.B) {
		b.SetBytes(raw)
		for b.Loop() {
			d, path := fileDevice(b, raw)
			if got, _, err := Digest(bytes.NewReader(packed)); err != nil || got != digest {
				b.Fatal(err)
			}
			z, err := zstd.NewReader(bytes.NewReader(packed))
			if err != nil {
				b.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(f, z); err != nil {
				b.Fatal(err)
			}
			z.Close()
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
			if err := d.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
