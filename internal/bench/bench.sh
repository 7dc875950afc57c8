#!/usr/bin/env bash
# Measures beside the peers and writes reports/bench-<date>.md.
#
#   internal/bench/bench.sh               all sections
#   PARTS="image ipam" RUNS=1 .../bench.sh
#
# PARTS: boot image bmc ipam plugin.   RUNS: rounds, the tables show their medians (3).
# BENCH_WORK: a folder for large files (some 10 GiB; default: the system's temporary folder).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PARTS=${PARTS:-plugin ipam bmc image boot}
RUNS=${RUNS:-3}
export CGO_ENABLED=0
provider=$PWD/bin/terraform-provider-metal
report=$PWD/reports/bench-$(date +%Y-%m-%d-%H%M).md
work=$(mktemp -d "${BENCH_WORK:-${TMPDIR:-/tmp}}/metal-bench.XXXXXX")
lab=
failed=()

# shellcheck disable=SC2317 # the trap calls it
finish() {
	[[ -z $lab ]] || "$provider" lab down --name "$lab" --dir "$work/lab" --purge >&2 || true
	rm -rf "$work"
}
trap finish EXIT

say() { printf '\n== %s\n' "$*" >&2; }

# optional PACKAGE PROGRAM installs a peer's package where that is possible; without it the report says what is missing.
optional() {
	command -v "$2" >/dev/null && return
	[[ $EUID -eq 0 ]] && command -v apt-get >/dev/null || return 0
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$1" >/dev/null 2>&1 ||
		echo "bench: $1 could not be installed" >&2
}

prepare() {
	[[ -x $provider ]] || make --no-print-directory build
	go build -trimpath -o "$work/bench" ./internal/bench
	peers=$work/peers
	if ! go build -C internal/bench/peers -trimpath -o "$peers" . 2>"$work/peers.log"; then
		tail -n 5 "$work/peers.log" >&2
		peers=
	fi
	optional bmap-tools bmaptool
	optional qemu-utils qemu-img
	mkdir -p reports
}

# field NAME FILE prints a value of a file such as /proc/cpuinfo.
field() { sed -n "s/^$1[[:space:]]*:[[:space:]]*//p" "$2" | head -n 1; }

head_of_report() {
	cat <<-END
		# Benchmark of $(date '+%Y-%m-%d %H:%M')

		$(nproc) processors ($(field 'model name' /proc/cpuinfo)), $(($(field MemTotal /proc/meminfo | cut -d' ' -f1) / 1024)) MiB, Linux $(uname -r), $(go version | cut -d' ' -f3).
		Medians of $RUNS rounds, the competitors taking turns. Ratios within one run are sound; absolute figures are this machine's, with whatever else it did: see the load averages.
	END
}

# boot needs a lab; the benchmark runs in its network.
boot() {
	lab=bench-$$
	installer=$(images/build --path installer-image)
	if "$provider" lab up --name "$lab" --dir "$work/lab" --machines 1 --memory 1024 --cpus 2 --disk 1G >"$work/up.log" 2>&1; then
		"$provider" lab status --name "$lab" --dir "$work/lab" --json >"$work/lab.json"
		"$provider" lab exec --name "$lab" --dir "$work/lab" -- \
			"$work/bench" boot -runs "$RUNS" -installer "$installer" -lab "$work/lab.json" -work "$work"
	else
		cat "$work/up.log" >&2
		lab=
		"$work/bench" boot -installer "$installer"
	fi
}

part() {
	case $1 in
	boot) boot ;;
	image) "$work/bench" image -runs "$RUNS" -work "$work" -image "$(images/build --path os-image)" ;;
	bmc) "$work/bench" bmc -runs "$RUNS" -work "$work" -peers "$peers" ;;
	ipam) "$work/bench" ipam -runs "$RUNS" -peers "$peers" ;;
	plugin) "$work/bench" plugin -runs "$RUNS" -provider "$provider" ;;
	*)
		echo "bench: there is no part $1" >&2
		return 2
		;;
	esac
}

say "building"
prepare
head_of_report | tee "$report"
for name in $PARTS; do
	say "$name"
	# A part that fails is said in the report, and the others still run.
	if ! part "$name" | tee -a "$report"; then
		failed+=("$name")
		printf '\nNot measured: %s failed.\n' "$name" | tee -a "$report"
	fi
done
cat >>"$report" <<-'END'

	Not measured by this benchmark: DHCP exchanges, TFTP and HTTP throughput, a no-change plan of a thousand hosts.
END
say "written: $report"
[[ ${#failed[@]} -eq 0 ]]
