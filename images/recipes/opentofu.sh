# shellcheck shell=bash
versions=(OPENTOFU_VERSION)
files=(lib/go.sh)

make_artefact() {
	source "$here/lib/go.sh"
	main_module opentofu github.com/opentofu/opentofu "v$OPENTOFU_VERSION"
	cd opentofu
	"${GO_BUILD[@]}" -ldflags "-s -w -X github.com/opentofu/opentofu/version.dev=no" -o "$1/tofu" ./cmd/tofu
}
