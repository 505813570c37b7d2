#!/usr/bin/env bash
# Installs what Moesaic needs on Debian 12: packages, and LibTorch from the torch wheel in .venv.
# Idempotent; a second call changes nothing and takes under a second.
#   scripts/setup.sh            what the build needs
#   scripts/setup.sh --parity   also what tests need: Python readers in .venv-parity, clang for the fuzz targets
#   scripts/setup.sh --peers    also Transformers and torch, which parity and speed are compared with (several GB)
#   scripts/setup.sh --gpu      the wheel with all its CUDA libraries (several GB)
set -euo pipefail
cd "$(dirname "$0")/.."

parity=0 peers=0 gpu=0
for argument in "$@"; do
  case "$argument" in
    --parity) parity=1 ;;
    --peers) peers=1 ;;
    --gpu) gpu=1 ;;
    -h | --help) sed -n '2,7p' "$0"; exit 0 ;;
    *) echo "setup: unknown option '$argument' (allowed: --parity, --peers, --gpu)" >&2; exit 2 ;;
  esac
done

say() { echo "setup: $*"; }
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo > /dev/null; then sudo "$@"
  else
    echo "setup: installing packages needs root or sudo; ask your administrator for: $*" >&2
    exit 2
  fi
}

packages=(g++ cmake ninja-build ccache python3-venv python3-dev openmpi-bin libopenmpi-dev libhdf5-openmpi-dev
  libcli11-dev libyaml-cpp-dev libfmt-dev libgtest-dev libbenchmark-dev nlohmann-json3-dev libxxhash-dev libjemalloc-dev
  libpcre2-dev libutf8proc-dev libpng-dev)
[ $parity = 0 ] || packages+=(clang libclang-rt-dev)  # the fuzz targets
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2> /dev/null | grep -q '^ii' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  say "installing Debian packages: ${missing[*]}"
  as_root apt-get update -q > /dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" > /dev/null
fi

# venv_install FOLDER PIP-ARGUMENTS...: each set of arguments once.
venv_install() {
  local folder="$1"; shift
  if grep -qxF -- "$*" "$folder/.installed" 2> /dev/null; then return; fi
  say "installing into $folder: $*"
  [ -x "$folder/bin/python" ] || python3 -m venv "$folder"
  "$folder/bin/python" -m pip install -q --disable-pip-version-check "$@"
  echo "$*" >> "$folder/.installed"
}

torch=torch==2.11.0
if [ $gpu = 1 ]; then
  venv_install .venv "$torch"
elif ! grep -qxF "$torch" .venv/.installed 2> /dev/null; then  # a full wheel serves the CPU too
  venv_install .venv --no-deps "$torch" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
fi

if [ $parity = 1 ]; then
  venv_install .venv-parity h5py==3.16.0 numpy==2.4.6 tensorboard==2.20.0 setuptools
fi
if [ $peers = 1 ]; then
  venv_install .venv-parity "$torch" transformers==5.17.0 tokenizers==0.23.3 safetensors==0.8.0 gguf==0.19.0
fi
say "ready"
