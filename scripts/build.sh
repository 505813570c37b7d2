#!/usr/bin/env bash
# Sets up and builds one preset (default: release). Quick when nothing changed.
set -euo pipefail
cd "$(dirname "$0")/.."
preset="${1:-release}"
scripts/setup.sh
log="build/$preset.log"
mkdir -p build
echo "build: preset $preset (log: $log)"
if ! { cmake --preset "$preset" && cmake --build --preset "$preset"; } > "$log" 2>&1; then
  tail -n 60 "$log" >&2
  exit 1
fi
