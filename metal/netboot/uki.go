package netboot

import (
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/nanometal/terraform-provider-metal/metal/fault"
)

// cmdlineSection is where systemd's EFI stub finds the kernel command line
// (UAPI Unified Kernel Image specification). The build leaves room in it.
const cmdlineSection = ".cmdline"

// patched reads a file with some bytes replaced.
type patched struct {
	*io.SectionReader
	at    int64
	bytes []byte
}

// withCmdline gives a unified kernel image with another command line, without
// copying it. The image's size stays the same. Its signature, had it one, would
// no longer fit: images for Secure Boot need their command line by other means.
func withCmdline(image io.ReaderAt, size int64, cmdline string) (io.ReadSeeker, error) {
	at, room, err := cmdlineRoom(image)
	if err != nil {
		return nil, err
	}
	if err := checkCmdline(cmdline); err != nil {
		return nil, err
	}
	if len(cmdline) > room {
		return nil, tooLong(len(cmdline), room)
	}
	// Spaces, because the stub hands over the whole section; the kernel ignores
	// them at the end.
	text := cmdline + strings.Repeat(" ", room-len(cmdline))
	return &patched{SectionReader: io.NewSectionReader(image, 0, size), at: at, bytes: []byte(text)}, nil
}

// Read reads on from where the last Read or Seek ended.
func (p *patched) Read(b []byte) (int, error) {
	from, err := p.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	n, err := p.SectionReader.Read(b)
	p.overlay(b[:n], from)
	return n, err
}

// ReadAt is the same at an offset.
func (p *patched) ReadAt(b []byte, from int64) (int, error) {
	n, err := p.SectionReader.ReadAt(b, from)
	p.overlay(b[:n], from)
	return n, err
}

// overlay replaces what of b, read at from, lies in the patch.
func (p *patched) overlay(b []byte, from int64) {
	start := max(from, p.at)
	end := min(from+int64(len(b)), p.at+int64(len(p.bytes)))
	if start < end {
		copy(b[start-from:end-from], p.bytes[start-p.at:end-p.at])
	}
}

// cmdlineRoom finds the command line's offset in the file and how many bytes it
// can have. The stub reads VirtualSize bytes of memory; the loader fills them
// from SizeOfRawData bytes of the file.
func cmdlineRoom(image io.ReaderAt) (at int64, room int, err error) {
	file, err := pe.NewFile(image)
	if err != nil {
		return 0, 0, fmt.Errorf("parsing the image: %w", err)
	}
	section := file.Section(cmdlineSection)
	if section == nil || section.Offset == 0 {
		return 0, 0, fmt.Errorf("the image has no section %q with content", cmdlineSection)
	}
	const most = 1 << 20 // far above what a kernel takes; a larger one is a broken image
	room = int(min(section.VirtualSize, section.Size))
	if room > most {
		return 0, 0, fmt.Errorf("section %q is %d bytes, more than %d", cmdlineSection, room, most)
	}
	return int64(section.Offset), room, nil
}

// checkCmdline accepts what every stage on the way to the kernel leaves alone.
func checkCmdline(cmdline string) error {
	for i, c := range []byte(cmdline) {
		if c < ' ' || c > '~' {
			return fmt.Errorf("the command line has byte 0x%02x at %d; only printable ASCII is possible", c, i)
		}
	}
	return nil
}

func tooLong(length, room int) error {
	return &fault.Error{Class: fault.NeedsPerson, Attribute: "services.installer", Summary: "the kernel command line does not fit into the installer image",
		Seen: fmt.Sprintf("%d bytes", length), Expected: fmt.Sprintf("at most %d bytes, the room in section %s", room, cmdlineSection),
		Advice: "rebuild installer.efi with a larger .cmdline section"}
}

// CheckCmdline tells beforehand whether a command line can be served with the
// files of a folder, to every kind of firmware.
func CheckCmdline(installerDir, cmdline string) (err error) {
	file, err := os.Open(filepath.Join(installerDir, FileInstaller))
	if err != nil {
		return fmt.Errorf("opening installer image: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := withCmdline(file, 0, cmdline); err != nil {
		return fmt.Errorf("checking the command line against %q: %w", file.Name(), err)
	}
	_, err = script(cmdline)
	return err
}
