package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"crypto/sha256"
	"encoding/hex"

	"github.com/hashicorp/go-hclog"
	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// Local is an image on this machine whose digest was verified.
type Local struct {
	Path      string
	SHA256    string
	SizeBytes int64
	Format    string
	Metadata  Metadata
}

// metadataLimit bounds the sidecar file.
const metadataLimit = 1 << 20

// Fetch makes sure that an image is on this machine and is the right one. A
// file:// image stays where it is: it is read once, and again only after it
// changed. An http(s) image is downloaded to cacheDir, named by its digest;
// an interrupted download continues, also in another process. A file with the
// wrong digest is not kept.
func Fetch(ctx context.Context, src Source, cacheDir string) (Local, error) {
	return Fetcher{}.Fetch(ctx, src, cacheDir)
}

// Fetcher is Fetch with its dependencies. The zero value is usable.
type Fetcher struct {
	// Client does the requests; nil is http.DefaultClient.
	Client *http.Client
	Logger hclog.Logger
	// Progress is called about once per MiB with the bytes present and the whole
	// size (-1: not known).
	Progress func(done, total int64)
}

// Fetch is the package function Fetch.
func (f Fetcher) Fetch(ctx context.Context, src Source, cacheDir string) (Local, error) {
	if err := src.Validate(); err != nil {
		return Local{}, err
	}
	if err := os.MkdirAll(cacheDir, 0o755); err != nil {
		return Local{}, fmt.Errorf("creating the image cache %q: %w", cacheDir, err)
	}
	unlock, err := lock(ctx, filepath.Join(cacheDir, src.digest()+".lock"))
	if err != nil {
		return Local{}, err
	}
	defer unlock()
	path, err := f.obtain(ctx, src, cacheDir)
	if err != nil {
		return Local{}, err
	}
	return f.describe(ctx, src, path, cacheDir)
}

func (f Fetcher) obtain(ctx context.Context, src Source, cacheDir string) (string, error) {
	u, err := url.Parse(src.URL)
	if err != nil {
		return "", fmt.Errorf("parsing image URL: %w", err)
	}
	if u.Scheme == "file" {
		return u.Path, verify(ctx, src, u.Path, cacheDir)
	}
	path := filepath.Join(cacheDir, src.digest())
	if _, err := os.Stat(path); err == nil {
		err := verify(ctx, src, path, cacheDir)
		if !errors.Is(err, ErrDigest) {
			return path, err
		}
		if err := os.Remove(path); err != nil {
			return "", fmt.Errorf("removing a damaged image: %w", err)
		}
	}
	return path, f.download(ctx, src, path, cacheDir)
}

// download fills path+".part" from where it ends, and renames it when it is
// whole and right.
func (f Fetcher) download(ctx context.Context, src Source, path, cacheDir string) error {
	part, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("creating %q: %w", path+".part", err)
	}
	defer part.Close()
	h := sha256.New()
	have, err := io.Copy(h, part)
	if err != nil {
		return fmt.Errorf("reading %q: %w", part.Name(), err)
	}
	err = f.append(ctx, src, part, h, have)
	if errors.Is(err, ErrChanged) && have > 0 {
		// The part is of another file: begin again, once.
		h.Reset()
		if err = truncate(part); err == nil {
			err = f.append(ctx, src, part, h, 0)
		}
	}
	if err != nil {
		return sourceFault(src, err)
	}
	if actual := hex.EncodeToString(h.Sum(nil)); actual != src.digest() {
		return errors.Join(mismatch(src.subject(), actual, src.SHA256), os.Remove(part.Name()))
	}
	if err := part.Sync(); err != nil {
		return fmt.Errorf("syncing %q: %w", part.Name(), err)
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return fmt.Errorf("keeping %q: %w", path, err)
	}
	return remember(path, src.digest(), cacheDir)
}

func truncate(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

func (f Fetcher) append(ctx context.Context, src Source, part *os.File, h hash.Hash, have int64) error {
	r := &ResumingReader{Client: f.Client, URL: src.URL, Offset: have, Logger: f.Logger}
	if err := r.Open(ctx); err != nil {
		return err
	}
	defer r.Close()
	buf := make([]byte, 1<<20)
	for {
		n, err := readBlock(r, buf)
		h.Write(buf[:n])
		if _, werr := part.Write(buf[:n]); werr != nil {
			return fmt.Errorf("writing %q: %w", part.Name(), werr)
		}
		have += int64(n)
		if f.Progress != nil {
			f.Progress(have, r.Size())
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func sourceFault(src Source, err error) error {
	var p permanentError
	class := fault.Retryable
	if errors.As(err, &p) {
		class = fault.NeedsPerson
	}
	return &fault.Error{Class: class, Subject: src.subject(), Attribute: "image.url", Summary: "the image cannot be fetched",
		Seen: err.Error(), Advice: "check that the URL can be read from the agent's machine", Err: err}
}

func (f Fetcher) describe(ctx context.Context, src Source, path, cacheDir string) (Local, error) {
	l := Local{Path: path, SHA256: src.digest(), Format: src.Format}
	file, err := os.Open(path)
	if err != nil {
		return Local{}, fmt.Errorf("opening image %q: %w", path, err)
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return Local{}, fmt.Errorf("opening image %q: %w", path, err)
	}
	l.SizeBytes = st.Size()
	head := make([]byte, 4)
	n, err := io.ReadFull(file, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return Local{}, fmt.Errorf("reading image %q: %w", path, err)
	}
	if l.Format == "" {
		l.Format = DetectFormat(head[:n])
	}
	l.Metadata, err = f.metadata(ctx, src, cacheDir)
	return l, err
}

// metadata keeps what ReadMetadata gave beside a downloaded image, so that a
// cached image needs no network.
func (f Fetcher) metadata(ctx context.Context, src Source, cacheDir string) (Metadata, error) {
	keep := filepath.Join(cacheDir, src.digest()+".json")
	var m Metadata
	if u, err := url.Parse(src.URL); err == nil && u.Scheme == "file" {
		return readMetadata(ctx, f.Client, src)
	}
	if b, err := os.ReadFile(keep); err == nil && json.Unmarshal(b, &m) == nil {
		return m, nil
	}
	m, err := readMetadata(ctx, f.Client, src)
	if err != nil {
		return m, err
	}
	b, err := json.Marshal(m)
	if err != nil {
		return m, err
	}
	return m, writeFile(keep, b)
}
