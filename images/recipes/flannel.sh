# shellcheck shell=bash
# flanneld: the network plugin of the lab's clusters.
versions=(FLANNEL_VERSION)
files=(lib/go.sh)

make_artefact() {
	source "$here/lib/go.sh"
	main_module flannel github.com/flannel-io/flannel "v$FLANNEL_VERSION"
	cd flannel
	# The udp backend needs cgo; linked statically so that it runs on any userland.
	CGO_ENABLED=1 "${GO_BUILD[@]}" -tags netgo,osusergo -o "$1/flanneld" \
		-ldflags "-s -w -linkmode external -extldflags -static \
		-X github.com/flannel-io/flannel/pkg/version.Version=v$FLANNEL_VERSION" .
}
