# shellcheck shell=bash
# The installer's initramfs: /init, and kernel modules in one flat folder with plain lists, so that the program which
# loads them needs no index formats. A NAME has underscores only.
#   /lib/modules/NAME.ko         not compressed one by one, because the archive is
#   /lib/modules/modules.load    all names, each after what it depends on
#   /lib/modules/modules.dep     "NAME: DEPENDENCY..." with the indirect and the soft ones, in the order to load them
#   /lib/modules/modules.alias   "PATTERN NAME": a device whose modalias matches the shell pattern wants the module
#   /lib/modules/modules.always  names to load on every host
# A dependency may fail to load without harm: crc32c_intel does on a processor that lacks the instruction.

# add_modules TREE KERNEL_TREE VERSION LIST
add_modules() {
	local tree=$1/lib/modules kernel=$2 version=$3 list=$4 wanted name path
	mkdir -p "$tree"
	depmod -b "$kernel" "$version"
	# shellcheck disable=SC2013 # Names have no blanks.
	for wanted in $(sed 's/#.*//' "$list" | awk '{print $1}'); do
		for path in $(module_files "$wanted"); do
			name=$(module_name "$path")
			[[ ! -e $tree/$name.ko ]] || continue
			cp "$path" "$tree/$name.ko"
			echo "$name" >>"$tree/modules.load"
			dependencies "$name" >>"$tree/modules.dep"
		done
	done
	awk '$2 == "always" {print $1}' "$list" | tr - _ >"$tree/modules.always"
	awk 'NR == FNR {have[$1]; next} $1 == "alias" && $3 in have {print $2, $3}' "$tree/modules.load" \
		"$kernel/lib/modules/$version/modules.alias" >"$tree/modules.alias"
}

# module_files prints the files that a module needs, itself last; what is built into the kernel is none of them.
module_files() { modprobe -d "$kernel" -S "$version" --show-depends "$1" | awk '$1 == "insmod" {print $2}'; }

module_name() { basename "$1" .ko | tr - _; }

dependencies() {
	local path line=$1:
	for path in $(module_files "$1"); do
		[[ $(module_name "$path") == "$1" ]] || line+=" $(module_name "$path")"
	done
	echo "$line"
}

# pack TREE OUTPUT LEVEL makes the archive. Times and owners are dropped: equal content, equal bytes.
pack() {
	find "$1" -exec touch --no-dereference --date=@0 {} +
	(cd "$1" && find . -print0 | sort -z | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) |
		zstd "$3" -T0 -q -o "$2"
}
