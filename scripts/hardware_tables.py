#!/usr/bin/env python3
"""The tables of docs/hardware.md, made by `moesaic plan --matrix`.

    scripts/hardware_tables.py            checks that the page has what the program says; status 1 where it does not
    scripts/hardware_tables.py --write    writes the tables into the page

Standard library only. MOESAIC_BIN: the folder of the program (build/release/bin).
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
MOESAIC = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")).resolve() / "moesaic"
PAGE = ROOT / "docs/hardware.md"
CONFIGS = ROOT / "tests/hub_configs"
MODELS = {"7 B dense": "llama-7b-of-2023", "OLMoE-1B-7B": "olmoe-1b-7b-0924", "Mixtral-8x7B": "mixtral-8x7b",
          "DeepSeek-V3": "deepseek-v3-bf16"}
WAYS = {"full": "in full", "lora": "LoRA", "nf4": "LoRA on NF4", "inference": "inference"}
BEGIN, END = "<!-- tables: scripts/hardware_tables.py --write -->\n", "<!-- end of tables -->\n"


def matrix(config):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(CONFIGS / f"{config}.json", f"{folder}/config.json")
        command = [MOESAIC, "plan", "finetune/large", f"model.from={folder}", "--matrix", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MOESAIC_RECIPES": str(ROOT / "recipes")})
    if done.returncode != 0:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def layout(row):
    """Devices of a row, and how they are used."""
    if not row["fits"]:
        return f"no ({row['missing_bytes'] / 1e9:.0f} GB too much)"
    text = f"**{row['devices']}**"
    if row["devices"] > 1:
        text += f" = {row['data']} x {row['expert']}"
    letters = ("s" if row["shard_optimizer"] else "") + ("r" if row["checkpoint_activations"] else "")
    rate = row["tokens_per_s"]
    shown = f"{rate / 1e3:.2g} k/s" if rate >= 1000 else f"{rate:.3g}/s"
    return f"{text} {letters}".strip() + f", {row['rank_memory_bytes'] / 1e9:.0f} GB, {shown}"


def tables():
    lines = []
    for name, config in MODELS.items():
        found = matrix(config)
        lines += [f"### {name}", "", f"{found['parameters'] / 1e9:.1f} B parameters, {found['active_parameters'] / 1e9:.1f} B for a token.", "",
                  "| device | " + " | ".join(WAYS.values()) + " |", "| --- " * (len(WAYS) + 1) + "|"]
        devices = list(dict.fromkeys(row["device"] for row in found["rows"]))
        for device in devices:
            cells = {row["way"]: layout(row) for row in found["rows"] if row["device"] == device}
            lines.append(f"| {device} | " + " | ".join(cells[way] for way in WAYS) + " |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    page = PAGE.read_text()
    before, rest = page.split(BEGIN)
    old, after = rest.split(END)
    new = tables()
    if arguments.write:
        PAGE.write_text(before + BEGIN + new + END + after)
    elif old != new:
        sys.exit(f"{PAGE}: the tables are not what {MOESAIC} says; scripts/hardware_tables.py --write writes them anew")


if __name__ == "__main__":
    main()
