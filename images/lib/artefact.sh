# shellcheck shell=bash
# Artefacts: keys, paths, and building one at most once. Expects $here (this folder's parent) and $METAL_CACHE.
#
# A recipe is recipes/NAME.sh and sets
#   inputs=(NAME...)    artefacts it reads, with `artefact NAME`
#   versions=(VAR...)   variables of versions.sh it uses
#   files=(PATH...)     other files of this folder it reads
#   make_artefact OUT   fills the folder OUT; runs in an empty scratch folder that is removed afterwards
#   more_key            optional: prints whatever else the result depends on

recipes() {
	local file
	for file in "$here"/recipes/*.sh; do
		basename "$file" .sh
	done
}

# load reads a recipe into the current shell; callers use a subshell, so that recipes don't see each other.
load() {
	local recipe=$here/recipes/$1.sh
	if [[ ! -f $recipe ]]; then
		echo "no recipe for $1; there are: $(recipes | tr '\n' ' ')" >&2
		return 1
	fi
	inputs=() versions=() files=()
	more_key() { :; }
	# shellcheck source=versions.sh
	source "$here/versions.sh"
	# shellcheck disable=SC1090
	source "$recipe"
}

key() (
	set -euo pipefail
	load "$1"
	{
		go env GOVERSION
		(cd "$here" && cat "recipes/$1.sh")
		for name in ${versions[@]+"${versions[@]}"}; do echo "$name=${!name}"; done
		for file in ${files[@]+"${files[@]}"}; do (cd "$here" && find "$file" -type f -print0 | sort -z | xargs -0 sha256sum); done
		for name in ${inputs[@]+"${inputs[@]}"}; do
			input_key=$(key "$name")
			echo "$name $input_key"
		done
		more_key
	} | sha256sum | cut -c1-16
)

path() {
	local key
	key=$(key "$1")
	echo "$METAL_CACHE/$1/$key"
}

# artefact is what recipes call: the folder of an input, which ensure has already built.
artefact() { path "$1"; }

ensure() {
	local name=$1 folder inputs_of input
	folder=$(path "$name")
	if [[ -d $folder ]]; then
		echo "$name: $folder (cached)"
		return
	fi
	inputs_of=$(load "$name" && echo "${inputs[@]-}")
	for input in $inputs_of; do
		ensure "$input"
	done
	mkdir -p "$METAL_CACHE/$name"
	# Descriptor 9 holds the lock until this subshell ends, however it ends.
	(
		flock 9
		[[ -d $folder ]] || build_locked "$name" "$folder"
	) 9>"$METAL_CACHE/$name/.lock"
}

# build_locked makes the artefact beside its final place and renames it: readers never see half of one.
build_locked() {
	local name=$1 folder=$2 started=$SECONDS
	local log=$METAL_CACHE/$name/build.log building=$METAL_CACHE/$name/.building scratch=$METAL_CACHE/$name/.scratch
	remove_tree "$building" "$scratch"
	mkdir -p "$building" "$scratch"
	# A process of its own, because set -e does not hold in a function whose result is tested.
	if ! here=$here bash -euo pipefail -c 'source "$here/lib/artefact.sh"; load "$1"; cd "$3"; make_artefact "$2"' \
		recipe "$name" "$building" "$scratch" >"$log" 2>&1 9>&- </dev/null; then
		echo "$name: failed after $((SECONDS - started)) s; the end of $log:" >&2
		tail -n 25 "$log" >&2
		remove_tree "$building" "$scratch"
		return 1
	fi
	remove_tree "$scratch"
	mv "$building" "$folder"
	prune "$name" "$folder"
	echo "$name: $folder ($((SECONDS - started)) s, $(du -sh "$folder" | cut -f1))"
}

# prune drops older keys of the artefact that nothing has read for a day.
prune() {
	local old
	for old in "$METAL_CACHE/$1"/*/; do
		old=${old%/}
		[[ $old != "$2" && -n $(find "$old" -maxdepth 0 -mmin +1440) ]] || continue
		remove_tree "$old"
	done
}

# remove_tree also removes what the Go module cache left read-only.
remove_tree() {
	local tree
	for tree in "$@"; do
		[[ -e $tree ]] || continue
		chmod -R u+w "$tree" 2>/dev/null || true
		rm -rf --one-file-system "$tree"
	done
}
