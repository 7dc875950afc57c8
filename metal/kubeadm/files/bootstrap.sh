#!/bin/sh
# The first boot of a Kubernetes node: runs kubeadm once, and tells the
# facility's agent how it goes. It is started at every boot until kubeadm came
# to its end, so a server that loses power in the middle goes on by itself.
#
# The text is the same on all nodes; values are in bootstrap.env, secrets in
# files of their own (never on a command line, which every process can read).
set -u
umask 077

root=${METAL_ROOT:-}
state=$root/var/lib/metal
kubernetes=$root/etc/kubernetes
marker=$kubernetes/metal-bootstrapped
attempted=$state/attempted
config=$state/kubeadm.yaml
log=$state/bootstrap.log

[ -e "$marker" ] && exit 0
chmod 0700 "$state" || exit 1
# shellcheck source=/dev/null
. "$state/bootstrap.env" || exit 1

say() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$log"; }

# evidence is the end of the log as the inside of a JSON string: printable ASCII,
# short lines, without tokens and keys.
evidence() {
	tail -n 40 "$log" |
		sed -E \
			-e '/-----BEGIN/,/-----END/d' \
			-e 's/[a-z0-9]{6}\.[a-z0-9]{16}/[redacted]/g' \
			-e 's/(certificate-key|password|secret|key-data)([=: ]+)[^ ]+/\1\2[redacted]/g' |
		LC_ALL=C tr '\t' ' ' | LC_ALL=C tr -cd '\12\40-\176' | cut -c1-300 |
		sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' |
		awk '{ printf "%s%s", (NR > 1 ? "\\n" : ""), $0 }'
}

# post NAME TRIES PAUSE MESSAGE reports one milestone. The agent may be away:
# that is nothing that a node fails of.
post() {
	[ -n "$REPORT_URL" ] || return 0
	body=$state/milestone.$1.json
	printf '{"name":"%s","uptime_seconds":%s,"message":"%s"}\n' "$1" "$(cut -d' ' -f1 /proc/uptime)" "$4" >"$body"
	tries=$2
	while :; do
		curl --silent --show-error --fail --output /dev/null --noproxy '*' --max-time 5 \
			--insecure --pinnedpubkey "sha256//$REPORT_PIN" \
			--header "@$state/milestone.header" --header 'Content-Type: application/json' \
			--data-binary "@$body" "$REPORT_URL" 2>>"$state/milestone.log" && return 0
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 0
		sleep "$3"
	done
}

fail() {
	say "$*"
	say "the first boot failed; it is tried again at the next boot"
	[ -n "$root" ] || tail -n 20 "$log" >/dev/console 2>/dev/null
	# The agent lives with whoever applies, and may come back later.
	post failed "${METAL_TRIES:-120}" "${METAL_PAUSE:-10}" "$(evidence)"
	exit 1
}

await_runtime() {
	waited=0
	until [ -S "$root$CRI_SOCKET" ]; do
		waited=$((waited + 1))
		[ "$waited" -le "${METAL_RUNTIME_SECONDS:-300}" ] || fail "container runtime: no socket at $CRI_SOCKET after $((waited - 1)) s"
		sleep 1
	done
}

check_version() {
	seen=$(kubeadm version -o short 2>>"$log") || fail "kubeadm: does not run on this image"
	[ "$seen" = "$VERSION" ] || fail "kubeadm: the image has $seen, the cluster wants $VERSION"
	kubeadm config validate --config "$config" >>"$log" 2>&1 || fail "kubeadm: refuses its configuration"
}

# reset clears what an attempt left that did not come to its end. Its own
# failure is not the end: kubeadm's checks then say what is in the way.
reset() {
	say "an earlier attempt did not come to its end: kubeadm reset"
	timeout 600 kubeadm reset --force --cri-socket "unix://$CRI_SOCKET" >>"$log" 2>&1 || say "kubeadm reset failed"
}

# The PKI was made by the facility. kubeadm uses what is there already.
place_pki() {
	mkdir -p "$kubernetes/pki/etcd"
	cp -f "$state"/pki/*.crt "$state"/pki/*.key "$state"/pki/*.pub "$kubernetes/pki/" || fail "the PKI cannot be put in place"
	cp -f "$state"/pki/etcd/ca.crt "$state"/pki/etcd/ca.key "$kubernetes/pki/etcd/" || fail "the PKI cannot be put in place"
	chmod 0644 "$kubernetes"/pki/*.crt "$kubernetes"/pki/*.pub "$kubernetes"/pki/etcd/*.crt
}

# Once etcd holds data, workers may have joined: throwing it away would leave
# them with a cluster that does not know them. kubeadm's phases can be repeated,
# only its preflight checks take their own results for a foreign cluster's.
ignored() {
	list=Port-6443,Port-10250,Port-10257,Port-10259,Port-2379,Port-2380
	for pod in kube-apiserver kube-controller-manager kube-scheduler etcd; do
		list=$list,FileAvailable--etc-kubernetes-manifests-$pod.yaml
	done
	echo "$list,DirAvailable-$(echo "$ETCD_DATA" | tr / -)"
}

run_init() {
	set -- init --config "$config" --skip-token-print --skip-certificate-key-print
	if [ -e "$attempted" ]; then
		if [ -d "$root$ETCD_DATA/member" ]; then
			say "an earlier attempt did not come to its end: continuing it"
			set -- "$@" --ignore-preflight-errors="$(ignored)"
		else
			reset
		fi
	fi
	: >"$attempted"
	place_pki
	kubeadm "$@" >>"$log" 2>&1 || fail "kubeadm init failed"
}

run_join() {
	if [ -e "$attempted" ]; then
		# The kubelet writes this file when it has its certificate: it has joined.
		if grep -q client-certificate "$kubernetes/kubelet.conf" 2>/dev/null; then
			say "an earlier attempt has joined"
			return
		fi
		reset
	fi
	: >"$attempted"
	kubeadm join --config "$config" >>"$log" 2>&1 || fail "kubeadm join failed"
}

post booted 10 3 '' &
booted=$!
await_runtime
check_version
case $ROLE in
init) run_init ;;
join) run_join ;;
*) fail "bootstrap: role \"$ROLE\" is unknown" ;;
esac
say "the first boot is done"
: >"$marker"
# kubeadm has its own copies; the token has done its work.
rm -rf "$state/pki" "$config"
sync
post bootstrapped "${METAL_TRIES:-120}" "${METAL_PAUSE:-10}" ''
kill "$booted" 2>/dev/null
exit 0
