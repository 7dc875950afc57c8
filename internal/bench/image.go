package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nanometal/terraform-provider-metal/metal/image"
)

const imageFile = "disk.raw.zst"

// imageMeta is what the image says of itself.
type imageMeta struct {
	SHA256    string `json:"sha256"`
	RawBytes  int64  `json:"raw_size_bytes"`
	RawSHA256 string `json:"raw_sha256"`
}

// writer is a way of writing the image to a target. Its script gets the
// image's URL, its file, the target, the raw size in bytes and the qcow2 file.
type writer struct {
	name, script string
	// tool is the program that it needs; empty: only what bench.sh installs.
	tool string
	// zeros says that it writes no image, so there is nothing to verify.
	zeros bool
}

const metalWriter = "metal, over HTTP, digest verified"

func imageWriters() []writer {
	return []writer{
		{name: metalWriter},
		{name: "curl, zstd, dd", tool: "curl", script: `curl -fsS "$1" | zstd -dcq | dd of="$3" bs=4M iflag=fullblock oflag=direct conv=fsync,notrunc status=none`},
		{name: "curl, zstd, dd, digest by openssl", tool: "openssl", script: `pipe=$3.pipe; rm -f "$pipe"; mkfifo "$pipe"; openssl sha256 <"$pipe" >/dev/null & digest=$!
			curl -fsS "$1" | tee "$pipe" | zstd -dcq | dd of="$3" bs=4M iflag=fullblock oflag=direct conv=fsync,notrunc status=none; wait "$digest"; rm "$pipe"`},
		{name: "zstd, dd (local file)", script: `zstd -dcq "$2" | dd of="$3" bs=4M iflag=fullblock oflag=direct conv=fsync,notrunc status=none`},
		{name: "bmaptool (local file, mapped ranges)", tool: "bmaptool", script: `bmaptool -q copy --bmap "$5.bmap" "$2" "$3"; sync "$3"`},
		{name: "qemu-img (local zstd qcow2)", tool: "qemu-img", script: `qemu-img convert -n -t none -O raw --target-is-zero "$5" "$3"; sync "$3"`},
		{name: "limit: dd of zeros, whole size", zeros: true, script: `dd if=/dev/zero of="$3" bs=4M count=$(($4 / 4194304)) oflag=direct conv=fsync,notrunc status=none`},
	}
}

func benchImage(ctx context.Context, o options) error {
	heading("Image to disk")
	var meta imageMeta
	raw, err := os.ReadFile(filepath.Join(o.image, imageFile+".json"))
	if err == nil {
		err = json.Unmarshal(raw, &meta)
	}
	if err != nil {
		return fmt.Errorf("reading what the image of %q says of itself: %w", o.image, err)
	}
	work, err := os.MkdirTemp(o.work, "image-")
	if err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	defer os.RemoveAll(work)
	b := &imageBench{meta: meta, file: filepath.Join(o.image, imageFile), work: work, samples: samples{}}
	var missing []string
	for _, w := range imageWriters() {
		if w.tool != "" && !have(w.tool) {
			missing = append(missing, w.name)
			continue
		}
		b.writers = append(b.writers, w)
	}
	if err := b.prepare(ctx); err != nil {
		return err
	}
	server, err := b.serve(ctx, o.image)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := b.targets(ctx, o.runs); err != nil {
		return err
	}
	b.report(missing)
	return nil
}

type imageBench struct {
	meta      imageMeta
	file, url string
	work      string
	writers   []writer
	samples   samples
	columns   []column
	notes     []string
}

func (b *imageBench) qcow() string { return filepath.Join(b.work, "disk.qcow2") }

// preparations make what a program reads instead of the image: a map of the
// used blocks, a qcow2 file. They get the raw image and the qcow2 file's name.
var preparations = map[string]string{
	"bmaptool": `bmaptool -q create "$1" -o "$2.bmap"`,
	"qemu-img": `qemu-img convert -c -f raw -O qcow2 -o compression_type=zstd "$1" "$2"`,
}

// prepare leaves out, and notes, the writers whose preparation fails.
func (b *imageBench) prepare(ctx context.Context) error {
	progress("image: preparing the files of bmaptool and qemu-img")
	raw := filepath.Join(b.work, "raw")
	if _, err := measure(shell(ctx, `zstd -dcq "$1" | dd of="$2" bs=4M iflag=fullblock conv=sparse status=none`, b.file, raw)); err != nil {
		return err
	}
	var left []writer
	for _, w := range b.writers {
		if script := preparations[w.tool]; script != "" {
			if _, err := measure(shell(ctx, script, raw, b.qcow())); err != nil {
				b.notes = append(b.notes, fmt.Sprintf("Not measured: %s (%v).", w.name, err))
				continue
			}
		}
		left = append(left, w)
	}
	b.writers = left
	return os.Remove(raw)
}

