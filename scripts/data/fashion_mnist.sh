#!/usr/bin/env bash
# Real images to train on: FashionMNIST (60 000 and 10 000 images of 28 x 28 pixels in 10 classes; Xiao, Rasul and
# Vollgraf 2017), from the Debian package dataset-fashion-mnist (31 MB to fetch, nothing is installed; MIT licence).
# Writes data/cache/fashion-mnist/*-ubyte.gz; the second call changes nothing. The contents are compared with the
# SHA-256 sums below, so that any package that passes holds the same images.
#   scripts/data/fashion_mnist.sh               fetch with apt
#   scripts/data/fashion_mnist.sh FILE.deb      use a package file that is there already
set -euo pipefail
cd "$(dirname "$0")/../.."

output=data/cache/fashion-mnist
package=dataset-fashion-mnist
say() { echo "fashion_mnist: $*" >&2; }
case "${1:-}" in
  -h | --help) sed -n '2,7p' "$0"; exit 0 ;;
  -*) say "unknown option '$1'"; exit 2 ;;
esac

# sums: SHA-256 of each unpacked file, and its name.
sums() {
  cat << 'SUMS'
5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b t10k-images-idx3-ubyte.gz
0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34 t10k-labels-idx1-ubyte.gz
c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888 train-images-idx3-ubyte.gz
bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9 train-labels-idx1-ubyte.gz
SUMS
}

# complete FOLDER: whether it has all files with these contents.
complete() {
  local sum name
  while read -r sum name; do
    [ -f "$1/$name" ] && [ "$(gzip -dc "$1/$name" 2> /dev/null | sha256sum | cut -d ' ' -f 1)" = "$sum" ] || return 1
  done < <(sums)
}

if complete "$output"; then exit 0; fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
download() { (cd "$work" && apt-get download -q "$package" > download.log 2>&1); }

if [ $# -gt 0 ]; then
  deb="$1"
  [ -f "$deb" ] || { say "no such file: $deb"; exit 4; }
else
  command -v apt-get > /dev/null || { say "apt-get is not there: pass the package file $package*.deb"; exit 4; }
  say "fetching $package"
  download || { [ "$(id -u)" = 0 ] && apt-get update -q > "$work/update.log" 2>&1 && download; } || {
    cat "$work/download.log" >&2
    say "cannot fetch $package: ask for 'apt-get update', or pass the package file"
    exit 4
  }
  deb="$(echo "$work"/*.deb)"
fi

dpkg-deb -x "$deb" "$work/tree" || { say "cannot unpack $deb"; exit 4; }
found="$work/tree/usr/share/datasets/fashion-mnist"
complete "$found" || { say "$deb does not hold the files of FashionMNIST with the contents that are known"; exit 4; }
mkdir -p "$output"
sums | while read -r _ name; do
  cp "$found/$name" "$output/$name.tmp"
  mv "$output/$name.tmp" "$output/$name"
done
say "$output"
