# shellcheck shell=bash
# The container images of a kubeadm cluster and its network plugin, as docker-archive tarballs, and `images.txt` with
# their names.
inputs=(kubernetes etcd coredns pause flannel userland)
versions=(KUBERNETES_VERSION ETCD_IMAGE_TAG COREDNS_VERSION PAUSE_VERSION CONTAINERD_PAUSE_VERSION FLANNEL_VERSION)
files=(lib/go.sh ociimage)

make_artefact() {
	source "$here/lib/go.sh"
	(cd "$here/ociimage" && GOFLAGS=-buildvcs=false "${GO_BUILD[@]}" -o "$OLDPWD/ociimage" .)
	local kubernetes userland program
	kubernetes=$(artefact kubernetes)
	userland=$(artefact userland)/root

	for program in kube-apiserver kube-controller-manager kube-scheduler; do
		image "$1" "registry.k8s.io/$program:v$KUBERNETES_VERSION" -file "$kubernetes/$program=/usr/local/bin/$program" \
			-entrypoint "$program"
	done
	image "$1" "registry.k8s.io/kube-proxy:v$KUBERNETES_VERSION" -tree "$userland" \
		-file "$kubernetes/kube-proxy=/usr/local/bin/kube-proxy" -entrypoint kube-proxy
	image "$1" "registry.k8s.io/etcd:$ETCD_IMAGE_TAG" -file "$(artefact etcd)/etcd=/usr/local/bin/etcd" \
		-file "$(artefact etcd)/etcdctl=/usr/local/bin/etcdctl" -entrypoint etcd
	image "$1" "registry.k8s.io/coredns/coredns:v$COREDNS_VERSION" -file "$(artefact coredns)/coredns=/coredns" \
		-entrypoint /coredns
	image "$1" "registry.k8s.io/pause:$PAUSE_VERSION" -tag "registry.k8s.io/pause:$CONTAINERD_PAUSE_VERSION" \
		-file "$(artefact pause)/pause=/pause" -entrypoint /pause -user 65535:65535
	echo "registry.k8s.io/pause:$CONTAINERD_PAUSE_VERSION" >>"$1/images.txt"
	image "$1" "ghcr.io/flannel-io/flannel:v$FLANNEL_VERSION" -tree "$userland" \
		-file "$(artefact flannel)/flanneld=/opt/bin/flanneld" -entrypoint /opt/bin/flanneld
}

# image FOLDER REFERENCE OPTION... writes FOLDER/NAME.tar and notes the reference.
image() {
	local folder=$1 reference=$2 file
	file=$(basename "${reference%:*}").tar
	shift 2
	./ociimage -output "$folder/$file" -tag "$reference" "$@"
	echo "$reference" >>"$folder/images.txt"
}
