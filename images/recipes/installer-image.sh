# shellcheck shell=bash
# The installer: Debian's kernel, the modules of common servers and our static /init; and the boot programs of others that
# lead to it.
inputs=(installer-modules)
versions=()
files=(lib/go.sh installer minimal-init)

readonly init_package=./internal/installer/init

# more_key is the init's own sources and the versions of everybody else's.
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
	# The exact versions of the modules that are linked, not go.sum, which changes with everybody's.
	go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}' $init_package | sort -u
)

make_artefact() {
	source "$here/lib/go.sh"
	source "$here/installer/initramfs.sh"
	source "$here/installer/uki.sh"
	local modules
	modules=$(artefact installer-modules)
	cp "$modules/vmlinuz" "$1/vmlinuz"

	mkdir tree
	build_init "$here/.." $init_package tree/init
	pack tree init.zst -12
	cat "$modules/modules.zst" init.zst >"$1/initramfs.zst"
	# The server finds the place for a host's command line by its first word.
	make_uki "$1/vmlinuz" "$1/initramfs.zst" "metal.cmdline= console=tty0 console=ttyS0,115200 quiet" "$1/installer.efi"

	mkdir minimal
	build_init "$here/minimal-init" . minimal/init
	pack minimal minimal.zst -12
	make_uki "$1/vmlinuz" minimal.zst "console=tty0 console=ttyS0,115200 quiet" "$1/minimal.efi"

	cp /usr/lib/ipxe/{snponly.efi,ipxe.efi,undionly.kpxe} "$1/"
	cp "$modules/sizes.txt" "$1/sizes.txt"
	(cd "$1" && stat -c '%n %s' ./*) >>"$1/sizes.txt"
}

build_init() (
	local output=$PWD/$3
	cd "$1"
	GOFLAGS=-buildvcs=false "${GO_BUILD[@]}" -ldflags "-s -w" -o "$output" "$2"
)
