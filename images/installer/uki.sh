# shellcheck shell=bash
# Unified kernel images: one EFI program that is systemd's stub, a kernel, an initramfs and a command line. Firmware loads
# it by itself, so no iPXE or GRUB is in between.

readonly STUB=/usr/lib/systemd/boot/efi/linuxx64.efi.stub
# The section has room for what a server writes there for one host, in place, while it serves the file. The kernel takes
# at most 2047 bytes.
readonly CMDLINE_SIZE=1536

# make_uki KERNEL INITRAMFS CMDLINE OUTPUT
make_uki() {
	printf "%-${CMDLINE_SIZE}s" "$3" >cmdline
	[[ $(stat -c %s cmdline) -eq $CMDLINE_SIZE ]]
	printf 'ID=metal-installer\nNAME="Metal installer"\n' >osrel
	local at arguments=() section
	at=$(stub_end)
	for section in osrel=osrel cmdline=cmdline linux="$1" initrd="$2"; do
		at=$(((at + 4095) / 4096 * 4096))
		arguments+=(--add-section ".${section%%=*}=${section#*=}" --change-section-vma ".${section%%=*}=$at")
		at=$((at + $(stat -c %s "${section#*=}")))
	done
	objcopy "${arguments[@]}" "$STUB" "$4"
}

# stub_end prints the first address behind the stub's own sections.
stub_end() {
	local name size address
	objdump -h -w "$STUB" | awk '$1 ~ /^[0-9]+$/ {print $2, $3, $4}' |
		while read -r name size address; do echo $((16#$address + 16#$size)); done | sort -n | tail -n 1
}
