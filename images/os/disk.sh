# shellcheck shell=bash
# A disk image with a GPT that boots by UEFI (also with Secure Boot) and by BIOS, made without loop devices or mounts.

readonly MIB=$((1024 * 1024))
readonly BIOS_START=1 ESP_START=2 ESP_SIZE=64 ROOT_START=66

# make_disk FILE SIZE_MIB ROOT_TREE GRUB_TREE
make_disk() {
	local disk=$1 size=$2 tree=$3 grub=$4
	truncate -s "${size}M" "$disk"
	sfdisk --quiet "$disk" <<-TABLE
		label: gpt
		start=${BIOS_START}MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, name=bios
		start=${ESP_START}MiB, size=${ESP_SIZE}MiB, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, name=esp
		start=${ROOT_START}MiB, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
	TABLE
	make_root "$disk" $((size - ROOT_START - 1)) "$tree"
	make_esp "$disk" "$grub"
	install_bios_grub "$disk" "$grub"
}

# make_root fills the root partition. The last MiB of the disk is left to the second partition table.
make_root() {
	# Features that GRUB 2.06 cannot read are off. Inode tables and journal are initialised now, in a file of holes, where
	# it costs nothing; otherwise the kernel would write them at the first boot.
	mke2fs -q -t ext4 -L metal-root -m 1 -i 32768 -J size=32 -O ^metadata_csum_seed,^orphan_file \
		-E "offset=$((ROOT_START * MIB)),lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0" -d "$3" "$1" "$2M"
}

# make_esp puts Debian's signed loaders at the path that firmware looks for on any disk, so no NVRAM entry is needed.
make_esp() {
	local disk=$1 grub=$2 esp=esp.fat
	truncate -s "${ESP_SIZE}M" $esp
	mkfs.vfat -F 32 -n METAL-ESP $esp >/dev/null
	mmd -i $esp ::/EFI ::/EFI/BOOT ::/EFI/debian
	mcopy -i $esp "$grub/usr/lib/shim/shimx64.efi.signed" ::/EFI/BOOT/BOOTX64.EFI
	mcopy -i $esp "$grub/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed" ::/EFI/BOOT/grubx64.efi
	# Where the signed GRUB looks for its configuration.
	mcopy -i $esp "$here/os/grub-early.cfg" ::/EFI/debian/grub.cfg
	dd if=$esp of="$disk" bs=1M seek=$ESP_START conv=notrunc,sparse status=none
}

# install_bios_grub does what grub-bios-setup does, which insists on a block device: the boot sector is told where GRUB's
# core is, and the core's first sector where the rest of it is.
install_bios_grub() {
	local disk=$1 modules=$2/usr/lib/grub/i386-pc sector=$((BIOS_START * 2048)) sectors
	grub-mkimage -d "$modules" -O i386-pc -c "$here/os/grub-early.cfg" -p /boot/grub -o core.img \
		biosdisk part_gpt ext2 search search_label configfile normal linux test
	sectors=$((($(stat -c %s core.img) + 511) / 512))
	((sectors <= 2048))
	# GRUB's manual, "Images": the block list is the last 12 bytes of the core's first sector: start, length, segment.
	{ little_endian 8 $((sector + 1)) && little_endian 2 $((sectors - 1)) && little_endian 2 $((0x820)); } |
		dd of=core.img bs=1 seek=500 conv=notrunc status=none
	dd if=core.img of="$disk" bs=512 seek=$sector conv=notrunc status=none
	# Up to the partition table's place in the boot sector, and without its parameter block for floppies.
	dd if="$modules/boot.img" of="$disk" bs=1 count=440 conv=notrunc status=none
	little_endian 8 $sector | dd of="$disk" bs=1 seek=92 conv=notrunc status=none
}

# little_endian BYTES NUMBER
little_endian() {
	local i number=$2
	for ((i = 0; i < $1; i++)); do
		printf '%b' "\\x$(printf '%02x' $((number >> (8 * i) & 255)))"
	done
}
