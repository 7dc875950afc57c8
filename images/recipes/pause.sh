# shellcheck shell=bash
# The program that holds a pod's namespaces.
versions=(PAUSE_VERSION KUBERNETES_VERSION)
files=(lib/go.sh)

make_artefact() {
	source "$here/lib/go.sh"
	local kubernetes
	kubernetes=$(unpacked_module k8s.io/kubernetes "v$KUBERNETES_VERSION")
	gcc -Os -Wall -static "-DVERSION=v$PAUSE_VERSION" -o "$1/pause" "$kubernetes/build/pause/linux/pause.c"
	strip "$1/pause"
}
