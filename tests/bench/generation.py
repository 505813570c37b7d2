#!/usr/bin/env python3
"""Generation of many prompts: one after the other against many at the same time, on one thread and on more.

    tests/bench/generation.py --model MODEL [--prompts 16] [--together 16] [--new 32] [--threads 1 2] [--pairs 3] [--precision float32]

Calls of `moesaic generate --input` in alternation, greedy, with the same random prompts of token ids. Tokens/s are those of
the program's own line (from when the model is open); the texts of all calls must be the same.
"""
import argparse
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOESAIC = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")) / "moesaic"


def run(a, folder, together, threads):
    """Tokens/s, and the texts."""
    done = subprocess.run([MOESAIC, "generate", "--model", a.model, "--input", folder / "prompts.jsonl", "--output", folder / "texts.jsonl",
                           "--together", str(together), "--threads", str(threads), "--max-new-tokens", str(a.new),
                           "--precision", a.precision], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    speed = re.search(r"generated \d+ tokens of \d+ texts, ([\d.]+) tokens/s", done.stderr)
    return float(speed.group(1)), (folder / "texts.jsonl").read_text()


def shown(speeds):
    return f"{statistics.median(speeds):.1f} ({min(speeds):.1f} to {max(speeds):.1f})"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--prompts", type=int, default=16)
    p.add_argument("--together", type=int, default=16)
    p.add_argument("--new", type=int, default=32)
    p.add_argument("--threads", type=int, nargs="+", default=[1])
    p.add_argument("--pairs", type=int, default=3)
    p.add_argument("--vocabulary", type=int, default=1000, help="ids of the prompts are below it")
    p.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    a = p.parse_args()
    draw = random.Random(1)
    print("| threads | one by one, tokens/s | together | ratio of the pairs |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory(prefix="moesaic-generation-") as name:
        folder = pathlib.Path(name)
        prompts = [[draw.randrange(a.vocabulary) for _ in range(draw.randint(4, 24))] for _ in range(a.prompts)]
        (folder / "prompts.jsonl").write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in prompts))
        all_texts = set()
        for threads in a.threads:
            pairs = []
            for _ in range(a.pairs):
                (one, texts), (many, same) = run(a, folder, 1, threads), run(a, folder, a.together, threads)
                pairs.append((one, many))
                all_texts |= {texts, same}
            ratios = [many / one for one, many in pairs]
            print(f"| {threads} | {shown([one for one, _ in pairs])} | {shown([many for _, many in pairs])} | "
                  f"{min(ratios):.2f} to {max(ratios):.2f} |", flush=True)
    if len(all_texts) > 1:
        sys.exit("the texts of the calls are not the same")


if __name__ == "__main__":
    main()
