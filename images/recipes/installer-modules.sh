# shellcheck shell=bash
# The slow, seldom changing half of the installer: Debian's kernel and an archive with the modules of common servers. The
# kernel unpacks several archives one after the other (Documentation/driver-api/early-userspace/buffer-format.rst), so
# /init is an archive of its own and a change of it costs seconds.
versions=(DEBIAN_SUITE)
files=(lib/debian.sh installer)

make_artefact() {
	source "$here/lib/debian.sh"
	source "$here/installer/initramfs.sh"
	unpack_packages kernel "$(kernel_package)"
	local version
	version=$(ls kernel/lib/modules)
	cp "kernel/boot/vmlinuz-$version" "$1/vmlinuz"
	mkdir tree
	add_modules tree kernel "$version" "$here/installer/modules"
	pack tree "$1/modules.zst" -19
	echo "kernel $version" >"$1/sizes.txt"
	(cd tree && find . -type f -printf 'initramfs/%P %s\n') | sort -k2 -n -r | head -n 20 >>"$1/sizes.txt"
	# Readable by whoever serves them: kernels are packaged for root only.
	chmod 644 "$1"/*
}

# kernel_package prints the package that Debian's linux-image-amd64 stands for today.
kernel_package() { apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" {print $2; exit}'; }
