#!/usr/bin/env bash
# Everything that must hold: dependencies, build, layers, generated files, all tests but those labelled slow.
#   scripts/test.sh [CTEST-ARGUMENTS]   e.g. scripts/test.sh -L unit
#   scripts/test.sh --slow              the rest: tests labelled slow, what only measures, every source without
#                                       precompiled headers, and longer fuzzing
set -euo pipefail
cd "$(dirname "$0")/.."

# step NAME COMMAND ...: runs it and says how long it took.
step() {
  local name="$1" begun=$SECONDS status=0
  shift
  "$@" || status=$?
  echo "test: $name took $((SECONDS - begun)) s"
  return $status
}

dependencies() {
  scripts/setup.sh --parity --peers || echo "test: the Python peers could not be installed; parity tests will skip"
}

generated_files() {
  python3 scripts/check_layers.py || return 1
  python3 scripts/check_docs.py --list > /dev/null || return 1
  build/release/bin/moesaic schema --markdown | diff -u docs/recipe-reference.md - ||
    { echo "test: docs/recipe-reference.md is out of date: moesaic schema --markdown > docs/recipe-reference.md" >&2; return 1; }
}

fuzz() { scripts/fuzz.sh "$1" || [ $? = 77 ]; }

# Each source includes what it uses: only seen without precompiled headers.
plain_build() {
  cmake -S . -B build/plain -G Ninja -DCMAKE_BUILD_TYPE=Release -DMOESAIC_BENCH=ON -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON \
    > /dev/null || return 1
  cmake --build build/plain > build/plain.log || { tail -n 60 build/plain.log >&2; return 1; }
}

step "installing" dependencies
step "the build" scripts/build.sh release
step "the corpus" scripts/data/postgresql.sh
if [ "${1:-}" = --slow ]; then
  step "the build without precompiled headers" plain_build
  step "slow tests" ctest --test-dir build/release --output-on-failure --no-tests=error -L slow "${@:2}"
  step "fuzzing" fuzz 120
  exit
fi
step "layers and generated files" generated_files
step "ctest" ctest --preset release -j "$(nproc)" "$@"
[ $# -gt 0 ] || step "fuzzing" fuzz 25
