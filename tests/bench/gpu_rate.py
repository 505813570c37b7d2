#!/usr/bin/env python3
"""Training throughput on one CUDA device: tokens/s of the benchmark recipe, and the share of the rate of the device's
matrix products that the FLOPs of the model need. Prints a table for docs/results/gpu.md.

    tests/bench/gpu_rate.py [--bin build/gpu/bin] [--steps 12]
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WARMUP = 4
SEQUENCE = 512
ROWS = [("float32", 8), ("bfloat16", 8), ("bfloat16", 64)]  # precision, sequences a step


def write_ids(path, sequences):
    ids = random.Random(1)
    with open(path, "w") as file:
        for _ in range(sequences):
            file.write(json.dumps({"ids": [ids.randrange(8192) for _ in range(SEQUENCE + 1)]}) + "\n")


def measure(program, folder, precision, batch, steps):
    run = pathlib.Path(folder, f"{precision}-{batch}")
    command = [program / "moesaic", "train", ROOT / "recipes/pretrain/olmoe-90m.yaml", "-n", 1, "parallel.expert=1",
               "parallel.device=cuda", f"run_dir={run}", f"data.train=[{{path: {folder}/ids.jsonl, format: tokens}}]",
               f"data.cache={folder}/cache", f"train.precision={precision}", f"train.global_batch_size={batch}",
               f"train.micro_batch_size={batch}", f"train.max_steps={steps}"]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()][WARMUP:]
    return statistics.median(row["tokens_per_s"] for row in rows), rows[-1]["flops_per_token"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/gpu/bin")
    parser.add_argument("--steps", type=int, default=12)
    options = parser.parse_args()
    print("| precision | sequences a step | tokens/s | FLOPs a token | products, TFLOP/s | used |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        write_ids(f"{folder}/ids.jsonl", 64 * options.steps)
        for precision, batch in ROWS:
            best = subprocess.run([str(options.bin / "matmul_rate"), precision, "cuda"], check=True, capture_output=True, text=True)
            rate = float(best.stdout) * 1e9
            tokens, flops = measure(options.bin, folder, precision, batch, options.steps)
            print(f"| {precision} | {batch} | {tokens:.0f} | {flops / 1e6:.0f} M | {rate / 1e12:.0f} | {100 * tokens * flops / rate:.1f} % |",
                  flush=True)


if __name__ == "__main__":
    main()
