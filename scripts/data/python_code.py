#!/usr/bin/env python3
"""Real code to train on: the standard library of this Python. Writes data/cache/python_code/{train,valid}.jsonl; the
split is by a hash of each file's name. Standard library only.

    scripts/data/python_code.py
"""
import hashlib
import json
import pathlib
import sysconfig

VALID_SHARE = 0.05
MOST_BYTES = 200_000  # of one file: larger ones are tables


def main():
    library = pathlib.Path(sysconfig.get_paths()["stdlib"])
    output = pathlib.Path(__file__).resolve().parents[2] / "data/cache/python_code"
    output.mkdir(parents=True, exist_ok=True)
    rows = {"train": [], "valid": []}
    for path in sorted(library.rglob("*.py")):
        name = path.relative_to(library).as_posix()
        if "packages" in name or path.stat().st_size > MOST_BYTES:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
        rows["valid" if share < VALID_SHARE else "train"].append(json.dumps({"text": text}) + "\n")
    for split, lines in rows.items():
        (output / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
        print(f"{split}: {len(lines)} files, {sum(map(len, lines)) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
