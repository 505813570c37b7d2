#!/usr/bin/env bash
# Everything that must hold: dependencies, build, layers, generated files, all tests but those labelled slow.
#   scripts/test.sh [CTEST-ARGUMENTS]      e.g. scripts/test.sh -L unit
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh --parity --peers || echo "test: the Python peers could not be installed; parity tests will skip"
scripts/build.sh release
python3 scripts/check_layers.py
build/release/bin/moesaic schema --markdown | diff -u docs/recipe-reference.md - ||
  { echo "test: docs/recipe-reference.md is out of date: moesaic schema --markdown > docs/recipe-reference.md" >&2; exit 1; }
scripts/data/postgresql.sh
ctest --preset release -j 2 "$@"
[ $# -gt 0 ] || scripts/fuzz.sh 25 || [ $? = 77 ]
