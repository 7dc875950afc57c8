# shellcheck shell=bash

# unpack_packages DIR PACKAGE... unpacks Debian packages without installing them or what they depend on.
unpack_packages() {
	local dir=$1 package
	shift
	mkdir -p debs "$dir"
	# The download user of apt may not be able to write here; say so up front instead of having it warn.
	(cd debs && apt-get -o APT::Sandbox::User=root download "$@")
	for package in debs/*.deb; do
		dpkg-deb -x "$package" "$dir"
	done
	rm -r debs
}
