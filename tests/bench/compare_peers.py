#!/usr/bin/env python3
"""Training throughput of Moesaic beside a Python peer on the same work, alternately, in one call.

    tests/bench/compare_peers.py --peer .../hf_moe_train.py [--arch olmoe] [--ranks 1] [--precision float32] [--pairs 5]

The peer is run by .venv-parity (scripts/setup.sh --peers); its docstring states the work, which is that of
recipes/pretrain/olmoe-90m.yaml: random ids, AdamW, clipping, router loss. Prints one line a run, then a row of the table
of docs/results/speed.md: medians in tokens/s over all ranks, the median ratio, the share of the machine's rate of matrix
products (the mean of matmul_rate before each run) that the FLOPs of the model need, and peak memory a rank.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEEPSEEK_V3 = {"model_type": "deepseek_v3", "vocab_size": 8192, "hidden_size": 512, "num_hidden_layers": 6,
               "num_attention_heads": 8, "num_key_value_heads": 8, "max_position_embeddings": 4096, "intermediate_size": 2048,
               "moe_intermediate_size": 512, "n_routed_experts": 16, "num_experts_per_tok": 2, "n_shared_experts": 1,
               "first_k_dense_replace": 1, "n_group": 4, "topk_group": 2, "q_lora_rank": 256, "kv_lora_rank": 128,
               "qk_nope_head_dim": 64, "qk_rope_head_dim": 32, "v_head_dim": 64}
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--peer", help="path of hf_moe_train.py; without it only Moesaic is run")
p.add_argument("--python", default=str(ROOT / ".venv-parity/bin/python"))
p.add_argument("--bin", default=str(ROOT / "build/release/bin"), help="folder of moesaic and matmul_rate")
p.add_argument("--arch", default="olmoe", choices=["olmoe", "deepseek_v3"])
p.add_argument("--ranks", type=int, default=1)
p.add_argument("--expert", type=int, default=1)
p.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
p.add_argument("--pairs", type=int, default=5)
p.add_argument("--steps", type=int, default=8)
p.add_argument("--warmup", type=int, default=2)
p.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="further settings of the recipe")
a = p.parse_args()


def recipe(folder):
    """The recipe of the benchmark, with the model of --arch."""
    path = ROOT / "recipes/pretrain/olmoe-90m.yaml"
    if a.arch == "olmoe":
        return str(path)
    text = path.read_text()
    begin, end = text.index("\nmodel:"), text.index("\ndata:")
    other = pathlib.Path(folder, f"{a.arch}.yaml")
    other.write_text(text[:begin] + "\nmodel: " + json.dumps({"config": DEEPSEEK_V3}) + text[end:])
    return str(other)


def settings(folder):
    return [recipe(folder), "-n", str(a.ranks), f"parallel.expert={a.expert}",
            f"data.train=[{{path: {folder}/ids.jsonl, format: tokens}}]", f"data.cache={folder}/cache",
            f"train.max_steps={a.steps + a.warmup}", f"train.global_batch_size={8 * a.ranks}", "train.micro_batch_size=8",
            f"train.precision={a.precision}", "parallel.threads_per_rank=1", "checkpoint.every_steps=0",
            "checkpoint.final=false", "log.every_steps=1", "log.tensorboard=false", *a.settings]


def output_of(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout


def moesaic(folder, run):
    """Median tokens/s of one run, from the time of each step, and its peak memory in MB."""
    output_of([f"{a.bin}/moesaic", "train", *settings(folder), f"run_dir={folder}/run-{run}"])
    rows = [json.loads(line) for line in open(f"{folder}/run-{run}/metrics.jsonl")]
    seconds = statistics.median(row["step_s"] for row in rows[a.warmup:])
    return 8 * a.ranks * 512 / seconds, rows[-1]["memory_peak_mb"]


# The peer in a process that then says how much memory it took at most.
WITH_MEMORY = ("import atexit, resource, runpy, sys; sys.argv = sys.argv[1:]; "
               "atexit.register(lambda: print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)); "
               "runpy.run_path(sys.argv[0], run_name='__main__')")


def peer():
    work = ["--arch", a.arch, "--threads", "1", "--dtype", "bf16" if a.precision == "bfloat16" else "fp32",
            "--steps", str(a.steps), "--warmup", str(a.warmup)]
    if a.ranks == 1:
        command = [a.python, "-c", WITH_MEMORY, a.peer, *work]
    else:
        command = [a.python, "-m", "torch.distributed.run", "--nproc-per-node", str(a.ranks), a.peer, *work]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if done.returncode != 0:
        sys.exit(done.stderr)
    peaks = [float(line.split()[1]) for line in done.stderr.splitlines() if line.startswith("peak ")]
    return json.loads(done.stdout.strip().splitlines()[-1])["tokens_per_s"], max(peaks, default=float("nan"))


with tempfile.TemporaryDirectory() as folder:
    ids = random.Random(0)
    with open(f"{folder}/ids.jsonl", "w") as file:
        for _ in range(64):
            file.write(json.dumps({"ids": [ids.randrange(8192) for _ in range(4096)]}) + "\n")
    plan = json.loads(output_of([f"{a.bin}/moesaic", "plan", "--json", *settings(folder)]))
    flops = plan["flops_per_token"]
    ours, theirs, rates, memory, peer_memory = [], [], [], [], []
    for pair in range(a.pairs):
        rates.append(float(output_of([f"{a.bin}/matmul_rate", a.precision])))
        speed, peak = moesaic(folder, pair)
        ours.append(speed)
        memory.append(peak)
        line = f"pair {pair + 1}: products {rates[-1]:.0f} GFLOP/s, moesaic {speed:.0f} tokens/s, {peak:.0f} MB"
        if a.peer:
            speed, peak = peer()
            theirs.append(speed)
            peer_memory.append(peak)
            line += f"; peer {speed:.0f} tokens/s, {peak:.0f} MB; ratio {ours[-1] / speed:.2f}"
        print(line, flush=True)
    rate = statistics.median(rates)
    used = statistics.median(ours) / a.ranks * flops / 1e9 / rate
    row = [a.arch, a.precision, f"{a.ranks}, EP{a.expert}", f"{statistics.median(ours):.0f}"]
    row += [f"{statistics.median(theirs):.0f}", f"{statistics.median(x / y for x, y in zip(ours, theirs)):.2f}"] if a.peer else ["", ""]
    row += [f"{rate:.0f}", f"{100 * used:.0f} % ({flops / 1e6:.0f} MFLOP a token)", f"{max(memory):.0f}"]
    row += [f"{max(peer_memory):.0f}" if a.peer and a.ranks == 1 else ""]
    print("| work | precision | ranks | tokens/s | peer | ratio | products, GFLOP/s | used | peak MB a rank | peer |")
    print("| " + " | ".join(row) + " |")
