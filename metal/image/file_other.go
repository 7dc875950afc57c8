//go:build !unix

package image

import (
	"io/fs"
	"os"
)

// inode is not known here; path, size and time have to do.
func inode(fs.FileInfo) uint64 { return 0 }

// flock has no counterpart here: an embedded agent needs Linux anyway.
func flock(*os.File) error { return fs.ErrInvalid }
