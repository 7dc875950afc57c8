# shellcheck shell=bash
# The programs that kube-proxy and flannel call, unpacked from Debian packages: the base layer of both images.
versions=(DEBIAN_SUITE)

make_artefact() {
	# "extract" unpacks the packages and what they depend on, and configures nothing.
	mmdebstrap --mode=root --variant=extract --format=directory --aptopt='APT::Install-Recommends "false"' \
		--include=iptables,nftables,conntrack,ipset,kmod,busybox-static,netcat-openbsd "$DEBIAN_SUITE" root
	mkdir "$1/root"
	tar -C root -c --exclude='*/gconv' --exclude='*/engines-3' bin sbin lib lib64 usr/bin usr/sbin usr/lib | tar -C "$1/root" -x
	link_programs "$1/root"
	# The dynamic linker finds all libraries only through its default folders; prove it now and not in a pod.
	chroot "$1/root" /usr/sbin/iptables --version
	chroot "$1/root" /usr/sbin/nft --version
	chroot "$1/root" /bin/sh -c 'conntrack --version && ipset --version && kmod --version && nc -h'
}

# link_programs makes the links that update-alternatives and busybox would make.
link_programs() {
	local root=$1 family suffix
	for family in iptables ip6tables; do
		for suffix in "" -save -restore; do
			ln -s xtables-nft-multi "$root/usr/sbin/$family$suffix"
		done
	done
	for program in sh cat cp mkdir mv rm sleep test ip; do
		ln -s busybox "$root/bin/$program"
	done
	ln -s nc.openbsd "$root/bin/nc"
	mkdir -p "$root/tmp" "$root/run" "$root/etc"
}
