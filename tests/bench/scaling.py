#!/usr/bin/env python3
"""Throughput and memory of a training step against the sizes of model and run, one size changed at a time.

    tests/bench/scaling.py [--precision bfloat16] [--pairs 2] [--steps 3] > table.md

Each row is a call of compare_peers.py without a peer: recipes/pretrain/olmoe-90m.yaml with other settings. The cost of a
step should grow as its FLOPs do: then the rate (tokens/s times FLOPs a token) stays where it is.
"""
import argparse
import pathlib
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parent / "compare_peers.py"
CONFIG = "model.config."
SWEEP = [("the recipe", [])]
SWEEP += [(f"hidden {n}", [f"{CONFIG}hidden_size={n}", f"{CONFIG}intermediate_size={n}", f"{CONFIG}num_attention_heads={n // 64}",
                           f"{CONFIG}num_key_value_heads={n // 64}"]) for n in (256, 1024)]
SWEEP += [(f"{n} experts", [f"{CONFIG}num_experts={n}"]) for n in (4, 8, 32, 64)]
SWEEP += [(f"top {k}", [f"{CONFIG}num_experts_per_tok={k}"]) for k in (1, 4, 8)]
SWEEP += [(f"sequences of {n}, {4096 // n} a rank", [f"data.sequence_length={n}", f"train.micro_batch_size={4096 // n}",
                                                        f"train.global_batch_size={4096 // n}"])
          for n in (128, 256, 1024, 2048, 4096)]
SWEEP += [("2 ranks, EP1", ["--ranks", "2"]), ("2 ranks, EP2", ["--ranks", "2", "--expert", "2"])]

p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
p.add_argument("--pairs", default="2")
p.add_argument("--steps", default="3")
a = p.parse_args()

print("| changed | tokens/s | MFLOP a token | GFLOP/s a rank | of the products' rate | peak MB a rank |")
print("| --- | --- | --- | --- | --- | --- |")
for name, settings in SWEEP:
    command = [sys.executable, str(BENCH), "--precision", a.precision, "--pairs", a.pairs, "--steps", a.steps, "--warmup", "1", *settings]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"| {name} | failed: {done.stderr.strip().splitlines()[-1:]} |", flush=True)
        continue
    cells = [cell.strip() for cell in done.stdout.strip().splitlines()[-1].strip("|").split("|")]
    ranks, speed, share, flops, memory = int(cells[2].split(",")[0]), float(cells[3]), cells[7], cells[7], cells[8]
    flops = float(flops.split("(")[1].split()[0])
    print(f"| {name} | {speed:.0f} | {flops:.0f} | {speed * flops / 1e3 / ranks:.0f} | {share.split('(')[0].strip()} | {memory} |", flush=True)
