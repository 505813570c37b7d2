#!/usr/bin/env bash
# Installs what Moesaic needs: Debian packages, and LibTorch from the torch wheel in .venv. It knows Debian 12, Debian 13
# and Ubuntu 24.04 (docs/install.md says what was tried), and ends before it installs anything where a package is missing.
# Idempotent; a second call changes nothing and takes under a second.
#   scripts/setup.sh            what the programs are built from
#   scripts/setup.sh --tests    also what the tests are built from
#   scripts/setup.sh --parity   also what they run: Python readers in .venv-parity, clang for the fuzz targets, Prometheus, a headless browser
#   scripts/setup.sh --peers    also Transformers, PEFT and torch, which parity and speed are compared with (several GB)
#   scripts/setup.sh --pictures matplotlib in .venv-pictures, for the pictures of scripts/experiments
#   scripts/setup.sh --gpu      the wheel with all its CUDA libraries (several GB)
set -euo pipefail
cd "$(dirname "$0")/.."

tests=0 parity=0 peers=0 pictures=0 gpu=0
for argument in "$@"; do
  case "$argument" in
    --tests) tests=1 ;;
    --parity) tests=1 parity=1 ;;
    --peers) peers=1 ;;
    --pictures) pictures=1 ;;
    --gpu) gpu=1 ;;
    -h | --help) sed -n '2,10p' "$0"; exit 0 ;;
    *) echo "setup: unknown option '$argument' (allowed: --tests, --parity, --peers, --pictures, --gpu)" >&2; exit 2 ;;
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

# about_system: what is known of this system; ends where there are no Debian packages.
about_system() {
  local id="" version="" name="an unknown system"
  if [ -r /etc/os-release ]; then
    id="$(. /etc/os-release && echo "${ID:-}")" version="$(. /etc/os-release && echo "${VERSION_ID:-}")"
    name="$(. /etc/os-release && echo "${PRETTY_NAME:-$ID}")"
  fi
  case "$id $version" in
    "debian 12") ;;
    "debian 13") say "$name: this script was tried, the build was not (docs/install.md)" ;;
    "ubuntu 24.04") say "$name: not tried; its packages are expected to have the same names (docs/install.md)" ;;
    *) say "$name: not known; known are Debian 12 (tested), Debian 13 and Ubuntu 24.04. Trying their packages" ;;
  esac
  command -v apt-get dpkg-query > /dev/null && return
  echo "setup: $name has no apt-get: install by hand what docs/install.md lists under 'Other machines'" >&2
  exit 2
}

packages=(g++ cmake ninja-build ccache python3-venv openmpi-bin libopenmpi-dev libhdf5-openmpi-dev libcli11-dev
  libyaml-cpp-dev libfmt-dev nlohmann-json3-dev libxxhash-dev libjemalloc-dev libpcre2-dev libutf8proc-dev libpng-dev zlib1g-dev
  libsodium-dev libkissfft-dev libssl-dev libprotobuf-dev protobuf-compiler libgrpc++-dev protobuf-compiler-grpc
  elfutils prometheus-cpp-dev)
[ $tests = 0 ] || packages+=(libgtest-dev libbenchmark-dev)
[ $parity = 0 ] || packages+=(clang libclang-rt-dev prometheus)  # the fuzz targets; what scrapes runs
# Pages of `moesaic report` in a browser; other systems have it under other names, and their tests go without.
if [ $parity = 1 ] && grep -qx 'ID=debian' /etc/os-release 2> /dev/null; then packages+=(chromium-headless-shell); fi
[ $peers = 0 ] || packages+=(python3-dev)             # torch compiles for the speed comparison

# is_there PACKAGE: it is installed.   is_known PACKAGE: apt can install it.
is_there() { [[ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2> /dev/null)" == ii* ]]; }
is_known() { grep -q 'Candidate: [^(]' <<< "$(LC_ALL=C apt-cache policy "$1" 2> /dev/null)"; }

# install_packages PACKAGES ...: all of them, or none and the names of those that this system does not have.
install_packages() {
  local package unknown=()
  say "installing Debian packages: $*"
  as_root apt-get update -q > /dev/null
  for package in "$@"; do
    is_known "$package" || unknown+=("$package")
  done
  if [ ${#unknown[@]} -gt 0 ]; then
    echo "setup: nothing was installed, because apt knows no package ${unknown[*]}" >&2
    echo "setup: look whether the part of the archive that holds it is enabled (Ubuntu: 'add-apt-repository universe') or" >&2
    echo "setup: it has another name here ('apt-cache search NAME'); docs/install.md, 'Other machines', builds without this script" >&2
    exit 2
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" > /dev/null
}

missing=()
for package in "${packages[@]}"; do
  is_there "$package" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  about_system
  install_packages "${missing[@]}"
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
  venv_install .venv-parity sacrebleu==2.6.0 rouge-score==0.1.2 scikit-learn==1.9.1
  venv_install .venv-parity --no-deps dp-accounting==0.6.0 opacus==1.6.0
  venv_install .venv-parity attrs==26.1.0 absl-py==2.5.1 dm-tree==0.1.10 opt_einsum==3.4.0
  venv_install .venv-parity peft==0.21.2 accelerate==1.15.0 bitsandbytes==0.50.2
  venv_install .venv-parity --no-deps trl==1.16.0  # its chat templates are read, it is not imported
fi
if [ $pictures = 1 ]; then venv_install .venv-pictures matplotlib==3.10.8; fi
say "ready"
