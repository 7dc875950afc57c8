# shellcheck shell=bash
# Debian with everything that a Kubernetes node needs from its distribution, as a tarball: the slow half of the image,
# which no change of a Kubernetes version makes again.
versions=(DEBIAN_SUITE)
files=(os/base)

packages=(
	# Boot and base system.
	linux-image-cloud-amd64 initramfs-tools zstd systemd-sysv systemd-resolved libnss-myhostname udev dbus kmod e2fsprogs fdisk
	# What an operator and the node's bootstrap expect.
	cloud-init openssh-server sudo curl ca-certificates iproute2 iputils-ping less procps
	# What kubelet, kube-proxy and the network plugin call.
	runc iptables nftables conntrack ethtool socat ipset mount util-linux
)

make_artefact() {
	local include
	include=$(IFS=, && echo "${packages[*]}")
	# Documentation and translations are a third of the files, and each file costs time when the image is written.
	# The initramfs settings go in before the kernel, whose installation makes the initramfs.
	mmdebstrap --mode=root --variant=minbase --include="$include" \
		--aptopt='APT::Install-Recommends "false"' \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
		--essential-hook="cp -r '$here/os/base/.' \"\$1/\"" \
		"$DEBIAN_SUITE" "$1/root.tar"
}
