#!/usr/bin/env bash
# Everything, for hours, with a dated report: reports/full-<date>.md.
#
#   internal/endtoend/full.sh
#   PARTS="fuzz seeds" RUNS=20 FUZZTIME=30m internal/endtoend/full.sh
#   PARTS=seeds SEEDS="17 4711" internal/endtoend/full.sh        # failed seeds again, alone
#   PARTS=fuzz FUZZ=FuzzPacket FUZZTIME=1h internal/endtoend/full.sh
#
# PARTS     short (vet and unit tests), acceptance, lab (the end-to-end tests as make test-lab runs them), fuzz, race, seeds;
#           all by default
# RUNS      how many seeds the part "seeds" draws (5)
# SEEDS     these seeds instead
# FUZZ      a regular expression that names fuzz targets (all)
# FUZZTIME  for each fuzz target (10m)
#
# The output of every step is beside the report. A failed step doesn't keep the others from running; the last line and the
# exit status say how many failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PARTS=${PARTS:-short acceptance lab fuzz race seeds}
RUNS=${RUNS:-5}
SEEDS=${SEEDS:-}
FUZZ=${FUZZ:-.}
FUZZTIME=${FUZZTIME:-10m}
export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:+$GOFLAGS }-trimpath"

stamp=$(date +%Y-%m-%d-%H%M)
report=$PWD/reports/full-$stamp.md
logs=$PWD/reports/full-$stamp
failed=0
mkdir -p "$logs"

write() { printf '%s\n' "$*" >>"$report"; }

# step NAME AGAIN COMMAND...: runs the command with its output in a file; AGAIN is how to run it alone.
step() {
	local name=$1 again=$2 log=$logs/${1//[^A-Za-z0-9]/-}.log began=$SECONDS status=0 result=passed
	shift 2
	printf '== %s\n' "$name" >&2
	"$@" >"$log" 2>&1 </dev/null || status=$?
	if [[ $status -ne 0 ]]; then
		result="**failed** ($status), see ${log#"$PWD/"}"
		failed=$((failed + 1))
		tail -n 30 "$log" >&2
	fi
	write "| $name | $((SECONDS - began)) | $result | \`$again\` |"
}

unit_packages() { go list ./... | grep -v -e /provider/terraform/acceptance -e /internal/endtoend; }

short() {
	local packages
	mapfile -t packages < <(unit_packages)
	step "vet" "go vet ./..." go vet ./...
	step "unit tests" "make test-short" go test -count=1 "${packages[@]}"
}

# race needs cgo and so a C compiler; its packages are compiled anew.
race() {
	local packages
	mapfile -t packages < <(unit_packages)
	step "unit tests with the race detector" "CGO_ENABLED=1 go test -race ./..." \
		env CGO_ENABLED=1 go test -race -count=1 -timeout 30m "${packages[@]}"
}

acceptance() {
	local tofu
	tofu=$(images/build --path opentofu)/tofu
	step "acceptance" "make test-acceptance" \
		env TF_ACC_TERRAFORM_PATH="$tofu" go test -count=1 -timeout 40m ./provider/terraform/acceptance/...
}

lab() {
	local packages
	mapfile -t packages < <(tagged)
	step "lab" "make test-lab" go test -count=1 -timeout 90m -tags endtoend -v "${packages[@]}"
}

# tagged lists the packages that have tests which only the tag "endtoend" builds.
tagged() { git ls-files '*_test.go' | xargs grep -lE '^//go:build .*endtoend' | xargs -n 1 dirname | sort -u | sed 's#^#./#'; }

# seeds walks the whole road with kills at moments that the seed draws.
seeds() {
	local seed list=()
	read -ra list <<<"$SEEDS"
	while [[ ${#list[@]} -lt $RUNS && -z $SEEDS ]]; do list+=("$((RANDOM * 32768 + RANDOM))"); done
	for seed in "${list[@]}"; do
		step "road, seed $seed" "PARTS=seeds SEEDS=$seed internal/endtoend/full.sh" \
			env ROAD_SEED="$seed" go test -count=1 -timeout 60m -tags endtoend -run '^TestRoad$' -v ./internal/endtoend/...
	done
}

# fuzz gives every target its time. Go keeps an input that fails in the package's testdata/fuzz: it is to be committed.
fuzz() {
	local file target
	while IFS=: read -r file target; do
		step "$target in $(dirname "$file")" "PARTS=fuzz FUZZ=^$target\$ FUZZTIME=$FUZZTIME internal/endtoend/full.sh" \
			go test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" "./$(dirname "$file")"
	done < <(targets)
}

# targets prints file:name of the fuzz targets.
targets() {
	git ls-files '*_test.go' | xargs grep -oHE '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/' |
		while IFS=: read -r file target; do [[ ! $target =~ $FUZZ ]] || echo "$file:$target"; done
}

write "# Full test of $(date '+%Y-%m-%d %H:%M')"
write ""
write "Commit $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ' with changes'), $(go version | cut -d' ' -f3), $(nproc) processors, Linux $(uname -r)."
write "Parts: $PARTS. Fuzzing: $FUZZTIME per target."
write ""
write "| step | seconds | result | again |"
write "| --- | --- | --- | --- |"
for part in $PARTS; do
	case $part in
	short | acceptance | lab | fuzz | race | seeds) "$part" ;;
	*)
		echo "full: there is no part $part" >&2
		exit 2
		;;
	esac
done
write ""
write "Failed steps: $failed."
printf 'written: %s; failed steps: %s\n' "$report" "$failed" >&2
[[ $failed -eq 0 ]]
