# shellcheck shell=bash
# containerd with its shim and ctr, without the snapshotters nobody uses here.
versions=(CONTAINERD_VERSION)
files=(lib/go.sh)

make_artefact() {
	source "$here/lib/go.sh"
	main_module containerd github.com/containerd/containerd/v2 "v$CONTAINERD_VERSION"
	cd containerd
	"${GO_BUILD[@]}" -tags no_btrfs,no_zfs,no_devmapper -o "$1/" \
		-ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=v$CONTAINERD_VERSION" \
		./cmd/containerd ./cmd/containerd-shim-runc-v2 ./cmd/ctr
}
