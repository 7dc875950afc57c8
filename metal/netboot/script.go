package netboot

import (
	"fmt"
	"slices"
	"strings"
)

// script makes the iPXE script that loads the installer. File names are
// relative to the script's own URL, so the token needs no second place.
// initrd= names the initramfs for the kernel's EFI stub, which iPXE hands it to
// as a file of that name.
func script(cmdline string) (string, error) {
	if err := checkCmdline(cmdline); err != nil {
		return "", err
	}
	// iPXE expands ${settings} and takes these words for operators; it has no way
	// to quote them (ipxe.org/scripting).
	if strings.Contains(cmdline, "${") {
		return "", fmt.Errorf("the command line contains %q, which iPXE would expand", "${")
	}
	for _, word := range strings.Fields(cmdline) {
		if slices.Contains([]string{"||", "&&", ";"}, word) {
			return "", fmt.Errorf("the command line contains the word %q, which iPXE takes for an operator", word)
		}
	}
	return fmt.Sprintf(`#!ipxe
imgfree
kernel %[1]s initrd=%[2]s %[3]s || goto failed
initrd %[2]s || goto failed
boot || goto failed
:failed
echo The installer could not be loaded; going on to the next boot device in 5 s.
sleep 5
exit 1
`, FileKernel, FileInitramfs, cmdline), nil
}
