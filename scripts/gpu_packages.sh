#!/usr/bin/env bash
# The libraries of this distribution that Moesaic is built from, carried to a machine without a network.
#   scripts/gpu_packages.sh pack FOLDER     here: downloads the packages and what they need, but for compilers and the C library
#   scripts/gpu_packages.sh unpack FOLDER   there, as root: adds their files to /, and never replaces one that is there.
#                                           For a machine that is thrown away: its package manager does not hear of it.
set -euo pipefail

libraries=(openmpi-bin libopenmpi-dev libhdf5-openmpi-dev libcli11-dev libyaml-cpp-dev libfmt-dev nlohmann-json3-dev
  libxxhash-dev libjemalloc-dev libpcre2-dev libutf8proc-dev libpng-dev libsodium-dev libkissfft-dev libssl-dev libprotobuf-dev
  protobuf-compiler libgrpc++-dev protobuf-compiler-grpc libgtest-dev libbenchmark-dev)
# What every machine that compiles has, and what nothing here uses.
left_out='^(libc6|libc-|libcrypt|linux-libc|gcc|g\+\+|cpp|gfortran|libgfortran|lib.*-fortran|libgcc|libstdc|libcc1|lib[atl]san'
left_out+='|libubsan|libitm|libgomp|libquadmath|libatomic|binutils|libbinutils|libctf|libgprofng|libisl|libmpc3|libmpfr|dpkg|tar$'
left_out+='|perl|libperl|debconf|adduser|passwd|libpam|libselinux|libsem|libsepol|libaudit|libcap|libdb5|libtinfo|libbz2|liblzma'
left_out+='|libacl|libattr|openssh|libedit|libfido|libcbor|python|libpython|googletest|libjs|libhwloc-plugins|libx11|libxau|libxcb|libxdmcp|libxext|libxml|libxnvctrl|libicu|auto|m4|debianutils|rpcsvc|libnsl|libtirpc|libbsd|libmd0)'

# pack FOLDER: what apt would install on an empty machine.
pack() {
  mkdir -p "$1"
  local empty names
  empty="$(mktemp)"
  names="$(apt-get -o Dir::State::status="$empty" --no-install-recommends -s install "${libraries[@]}" |
    awk '$1 == "Inst" { print $2 }' | grep -vE "$left_out" | sort)"
  rm "$empty"
  (cd "$1" && echo "$names" | xargs apt-get download -q > /dev/null)
  echo "gpu_packages: $(echo "$names" | wc -l) packages, $(du -sh "$1" | cut -f1), in $1"
}

# unpack FOLDER: a package's own script would make the plain names of Open MPI's programs; here they are links.
unpack() {
  local package program
  for package in "$1"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C / --skip-old-files --keep-directory-symlink
  done
  for program in /usr/bin/*.openmpi; do
    [ -e "${program%.openmpi}" ] || ln -sf "$program" "${program%.openmpi}"
  done
  ldconfig
  echo "gpu_packages: added $(ls "$1"/*.deb | wc -l) packages"
}

case "${1:-}:${2:-}" in
  pack:?* | unpack:?*) "$1" "$2" ;;
  *) sed -n '2,6p' "$0"; [ "${1:-}" = --help ] || [ "${1:-}" = -h ] || exit 2 ;;
esac
