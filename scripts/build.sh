#!/usr/bin/env bash
# Sets up and builds one preset (default: release). Quick when nothing changed.
#   scripts/build.sh [PRESET]               everything, with the tests
#   scripts/build.sh [PRESET] --programs    moesaic and moesaic-worker alone: all that training needs
set -euo pipefail
cd "$(dirname "$0")/.."
preset=release programs=0
for argument in "$@"; do
  case "$argument" in
    --programs) programs=1 ;;
    -h | --help) sed -n '2,4p' "$0"; exit 0 ;;
    -*) echo "build: unknown option '$argument' (allowed: --programs)" >&2; exit 2 ;;
    *) preset="$argument" ;;
  esac
done

# A folder that was configured for the tests stays so.
configure() {
  if [ $programs = 0 ]; then cmake --preset "$preset"
  elif [ ! -f "build/$preset/build.ninja" ]; then cmake --preset "$preset" -DMOESAIC_TESTS=OFF -DMOESAIC_CUDA=OFF
  fi
}
build() {
  if [ $programs = 0 ]; then cmake --build --preset "$preset"
  else cmake --build --preset "$preset" --target moesaic moesaic-worker
  fi
}

if [ $programs = 1 ]; then scripts/setup.sh; else scripts/setup.sh --tests; fi
log="build/$preset.log"
mkdir -p build
echo "build: preset $preset (log: $log)"
if ! { configure && build; } > "$log" 2>&1; then
  tail -n 60 "$log" >&2
  exit 1
fi
