package image

import (
	"compress/gzip"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// maxWindow bounds the zstd decoder's memory: 128 MiB is the window of
// "zstd --long=27", the largest that the zstd program itself decodes unasked.
const maxWindow = 128 << 20

// newDecoder gives the decoded bytes of r.
func newDecoder(format string, r io.Reader) (io.ReadCloser, error) {
	switch format {
	case Raw:
		return io.NopCloser(r), nil
	case Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("reading the gzip header: %w", err)
		}
		return z, nil
	case Zstd:
		// The frame's own checksum is over all decoded bytes, holes too; the digest
		// over the compressed ones makes it superfluous (8 % of the CPU time).
		d, err := zstd.NewReader(r, zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow), zstd.IgnoreChecksum(true),
			zstd.WithDecoderConcurrency(min(4, max(2, runtime.GOMAXPROCS(0)))))
		if err != nil {
			return nil, fmt.Errorf("reading the zstd header: %w", err)
		}
		return d.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("unknown image format %q", format)
}
