# shellcheck shell=bash
# etcd, and etcdctl to look into it.
versions=(ETCD_VERSION)
files=(lib/go.sh)

make_artefact() {
	source "$here/lib/go.sh"
	tools_module etcd go.etcd.io/etcd/server/v3 "v$ETCD_VERSION"
	cd etcd
	go get "go.etcd.io/etcd/etcdctl/v3@v$ETCD_VERSION"
	# The package of the server is called "server".
	"${GO_BUILD[@]}" -ldflags "-s -w" -o "$1/etcd" go.etcd.io/etcd/server/v3
	"${GO_BUILD[@]}" -ldflags "-s -w" -o "$1/etcdctl" go.etcd.io/etcd/etcdctl/v3
}
