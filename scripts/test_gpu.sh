#!/usr/bin/env bash
# The device path on a machine with CUDA, in at most eight minutes: builds the CUDA worker, checks every operation against
# the CPU in float32 and bfloat16, trains as on the CPU, saves, is killed and goes on, and measures. Where something is
# missing it goes as far as it can, says what it would do, and ends with 77. No network is used.
#   scripts/test_gpu.sh [--venv FOLDER] [--packages FOLDER]
#     --venv FOLDER       a virtual environment with torch; default: .venv, else that of the python3 which has torch
#     --packages FOLDER   adds the packages of `scripts/gpu_packages.sh pack FOLDER` first (as root; see there)
set -euo pipefail
cd "$(dirname "$0")/.."
venv="" packages=""
while [ $# -gt 0 ]; do
  case "$1" in
    --venv) venv="${2:?}"; shift 2 ;;
    --packages) packages="${2:?}"; shift 2 ;;
    -h | --help) sed -n '2,7p' "$0"; exit 0 ;;
    *) echo "test_gpu: unknown option '$1' (allowed: --venv, --packages)" >&2; exit 2 ;;
  esac
done
readonly limit=480 build=build/gpu
say() { echo "test_gpu: $*"; }

# step SECONDS NAME COMMAND ...: within its time and what is left of all; says how long it took.
step() {
  local most=$1 name="$2" begun=$SECONDS status=0
  shift 2
  [ $((limit - SECONDS)) -gt "$most" ] || most=$((limit - SECONDS))
  [ "$most" -gt 0 ] || { say "$name: no time left of $limit s"; return 1; }
  timeout --kill-after=5 "$most" "$@" || status=$?
  say "$name: $([ $status = 0 ] && echo done || echo "ended with $status") after $((SECONDS - begun)) s"
  return $status
}

describe() {
  nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader 2> /dev/null || say "no nvidia-smi that answers"
  nvcc --version 2> /dev/null | tail -n 2 | head -n 1 || say "no nvcc on the path"
  say "$(nproc) cores, $(c++ --version | head -n 1)"
}

find_venv() {
  [ -z "$venv" ] || return 0
  if [ -d .venv ]; then venv="$PWD/.venv"
  else venv="$(python3 -c 'import sys, torch; print(sys.prefix)')" ||
    { say "no torch: name a virtual environment that has it (--venv), or run scripts/setup.sh --gpu"; exit 77; }
  fi
}

# A newer compiler may warn where the tested one does not.
configure() {
  cmake --preset gpu -DMOESAIC_CUDA=AUTO -DMOESAIC_VENV="$venv" -DMOESAIC_BENCH=ON -DMOESAIC_WERROR=OFF
}
compile() {
  local targets=(moesaic moesaic-worker gpu_test matmul_rate compare_checkpoints)
  ! grep -q 'CUDA worker: ON' $build/configure.log || targets+=(moesaic-worker-cuda)
  timeout --kill-after=5 "$1" cmake --build $build --target "${targets[@]}"
}
build_programs() {
  mkdir -p $build
  local begun=$SECONDS
  if ! { configure > $build/configure.log 2>&1 && compile 300 > $build/build.log 2>&1; }; then
    tail -n 40 $build/configure.log $build/build.log >&2 || true
    say "the build failed after $((SECONDS - begun)) s"
    return 1
  fi
  grep -o 'LibTorch .*' $build/configure.log
  say "the build: done after $((SECONDS - begun)) s"
}

what_is_left() {
  cat <<TEXT
test_gpu: on a device it would go on with:
  gpu_test                     every operation, the layers with experts, losses, optimizers and a whole model against the CPU
  tests/gpu/training_test.py   20 steps with the losses of the CPU (1e-4, float32), bfloat16, kill -9 and --resume
  tests/bench/gpu_rate.py      tokens/s of the benchmark recipe and the share of the rate of the device's products
TEXT
}

describe
find_venv
say "torch of $venv"
[ -z "$packages" ] || step 60 "packages" scripts/gpu_packages.sh unpack "$packages"
build_programs

checked="$($build/bin/gpu_test --gtest_filter=Operations.Swiglu 2>&1)" || true
if reason="$(grep -m 1 -o 'no CUDA device: .*' <<< "$checked")"; then
  say "skipped: $reason"
  MOESAIC_GPU_TESTS_ON=cpu step 120 "the tests, on the CPU in the device's place" $build/bin/gpu_test --gtest_brief=1
  what_is_left
  exit 77
fi
failed=0
step 120 "operations" $build/bin/gpu_test --gtest_brief=1 || failed=1
export MOESAIC_BIN="$PWD/$build/bin" PYTHONDONTWRITEBYTECODE=1
step 150 "training" python3 tests/gpu/training_test.py -v || failed=1
step 120 "speed" python3 tests/bench/gpu_rate.py --bin $build/bin || failed=1
say "$([ $failed = 0 ] && echo "all passed" || echo "FAILED") after $SECONDS s"
exit $failed
