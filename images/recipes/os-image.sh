# shellcheck shell=bash
# A Kubernetes node's disk: Debian, containerd, kubelet and every container image of a kubeadm cluster.
inputs=(debian-base kubernetes containerd cni-plugins oci-images)
versions=(DEBIAN_SUITE KUBERNETES_VERSION CONTAINERD_VERSION PAUSE_VERSION)
files=(os/root os/grub-early.cfg os/preload.sh os/disk.sh lib/debian.sh)

# Kubelet evicts pods below 10 % of free space and removes images above 85 % of used space; this leaves half free.
readonly disk_mib=4096

make_artefact() {
	source "$here/lib/debian.sh"
	source "$here/os/preload.sh"
	source "$here/os/disk.sh"
	mkdir root
	tar -C root -xf "$(artefact debian-base)/root.tar"
	install_kubernetes root
	configure root
	preload "$PWD/root" "$(artefact containerd)" "$(artefact oci-images)"
	unpack_packages grub grub-efi-amd64-signed shim-signed grub-pc-bin
	make_disk disk.raw $disk_mib root grub
	zstd -T0 -9 -q disk.raw -o "$1/disk.raw.zst"
	describe disk.raw "$1"
}

install_kubernetes() {
	local root=$1 kubernetes containerd
	kubernetes=$(artefact kubernetes)
	containerd=$(artefact containerd)
	install -t "$root/usr/bin" "$kubernetes"/{kubeadm,kubelet,kubectl} \
		"$containerd"/{containerd,containerd-shim-runc-v2,ctr}
	install -D -t "$root/opt/cni/bin" "$(artefact cni-plugins)"/*
	mkdir -p "$root/etc/kubernetes/manifests" "$root/etc/cni/net.d"
}

configure() {
	local root=$1
	cp -r "$here/os/root/." "$root/"
	sed -i "s/@PAUSE_VERSION@/$PAUSE_VERSION/" "$root/etc/containerd/config.toml"
	sed -i "s|@CMDLINE@|$(cat "$root/etc/kernel/cmdline")|" "$root/boot/grub/grub.cfg"
	image_json >"$root/etc/metal-image.json"
	mkdir -p "$root/boot/efi" "$root/var/lib/cloud/seed/nocloud"
	# Each machine makes its own.
	rm -f "$root"/etc/ssh/ssh_host_*
	: >"$root/etc/machine-id"
	systemctl --root "$root" --quiet enable systemd-networkd containerd kubelet
	# Maintenance of a long-lived server, consoles nobody looks at, and devices that a node does not have: each is a
	# process or a kernel module at boot.
	systemctl --root "$root" --quiet mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer getty@tty1.service getty-static.service systemd-pstore.service \
		systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-binfmt.service systemd-sysusers.service \
		systemd-network-generator.service proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount \
		sys-kernel-config.mount sys-kernel-debug.mount sys-kernel-tracing.mount modprobe@drm.service modprobe@fuse.service \
		modprobe@configfs.service cloud-config.service cloud-init-hotplugd.socket
	# cloud-init always runs here, so its search for a reason to run, before anything else starts, is time lost.
	mkdir -p "$root/etc/systemd/system-generators"
	ln -s /dev/null "$root/etc/systemd/system-generators/cloud-init-generator"
	systemctl --root "$root" --quiet add-wants multi-user.target cloud-init.target
}

image_json() {
	jq -n --arg suite "$DEBIAN_SUITE" --arg kubernetes "v$KUBERNETES_VERSION" --arg containerd "v$CONTAINERD_VERSION" \
		--rawfile images "$(artefact oci-images)/images.txt" '{
			name: "debian-\($suite)-kubernetes", version: $kubernetes, architecture: "amd64", os: "debian \($suite)",
			kubernetes: $kubernetes, containerd: $containerd, images: ($images | split("\n") | map(select(. != ""))),
			default_user: "debian", datasource: "NoCloud"
		}'
}

# describe writes the digest and disk.raw.zst.json, which is the image's own description and what a download is checked by.
describe() {
	local raw=$1 out=$2 digest
	digest=$(sha256sum <"$out/disk.raw.zst" | cut -d' ' -f1)
	echo "$digest" >"$out/disk.raw.zst.sha256"
	image_json | jq --arg digest "$digest" --argjson size "$(stat -c %s "$out/disk.raw.zst")" \
		--arg raw_digest "$(sha256sum <"$raw" | cut -d' ' -f1)" --argjson raw_size "$(stat -c %s "$raw")" \
		'. + {format: "raw", compression: "zstd", size: $size, sha256: $digest, raw_size_bytes: $raw_size, raw_sha256: $raw_digest}' \
		>"$out/disk.raw.zst.json"
}
