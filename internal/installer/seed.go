package installer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/order"
)

// seedDir is where cloud-init's NoCloud data source looks first.
const seedDir = "/var/lib/cloud/seed/nocloud"

// seedRoot writes the seed and files into the root file system.
func seedRoot(ctx context.Context, d Disk, o order.WriteImageOrder) (err error) {
	root, err := d.MountRoot(ctx, false)
	if err != nil {
		return fmt.Errorf("mounting the root file system of the image: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for _, f := range append(seedFiles(o.Seed), o.Files...) {
		if err := writeRootFile(root.FS(), f); err != nil {
			return err
		}
	}
	return nil
}

func seedFiles(s order.Seed) []order.File {
	if s == (order.Seed{}) {
		return nil
	}
	files := []order.File{
		{Path: seedDir + "/meta-data", Mode: 0o600, Content: []byte(s.MetaData)},
		{Path: seedDir + "/user-data", Mode: 0o600, Content: []byte(s.UserData)},
	}
	// An empty network-config would switch the network off; a missing one leaves
	// it to the image.
	if s.NetworkConfig != "" {
		files = append(files, order.File{Path: seedDir + "/network-config", Mode: 0o600, Content: []byte(s.NetworkConfig)})
	}
	return files
}

// writeRootFile writes one file as a whole. What was there by that name, a
// symbolic link too, is replaced; os.Root refuses paths that lead out.
func writeRootFile(root *os.Root, f order.File) error {
	name := strings.TrimPrefix(path.Clean("/"+f.Path), "/")
	if name == "" || name != strings.TrimPrefix(strings.TrimSuffix(f.Path, "/"), "/") {
		return refuse(order.ReasonIO, "writing file %q: the path is not a clean one", f.Path)
	}
	mode := fs.FileMode(f.Mode & 0o7777)
	if mode == 0 {
		mode = 0o644
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("writing file %q: %w", f.Path, err)
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replacing file %q: %w", f.Path, err)
	}
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("writing file %q: %w", f.Path, err)
	}
	_, err = file.Write(f.Content)
	err = errors.Join(err, file.Chmod(unixMode(mode)), file.Close())
	if err != nil {
		return fmt.Errorf("writing file %q: %w", f.Path, err)
	}
	return nil
}

// unixMode turns the octal setuid, setgid and sticky bits into Go's.
func unixMode(m fs.FileMode) fs.FileMode {
	out := m & fs.ModePerm
	for bit, flag := range map[fs.FileMode]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&bit != 0 {
			out |= flag
		}
	}
	return out
}
