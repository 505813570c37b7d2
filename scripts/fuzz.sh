#!/usr/bin/env bash
# Builds the libFuzzer targets with clang++ (AddressSanitizer, UndefinedBehaviorSanitizer) and runs each on its corpus,
# as many at a time as there are cores.
#   scripts/fuzz.sh [SECONDS] [TARGET ...]      default: 60 s each, all targets
#
# A target is one file, tests/fuzz/<target>_fuzz.cpp. Its first line names the sources that it is built from, as the
# shell expands them: "// fuzz: libtrain/core/error.cpp libtrain/data/*.cpp". They must need no LibTorch, MPI or HDF5.
# The second line may name libraries: "// libraries: -lpcre2-8".
# Seeds lie in tests/fuzz/corpus/<target>/ (small, written by hand); what a run finds goes to build/fuzz/<target>/.
# An input that takes 2 s or 512 MB, or that crashes, ends the script with 1 and its path; 77: there is no clang++.
set -euo pipefail
cd "$(dirname "$0")/.."
export seconds="${1:-60}"
shift || true
command -v clang++ > /dev/null || { echo "fuzz: skipped, no clang++ (packages clang and libclang-rt-dev)" >&2; exit 77; }
if [ $# = 0 ]; then
  for file in tests/fuzz/*_fuzz.cpp; do
    name="${file##*/}"
    set -- "$@" "${name%_fuzz.cpp}"
  done
fi

export flags="-std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Ilibtrain" launcher=""
if command -v ccache > /dev/null; then launcher=ccache; fi
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1  # the entries serve a checkout in another folder too

# sources_of TARGET: one a line.
sources_of() {
  local list
  list="$(sed -n '1s,^// fuzz: ,,p' "tests/fuzz/$1_fuzz.cpp")"
  [ -n "$list" ] || { echo "fuzz: the first line of tests/fuzz/$1_fuzz.cpp names no sources" >&2; exit 2; }
  eval "printf '%s\n' tests/fuzz/$1_fuzz.cpp $list"
}

object_of() { echo "build/fuzz/objects/${1//\//_}.o"; }

compile() { $launcher clang++ $flags -c "$1" -o "$(object_of "$1")"; }

link() {
  local objects=() libraries source
  for source in $(sources_of "$1"); do objects+=("$(object_of "$source")"); done
  libraries="$(sed -n '2s,^// libraries: ,,p' "tests/fuzz/$1_fuzz.cpp")"
  clang++ $flags "${objects[@]}" $libraries -lfmt -o "build/fuzz/$1_fuzz"
}

# run TARGET ARGUMENTS ...: its output goes to the log.
run() {
  "build/fuzz/$1_fuzz" -rss_limit_mb=512 -timeout=2 -artifact_prefix="build/fuzz/$1-failed/" "${@:2}" \
    > "build/fuzz/$1.log" 2>&1
}

# The limit is wall-clock time, which a busy machine exceeds with any input: what is fast alone is no failure.
only_interrupted() {
  local file failed=1
  for file in "build/fuzz/$1-failed/"*; do
    [[ "$file" == */timeout-* ]] && "build/fuzz/$1_fuzz" -timeout=2 "$file" > /dev/null 2>&1 || return 1
    rm "$file"
    failed=0
  done
  return $failed
}

fuzz() {
  link "$1"
  rm -rf "build/fuzz/$1-failed"
  mkdir -p "build/fuzz/$1" "build/fuzz/$1-failed"
  if ! run "$1" -max_total_time="$seconds" -max_len=65536 -print_final_stats=1 "build/fuzz/$1" \
    "tests/fuzz/corpus/$1" && ! only_interrupted "$1"; then
    tail -n 40 "build/fuzz/$1.log" >&2
    echo "fuzz: $1 failed; the input is in build/fuzz/$1-failed/" >&2
    return 1
  fi
  echo "fuzz: $1 for $seconds s"$'\n'"$(grep -E "^stat::(number_of_executed_units|peak_rss_mb|slowest_unit_time_sec)" "build/fuzz/$1.log")"
}

# at_a_time FUNCTION: for each line of stdin, on all cores; fails when one fails.
at_a_time() { xargs -P "$(nproc)" -I {} bash -euo pipefail -c "$1"' "$1"' _ {}; }

export -f sources_of object_of compile link run only_interrupted fuzz
mkdir -p build/fuzz/objects
sources="$(for target in "$@"; do sources_of "$target"; done)"
sort -u <<< "$sources" | at_a_time compile
printf '%s\n' "$@" | at_a_time fuzz
