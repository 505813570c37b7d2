#!/usr/bin/env bash
# Real English text to train on: the PostgreSQL manual, from a Debian package (2 MB to fetch, nothing is installed).
# Writes data/cache/postgresql/{train,valid}.jsonl and info.json; the second call changes nothing and is instant.
#   scripts/data/postgresql.sh               fetch with apt
#   scripts/data/postgresql.sh FILE.deb      use a package file that is there already
set -euo pipefail
cd "$(dirname "$0")/../.."

output=data/cache/postgresql
say() { echo "postgresql: $*" >&2; }
case "${1:-}" in
  -h | --help) sed -n '2,5p' "$0"; exit 0 ;;
  -*) say "unknown option '$1'"; exit 2 ;;
esac
if python3 scripts/data/html_corpus.py check "$output"; then exit 0; fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# newest_package: the manual of PostgreSQL 15 (Debian 12) where the package lists have it, else the newest one.
newest_package() {
  local names
  names="$(apt-cache search --names-only '^postgresql-doc-[0-9]+$' | cut -d ' ' -f 1 | sort -V)"
  grep -x postgresql-doc-15 <<< "$names" || tail -n 1 <<< "$names"
}

update_lists() {
  if [ "$(id -u)" = 0 ]; then
    say "updating the package lists"
    apt-get update -q > "$work/update.log" 2>&1
  elif command -v sudo > /dev/null; then
    say "updating the package lists with sudo"
    sudo apt-get update -q > "$work/update.log" 2>&1
  else
    say "the package lists are empty, and updating them needs root or sudo: ask for 'apt-get update'," \
      "or fetch the package postgresql-doc-15 elsewhere and pass its file"
    exit 4
  fi || { cat "$work/update.log" >&2; exit 4; }
}

# download: the package file into the work folder; false when that fails (old lists name files that are gone).
download() {
  local package
  package="$(newest_package)"
  [ -n "$package" ] || return 1
  say "fetching $package"
  (cd "$work" && apt-get download -q "$package" > download.log 2>&1)
}

if [ $# -gt 0 ]; then
  deb="$1"
  [ -f "$deb" ] || { say "no such file: $deb"; exit 4; }
else
  command -v apt-get > /dev/null || { say "apt-get is not there: pass the package file postgresql-doc-15*.deb"; exit 4; }
  if ! download; then
    update_lists
    download || { cat "$work/download.log" >&2 || true; say "cannot fetch a package postgresql-doc-*"; exit 4; }
  fi
  deb="$(echo "$work"/*.deb)"
fi

dpkg-deb -x "$deb" "$work/tree" || { say "cannot unpack $deb"; exit 4; }
html="$(echo "$work"/tree/usr/share/doc/postgresql-doc-*/html)"
[ -d "$html" ] || { say "$deb holds no usr/share/doc/postgresql-doc-*/html"; exit 4; }
python3 scripts/data/html_corpus.py build "$html" "$output" \
  --source "$(dpkg-deb -f "$deb" Package) $(dpkg-deb -f "$deb" Version)" --sha256 "$(sha256sum "$deb" | cut -d ' ' -f 1)"
