#!/usr/bin/env bash
# Builds the libFuzzer targets with clang++ (AddressSanitizer, UndefinedBehaviorSanitizer) and runs each on its corpus.
#   scripts/fuzz.sh [SECONDS] [TARGET ...]      default: 60 s each, all targets
#
# A target is one file, tests/fuzz/<target>_fuzz.cpp. Its first line names the sources that it is built from, as the
# shell expands them: "// fuzz: libtrain/core/error.cpp libtrain/data/*.cpp". They must need no LibTorch, MPI or HDF5.
# The second line may name libraries: "// libraries: -lpcre2-8".
# Seeds lie in tests/fuzz/corpus/<target>/ (small, written by hand); what a run finds goes to build/fuzz/<target>/.
# An input that takes 2 s or 512 MB, or that crashes, ends the script with 1 and its path; 77: there is no clang++.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds="${1:-60}"
shift || true
command -v clang++ > /dev/null || { echo "fuzz: skipped, no clang++ (packages clang and libclang-rt-dev)" >&2; exit 77; }
if [ $# = 0 ]; then
  for file in tests/fuzz/*_fuzz.cpp; do
    name="${file##*/}"
    set -- "$@" "${name%_fuzz.cpp}"
  done
fi

flags=(-std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Ilibtrain)
launcher=()
if command -v ccache > /dev/null; then launcher=(ccache); fi

build() {
  local target="$1" objects=() libraries source object
  local list
  list="$(sed -n '1s,^// fuzz: ,,p' "tests/fuzz/${target}_fuzz.cpp")"
  [ -n "$list" ] || { echo "fuzz: the first line of tests/fuzz/${target}_fuzz.cpp names no sources" >&2; exit 2; }
  eval "set -- $list"
  for source in "tests/fuzz/${target}_fuzz.cpp" "$@"; do
    object="build/fuzz/objects/${source//\//_}.o"
    "${launcher[@]}" clang++ "${flags[@]}" -c "$source" -o "$object"
    objects+=("$object")
  done
  read -ra libraries <<< "$(sed -n '2s,^// libraries: ,,p' "tests/fuzz/${target}_fuzz.cpp")"
  clang++ "${flags[@]}" "${objects[@]}" ${libraries[@]+"${libraries[@]}"} -o "build/fuzz/${target}_fuzz"
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

mkdir -p build/fuzz/objects
for target in "$@"; do
  build "$target"
  rm -rf "build/fuzz/$target-failed"
  mkdir -p "build/fuzz/$target" "build/fuzz/$target-failed"
  echo "fuzz: $target for $seconds s"
  if ! run "$target" -max_total_time="$seconds" -max_len=65536 -print_final_stats=1 "build/fuzz/$target" \
    "tests/fuzz/corpus/$target" && ! only_interrupted "$target"; then
    tail -n 40 "build/fuzz/$target.log" >&2
    echo "fuzz: $target failed; the input is in build/fuzz/$target-failed/" >&2
    exit 1
  fi
  grep -E "^stat::(number_of_executed_units|peak_rss_mb|slowest_unit_time_sec)" "build/fuzz/$target.log"
done
