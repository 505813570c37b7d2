#!/usr/bin/env python3
"""Tokens/s of one sequence from a GGUF file, weights as numbers beside weights in the types of the file, alternately in one run.

tests/bench/decode.py MODEL.gguf [--program build/release/bin/moesaic] [--tokens 100] [--pairs 5] [--precision float32]
"""
import argparse
import json
import pathlib

from side_by_side import output_of, row, spread

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROMPT = "Once upon a time"


def tokens_per_s(arguments, weights):
    command = [arguments.program, "generate", "--model", arguments.model, "--prompt", PROMPT, "--max-new-tokens", arguments.tokens,
               "--precision", arguments.precision, "--weights", weights, "--json"]
    return json.loads(output_of(command))["tokens_per_s"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--program", default=ROOT / "build/release/bin/moesaic")
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    rates = {"numbers": [], "file": []}
    for pair in range(arguments.pairs):
        for weights in list(rates)[::1 if pair % 2 == 0 else -1]:
            rates[weights].append(tokens_per_s(arguments, weights))
    for weights, seen in rates.items():
        row(f"--weights {weights}, tokens/s", "", spread(seen, 1))
    row("file / numbers", "> 1", spread([f / n for f, n in zip(rates["file"], rates["numbers"])]))


if __name__ == "__main__":
    main()
