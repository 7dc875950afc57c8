package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// verdict is the digest that a file had, and by which it is known to be unchanged.
type verdict struct {
	Path   string `json:"path"`
	Size   int64  `json:"size"`
	MTime  int64  `json:"mtime_ns"`
	Inode  uint64 `json:"inode"`
	SHA256 string `json:"sha256"`
}

func verdictPath(path, cacheDir string) string {
	name := sha256.Sum256([]byte(path))
	return filepath.Join(cacheDir, "verdict-"+hex.EncodeToString(name[:8])+".json")
}

// identify is a verdict without digest.
func identify(path string) (verdict, error) {
	st, err := os.Stat(path)
	if err != nil {
		return verdict{}, err
	}
	if !st.Mode().IsRegular() {
		return verdict{}, fmt.Errorf("%q is not a regular file", path)
	}
	return verdict{Path: path, Size: st.Size(), MTime: st.ModTime().UnixNano(), Inode: inode(st)}, nil
}

// verify checks the digest of a file in place. The answer of the last time
// holds as long as the file's path, size, time and inode are the same.
func verify(ctx context.Context, src Source, path, cacheDir string) error {
	now, err := identify(path)
	if err != nil {
		return missing(src, err)
	}
	var known verdict
	if b, err := os.ReadFile(verdictPath(path, cacheDir)); err == nil {
		if json.Unmarshal(b, &known) != nil {
			known = verdict{} // a torn cache file is as good as none
		}
	}
	now.SHA256 = known.SHA256
	if now != known || known.SHA256 == "" {
		if now.SHA256, err = digestFile(ctx, path); err != nil {
			return err
		}
		if err := save(now, cacheDir); err != nil {
			return err
		}
	}
	if now.SHA256 != src.digest() {
		return mismatch(src.subject(), now.SHA256, src.SHA256)
	}
	return nil
}

func missing(src Source, err error) error {
	return &fault.Error{Class: fault.NeedsPerson, Subject: src.subject(), Attribute: "image.url",
		Summary: "the image file cannot be read", Seen: err.Error(), Expected: "a regular file on the agent's machine",
		Advice: "put the image there, or correct image.url", Err: err}
}

// remember stores the verdict of a file that was hashed while it was written.
func remember(path, digest, cacheDir string) error {
	v, err := identify(path)
	if err != nil {
		return fmt.Errorf("remembering image %q: %w", path, err)
	}
	v.SHA256 = digest
	return save(v, cacheDir)
}

func save(v verdict, cacheDir string) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(verdictPath(v.Path, cacheDir), b)
}

// writeFile replaces a file as a whole.
func writeFile(path string, b []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("writing %q: %w", path, err)
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("writing %q: %w", path, err), os.Remove(tmp.Name()))
	}
	return err
}

func digestFile(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading image %q: %w", path, err)
	}
	defer f.Close()
	sum, _, err := Digest(contextReader{ctx, f})
	if err != nil {
		return "", fmt.Errorf("reading image %q: %w", path, err)
	}
	return sum, nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// lock waits for the file lock at path; processes that fetch the same image
// take turns, and all but the first find it there.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking %q: %w", path, err)
	}
	got := make(chan error, 1)
	go func() { got <- flock(f) }()
	select {
	case err := <-got:
		if err != nil && !errors.Is(err, fs.ErrInvalid) {
			return nil, errors.Join(fmt.Errorf("locking %q: %w", path, err), f.Close())
		}
		return func() { _ = f.Close() }, nil // closing releases the lock
	case <-ctx.Done():
		go func() { <-got; _ = f.Close() }()
		return nil, fmt.Errorf("locking %q: %w", path, ctx.Err())
	}
}
