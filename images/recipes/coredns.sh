# shellcheck shell=bash
versions=(COREDNS_VERSION)
files=(lib/go.sh)

make_artefact() {
	source "$here/lib/go.sh"
	tools_module coredns github.com/coredns/coredns "v$COREDNS_VERSION"
	cd coredns
	"${GO_BUILD[@]}" -ldflags "-s -w" -o "$1/coredns" github.com/coredns/coredns
}
