# shellcheck shell=bash
# Kubernetes' own programs, with exactly upstream's dependencies.
versions=(KUBERNETES_VERSION)
files=(lib/go.sh)

programs=(kubeadm kubelet kubectl kube-apiserver kube-controller-manager kube-scheduler kube-proxy)

make_artefact() {
	source "$here/lib/go.sh"
	kubernetes_module "v$KUBERNETES_VERSION"
	local version=k8s.io/component-base/version minor
	minor=$(cut -d. -f2 <<<"$KUBERNETES_VERSION")
	# One invocation for all: they share most of their packages.
	"${GO_BUILD[@]}" -tags selinux,notest,grpcnotrace -o "$1/" -ldflags "-s -w \
		-X $version.gitVersion=v$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=$minor \
		-X $version.gitTreeState=clean" \
		"${programs[@]/#/k8s.io/kubernetes/cmd/}"
}

# kubernetes_module turns the current folder into a module with the go.mod of Kubernetes: the published module's go.mod
# replaces each staging module by a folder that is not part of it, so they are replaced by their releases here. Its
# `godebug` lines count only in a main module, so they are kept.
kubernetes_module() {
	local version=$1 staging=v0.${1#v1.} from module
	from=$(unpacked_module k8s.io/kubernetes "$version")
	cp "$from/go.mod" "$from/go.sum" .
	chmod u+w go.mod go.sum
	go mod edit -module lab.invalid/kubernetes
	go mod edit -json | jq -r '.Replace[]?.Old.Path' >replaced
	while read -r module; do
		go mod edit -dropreplace "$module" -require "$module@$staging" -replace "$module=$module@$staging"
	done <replaced
	go mod edit -require "k8s.io/kubernetes@$version"
}
