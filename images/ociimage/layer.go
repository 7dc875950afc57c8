package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// treeLayer is a layer with everything below root. Owners and times are dropped: root owns all files of these images,
// and without times the same tree is the same layer.
func treeLayer(root string) (v1.Layer, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	// WalkDir goes in lexical order, so the layer does not depend on the file system's order.
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || file == root {
			return err
		}
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		return add(w, file, relative)
	})
	if err != nil {
		return nil, err
	}
	return finish(w, &buffer)
}

// filesLayer is a layer with the given "source=/destination" files and the folders they are in.
func filesLayer(files []string) (v1.Layer, error) {
	var buffer bytes.Buffer
	w := tar.NewWriter(&buffer)
	made := map[string]bool{}
	for _, file := range files {
		source, destination, found := strings.Cut(file, "=/")
		if !found {
			return nil, fmt.Errorf("-file %q: want source=/destination", file)
		}
		if err := addParents(w, destination, made); err != nil {
			return nil, err
		}
		if err := add(w, source, destination); err != nil {
			return nil, err
		}
	}
	return finish(w, &buffer)
}

func addParents(w *tar.Writer, file string, made map[string]bool) error {
	folder := path.Dir(file)
	if folder == "." || made[folder] {
		return nil
	}
	if err := addParents(w, folder, made); err != nil {
		return err
	}
	made[folder] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: folder + "/", Mode: 0o755})
}

func add(w *tar.Writer, file, as string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(file); err != nil {
			return err
		}
	}
	full, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: full.Typeflag, Name: as, Linkname: target, Mode: full.Mode, Size: full.Size}
	if info.IsDir() {
		header.Name += "/"
	}
	if err := w.WriteHeader(header); err != nil || !info.Mode().IsRegular() {
		return err
	}
	content, err := os.Open(file)
	if err != nil {
		return err
	}
	defer content.Close()
	_, err = io.Copy(w, content)
	return err
}

func finish(w *tar.Writer, buffer *bytes.Buffer) (v1.Layer, error) {
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buffer.Bytes())), nil }
	// The archives stay on one machine: compressing harder costs more than it saves.
	return tarball.LayerFromOpener(open, tarball.WithCompressionLevel(gzip.BestSpeed))
}
