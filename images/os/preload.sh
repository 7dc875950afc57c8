# shellcheck shell=bash

# preload ROOT CONTAINERD IMAGES imports every tarball of the folder IMAGES into ROOT/var/lib/containerd, as kubelet will
# look for them, with the containerd that will serve them.
preload() {
	local root=$1 containerd=$2 images=$3 archive
	mkdir -p containerd
	cat >containerd/config.toml <<-CONFIG
		version = 3
		root = '$root/var/lib/containerd'
		state = '$PWD/containerd/state'
		temp = '$PWD/containerd/temp'
		disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.images', 'io.containerd.cri.v1.runtime']
		[grpc]
		  address = '$PWD/containerd/sock'
		[ttrpc]
		  address = '$PWD/containerd/ttrpc'
	CONFIG
	"$containerd/containerd" --config containerd/config.toml --log-level warn &
	daemon=$!
	trap 'kill $daemon 2>/dev/null || true' EXIT
	until [[ -S containerd/sock ]]; do
		kill -0 $daemon
		sleep 0.1
	done
	for archive in "$images"/*.tar; do
		# The label is what tells containerd's CRI plugin that the image is its own.
		ctr images import --local --label io.cri-containerd.image=managed "$archive"
	done
	# An unpacked layer is never read again, and a third of what would be written to every disk.
	ctr content prune references
	ctr images list --quiet | sort >containerd/have
	sort "$images/images.txt" | diff - containerd/have
	kill "$daemon"
	wait "$daemon" || true
	trap - EXIT
}

ctr() { "$containerd/ctr" --address "$PWD/containerd/sock" --connect-timeout 60s --namespace k8s.io "$@"; }
