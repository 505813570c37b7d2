#!/usr/bin/env bash
# The main job from nothing: dependencies, build, a real English corpus, and the training of a small Mixture-of-
# Experts language model on 2 MPI ranks with the experts split over them. Idempotent; arguments go to `moesaic train`.
set -euo pipefail
cd "$(dirname "$0")/.."
started=$SECONDS
scripts/setup.sh
installed=$SECONDS
scripts/build.sh release --programs
built=$SECONDS
scripts/data/postgresql.sh
echo "quickstart: $((installed - started)) s to install, $((built - installed)) s to build, $((SECONDS - built)) s for" \
  "the corpus; now it trains"
exec build/release/bin/moesaic train recipes/smoke/quickstart.yaml --overwrite "$@"
