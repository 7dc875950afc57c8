# shellcheck shell=bash
# The installer: Debian's kernel, the modules of common servers and our static /init; and the boot programs of others that
# lead to it.
versions=(DEBIAN_SUITE)
files=(lib/go.sh lib/debian.sh installer minimal-init)

readonly init_package=./internal/installer/init

# more_key is the init's own sources and the exact versions of everybody else's.
more_key() (
	cd "$here/.."
	if [[ ! -d $init_package ]]; then
		echo "$init_package is missing" >&2
		return 1
	fi
	# shellcheck disable=SC2016 # Go expands it.
	local sources='{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}'
	go list -deps -f "{{if .Module}}{{if .Module.Main}}$sources{{end}}{{end}}" $init_package |
		sed '/^$/d' | xargs sha256sum | cut -d' ' -f1
	sha256sum go.sum | cut -d' ' -f1
)

make_artefact() {
	source "$here/lib/go.sh"
	source "$here/lib/debian.sh"
	source "$here/installer/initramfs.sh"
	source "$here/installer/uki.sh"
	unpack_packages kernel "$(kernel_package)"
	local version
	version=$(ls kernel/lib/modules)
	cp "kernel/boot/vmlinuz-$version" "$1/vmlinuz"

	mkdir tree
	build_init "$here/.." $init_package tree/init
	add_modules tree kernel "$version" "$here/installer/modules"
	pack tree "$1/initramfs.zst"
	# The server finds the place for a host's command line by its first word.
	make_uki "$1/vmlinuz" "$1/initramfs.zst" "metal.cmdline= console=tty0 console=ttyS0,115200 quiet" "$1/installer.efi"

	mkdir minimal
	build_init "$here/minimal-init" . minimal/init
	pack minimal minimal.zst
	make_uki "$1/vmlinuz" minimal.zst "console=tty0 console=ttyS0,115200 quiet" "$1/minimal.efi"

	cp /usr/lib/ipxe/{snponly.efi,ipxe.efi,undionly.kpxe} "$1/"
	# Readable by whoever serves them: kernels are packaged for root only.
	chmod 644 "$1"/*
	echo "kernel $version" >"$1/sizes.txt"
	(cd "$1" && stat -c '%n %s' ./*) >>"$1/sizes.txt"
	(cd tree && find . -type f -printf 'initramfs/%P %s\n') | sort -k2 -n -r | head -n 20 >>"$1/sizes.txt"
}

# kernel_package prints the package that Debian's linux-image-amd64 stands for today.
kernel_package() { apt-cache depends linux-image-amd64 | awk '$1 == "Depends:" {print $2; exit}'; }

build_init() (
	local output=$PWD/$3
	cd "$1"
	GOFLAGS=-buildvcs=false "${GO_BUILD[@]}" -ldflags "-s -w" -o "$output" "$2"
)
