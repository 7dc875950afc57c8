# shellcheck shell=bash
versions=(CNI_PLUGINS_VERSION)
files=(lib/go.sh)

make_artefact() {
	source "$here/lib/go.sh"
	local plugins=github.com/containernetworking/plugins
	tools_module plugins $plugins "v$CNI_PLUGINS_VERSION"
	cd plugins
	"${GO_BUILD[@]}" -o "$1/" \
		-ldflags "-s -w -X $plugins/pkg/utils/buildversion.BuildVersion=v$CNI_PLUGINS_VERSION" \
		$plugins/plugins/main/{bridge,host-device,ipvlan,loopback,macvlan,ptp,vlan} $plugins/plugins/ipam/{host-local,static} \
		$plugins/plugins/meta/{bandwidth,firewall,portmap,sbr,tuning}
}
