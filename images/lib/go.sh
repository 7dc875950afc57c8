# shellcheck shell=bash
# Three ways to build a main package out of a Go module, and when each is right.

export GOTOOLCHAIN=local GOWORK=off GOFLAGS="-buildvcs=false -mod=mod" CGO_ENABLED=0
# The same flags everywhere, or the Go build cache is of no use.
GO_BUILD=(go build -trimpath)

# unpacked_module prints the read-only folder of MODULE@VERSION in the module cache.
unpacked_module() {
	(cd / && go mod download -json "$1@$2" | jq -re .Dir)
}

# tools_module makes an empty module in DIR that requires MODULE@VERSION: for modules whose own replace directives may be
# ignored.
tools_module() {
	local dir=$1 module=$2 version=$3
	mkdir -p "$dir"
	(cd "$dir" && go mod init lab.invalid/tools && go get "$module@$version")
}

# main_module copies MODULE@VERSION to DIR, so that its go.sum and replace directives count.
main_module() {
	local dir=$1 from
	from=$(unpacked_module "$2" "$3")
	cp -r "$from" "$dir"
	chmod -R u+w "$dir"
}
