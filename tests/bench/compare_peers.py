#!/usr/bin/env python3
"""Training throughput of Moesaic beside a Python peer on the same work, alternately, in one call.

    tests/bench/compare_peers.py --peer .../hf_moe_train.py [--ranks 1] [--precision float32] [--pairs 5]

The peer is run by .venv-parity (scripts/setup.sh --peers); its docstring states the work, which is that of
recipes/pretrain/olmoe-90m.yaml: random ids, AdamW, clipping, router loss. Prints one line a run, then the medians, as
tokens/s over all ranks and their ratio.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--peer", help="path of hf_moe_train.py; without it only Moesaic is run")
p.add_argument("--python", default=str(ROOT / ".venv-parity/bin/python"))
p.add_argument("--moesaic", default=str(ROOT / "build/release/bin/moesaic"))
p.add_argument("--ranks", type=int, default=1)
p.add_argument("--expert", type=int, default=1)
p.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
p.add_argument("--pairs", type=int, default=5)
p.add_argument("--steps", type=int, default=8)
p.add_argument("--warmup", type=int, default=2)
a = p.parse_args()


def moesaic(folder, run):
    """Median tokens/s of one run, from the time of each step."""
    batch = 8 * a.ranks
    command = [a.moesaic, "train", str(ROOT / "recipes/pretrain/olmoe-90m.yaml"), "-n", str(a.ranks),
               f"parallel.expert={a.expert}", f"run_dir={folder}/run-{run}", f"data.train=[{{path: {folder}/ids.jsonl, format: tokens}}]",
               f"data.cache={folder}/cache", f"train.max_steps={a.steps + a.warmup}", f"train.global_batch_size={batch}",
               "train.micro_batch_size=8", f"train.precision={a.precision}", "parallel.threads_per_rank=1",
               "checkpoint.every_steps=0", "checkpoint.final=false", "log.every_steps=1", "log.tensorboard=false"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    rows = [json.loads(line) for line in open(f"{folder}/run-{run}/metrics.jsonl")]
    return batch * 512 / statistics.median(row["step_s"] for row in rows[a.warmup:])


def peer():
    work = ["--threads", "1", "--dtype", "bf16" if a.precision == "bfloat16" else "fp32", "--steps", str(a.steps), "--warmup", str(a.warmup)]
    launch = [a.python] if a.ranks == 1 else [a.python, "-m", "torch.distributed.run", "--nproc-per-node", str(a.ranks)]
    done = subprocess.run([*launch, a.peer, *work], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])["tokens_per_s"]


with tempfile.TemporaryDirectory() as folder:
    ids = random.Random(0)
    with open(f"{folder}/ids.jsonl", "w") as file:
        for _ in range(64):
            file.write(json.dumps({"ids": [ids.randrange(8192) for _ in range(4096)]}) + "\n")
    ours, theirs = [], []
    for pair in range(a.pairs):
        ours.append(moesaic(folder, pair))
        line = f"pair {pair + 1}: moesaic {ours[-1]:.0f} tokens/s"
        if a.peer:
            theirs.append(peer())
            line += f", peer {theirs[-1]:.0f} tokens/s, ratio {ours[-1] / theirs[-1]:.2f}"
        print(line, flush=True)
    print(f"median: moesaic {statistics.median(ours):.0f} tokens/s", end="")
    if a.peer:
        print(f", peer {statistics.median(theirs):.0f}, ratio {statistics.median(x / y for x, y in zip(ours, theirs)):.2f}", end="")
    print(f" ({a.ranks} ranks, expert {a.expert}, {a.precision})")