func (b *imageBench) serve(ctx context.Context, dir string) (*http.Server, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serving the image: %w", err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(dir)), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // until Close
	b.url = "http://" + listener.Addr().String() + "/" + imageFile
	return server, nil
}

// targets measures a file and, where there are loop devices, a block device.
func (b *imageBench) targets(ctx context.Context, runs int) error {
	file := filepath.Join(b.work, "target")
	if err := b.rounds(ctx, "file", runs, file, func() error { return fresh(file, b.meta.RawBytes) }); err != nil {
		return err
	}
	backing := filepath.Join(b.work, "loop")
	if err := fresh(backing, b.meta.RawBytes); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "losetup", "--find", "--show", "--direct-io=on", backing).CombinedOutput()
	if err != nil {
		b.notes = append(b.notes, fmt.Sprintf("Not measured: a loop device (losetup: %s).", tail(string(out))))
		return nil
	}
	loop := strings.TrimSpace(string(out))
	// The device is freed even when ctx has ended.
	defer func() { _ = exec.Command("losetup", "--detach", loop).Run() }() //nolint:noctx // see above
	return b.rounds(ctx, "loop", runs, loop, func() error {
		return exec.CommandContext(ctx, "blkdiscard", loop).Run()
	})
}

// fresh makes an empty sparse file.
func fresh(path string, size int64) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}

// rounds lets every writer take its turn in every round, on an empty target.
func (b *imageBench) rounds(ctx context.Context, kind string, runs int, target string, empty func() error) error {
	speed, cpu := kind+", MB/s of raw image", kind+", CPU s"
	b.columns = append(b.columns, column{speed, "%.0f"}, column{cpu, "%.2f"})
	for round := range runs {
		for _, w := range b.writers {
			progress("image: round %d, %s, %s", round+1, kind, w.name)
			if err := empty(); err != nil {
				return fmt.Errorf("emptying %q: %w", target, err)
			}
			c := shell(ctx, w.script, b.url, b.file, target, fmt.Sprint(b.meta.RawBytes), b.qcow())
			if w.name == metalWriter {
				var err error
				if c, err = command(ctx, "image-writer", b.url, b.meta.SHA256, target, fmt.Sprint(b.meta.RawBytes)); err != nil {
					return err
				}
			}
			took, err := measure(c)
			if err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
			if round == 0 && !w.zeros {
				if err := b.verify(target); err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
			}
			b.samples.add(w.name, speed, float64(b.meta.RawBytes)/1e6/took.wall.Seconds())
			b.samples.add(w.name, cpu, took.cpu.Seconds())
			b.samples.add(w.name, "RSS MiB", took.rss)
		}
	}
	return nil
}

// verify compares what is on the target with the image.
func (b *imageBench) verify(target string) error {
	f, err := os.Open(target)
	if err != nil {
		return err
	}
	defer f.Close()
	got, _, err := image.Digest(f)
	if err == nil && got != b.meta.RawSHA256 {
		err = fmt.Errorf("the target %q has the digest %s instead of %s", target, got, b.meta.RawSHA256)
	}
	return err
}

func (b *imageBench) report(missing []string) {
	var names []string
	for _, w := range b.writers {
		names = append(names, w.name)
	}
	b.samples.print(os.Stdout, fmt.Sprintf("%d MiB raw", b.meta.RawBytes>>20), names, append(b.columns, column{"RSS MiB", "%.0f"}))
	note("The target was empty and discarded before each run; every writer ends with a sync, and after the first round the target was compared with the image. " +
		"The HTTP server's CPU time is not in the table. RSS is that of the largest process.")
	ours, peer := b.samples.median(metalWriter, "file, MB/s of raw image"), b.samples.median("curl, zstd, dd", "file, MB/s of raw image")
	if peer > 0 {
		note("Goal: 900 MB/s and 5 times curl, zstd and dd; measured on a file %.0f MB/s and %.1f times.", ours, ours/peer)
	}
	for _, n := range b.notes {
		note("%s", n)
	}
	if len(missing) > 0 {
		note("Not measured, the program is not installed: %s.", strings.Join(missing, "; "))
	}
}
