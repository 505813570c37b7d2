#!/usr/bin/env python3
"""Peak memory of a rank: what `moesaic plan` predicts beside what a short run needs, over many shapes.

    tests/bench/memory_table.py [--only REGEX] [--steps 3] [--limit 1.15] [--json FILE]

Each line: the shape, predicted and measured MiB (the chief's largest resident memory), their ratio, and the seconds of
its fastest step. The base is the OLMoE of recipes/pretrain/olmoe-90m.yaml on random ids. Exit status 1 when a
prediction is off by more than the limit. Timings of shapes beside each other are only as good as the machine is quiet.
"""
import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOESAIC = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")) / "moesaic"
OLMOE = {"model_type": "olmoe", "vocab_size": 8192, "hidden_size": 512, "intermediate_size": 512, "num_hidden_layers": 6,
         "num_attention_heads": 8, "num_experts": 16, "num_experts_per_tok": 2, "max_position_embeddings": 4096}
LLAMA = {"model_type": "llama", "vocab_size": 8192, "hidden_size": 512, "intermediate_size": 1536, "num_hidden_layers": 6,
         "num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 4096}
DEEPSEEK = {"model_type": "deepseek_v3", "vocab_size": 8192, "hidden_size": 512, "intermediate_size": 1024,
            "moe_intermediate_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8, "num_key_value_heads": 8,
            "n_routed_experts": 16, "num_experts_per_tok": 2, "n_shared_experts": 1, "first_k_dense_replace": 1,
            "n_group": 1, "topk_group": 1, "q_lora_rank": 256, "kv_lora_rank": 128, "qk_nope_head_dim": 64,
            "qk_rope_head_dim": 32, "v_head_dim": 64, "num_nextn_predict_layers": 0, "max_position_embeddings": 4096}
NARROW = {"hidden_size": 256, "intermediate_size": 256}
BFLOAT16 = {"train.precision": "bfloat16"}
RECOMPUTED = {"train.checkpoint_activations": "true"}


def shape(name, model, config=None, keys=None, length=512, batch=8, ranks=1, expert=1):
    return {"name": name, "config": {**model, **(config or {})}, "length": length, "batch": batch, "ranks": ranks,
            "expert": expert, "keys": keys or {}}


SHAPES = [
    shape("olmoe", OLMOE),
    shape("olmoe, recomputed", OLMOE, keys=RECOMPUTED),
    shape("olmoe, bfloat16", OLMOE, keys=BFLOAT16),
    shape("olmoe, bfloat16, recomputed", OLMOE, keys={**BFLOAT16, **RECOMPUTED}),
    shape("olmoe, batch 2", OLMOE, batch=2),
    shape("olmoe, length 256", OLMOE, length=256),
    shape("olmoe, length 1024", OLMOE, length=1024),
    shape("olmoe, length 1024, recomputed", OLMOE, length=1024, keys=RECOMPUTED),
    shape("olmoe, hidden 256", OLMOE, NARROW),
    shape("olmoe, hidden 256, batch 2, length 256", OLMOE, NARROW, batch=2, length=256),
    shape("olmoe, hidden 256, bfloat16", OLMOE, NARROW, BFLOAT16),
    shape("olmoe, 12 layers, batch 4", OLMOE, {"num_hidden_layers": 12}, batch=4),
    shape("olmoe, 12 layers, batch 4, recomputed", OLMOE, {"num_hidden_layers": 12}, RECOMPUTED, batch=4),
    shape("olmoe, 2 layers", OLMOE, {"num_hidden_layers": 2}),
    shape("olmoe, 32 experts of 256, top 4", OLMOE,
          {"num_experts": 32, "num_experts_per_tok": 4, "intermediate_size": 256}),
    shape("olmoe, 8 experts, top 1", OLMOE, {"num_experts": 8, "num_experts_per_tok": 1}),
    shape("olmoe, vocabulary 32768, batch 4", OLMOE, {"vocab_size": 32768}, batch=4),
    shape("olmoe, sgd", OLMOE, keys={"optimizer.type": "sgd"}),
    shape("olmoe, 2 ranks", OLMOE, ranks=2),
    shape("olmoe, 2 ranks, expert 2", OLMOE, ranks=2, expert=2),
    shape("olmoe, 2 ranks, expert 2, recomputed", OLMOE, ranks=2, expert=2, keys=RECOMPUTED),
    shape("olmoe, 2 ranks, expert 2, bfloat16", OLMOE, ranks=2, expert=2, keys=BFLOAT16),
    shape("olmoe, dense_mixer", OLMOE, keys={"moe.gate_gradient": "dense_mixer"}),
    shape("olmoe, dense_mixer, recomputed", OLMOE, keys={"moe.gate_gradient": "dense_mixer", **RECOMPUTED}),
    shape("llama", LLAMA),
    shape("llama, bfloat16", LLAMA, keys=BFLOAT16),
    shape("llama, recomputed", LLAMA, keys=RECOMPUTED),
    shape("llama, length 1024, 2 ranks", LLAMA, length=1024, batch=4, ranks=2),
    shape("deepseek", DEEPSEEK),
    shape("deepseek, bfloat16", DEEPSEEK, keys=BFLOAT16),
    shape("deepseek, recomputed", DEEPSEEK, keys=RECOMPUTED),
    shape("deepseek, prediction", DEEPSEEK, {"num_nextn_predict_layers": 1}, {"train.mtp_coefficient": "0.3"}),
    shape("deepseek, 2 ranks, expert 2, batch 4", DEEPSEEK, batch=4, ranks=2, expert=2),
]


def write_ids(folder):
    draw = random.Random(0)
    with open(folder / "ids.jsonl", "w") as file:
        for _ in range(64):
            file.write(json.dumps({"ids": [draw.randrange(8192) for _ in range(4096)]}) + "\n")


def recipe(folder, one, steps):
    keys = {"name": "memory", "run_dir": f"{folder}/run", "model": {"config": one["config"]},
            "data": {"train": [{"path": f"{folder}/ids.jsonl", "format": "tokens"}], "cache": f"{folder}/cache",
                     "sequence_length": one["length"]},
            "train": {"max_steps": steps, "global_batch_size": one["batch"] * one["ranks"],
                      "micro_batch_size": one["batch"]},
            "schedule": {"type": "constant", "warmup_steps": 0},
            "parallel": {"ranks": one["ranks"], "expert": one["expert"], "threads_per_rank": 1},
            "checkpoint": {"every_steps": 0, "final": False}, "log": {"every_steps": 1, "tensorboard": False}}
    path = pathlib.Path(folder) / "recipe.yaml"
    path.write_text(json.dumps(keys))  # JSON is YAML
    return [str(path), *(f"{key}={value}" for key, value in one["keys"].items())]


def run(*command):
    done = subprocess.run([MOESAIC, *command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return done.stdout


def measure(folder, one, steps):
    """Predicted and measured MiB, and seconds of the fastest step."""
    arguments = recipe(folder, one, steps)
    plan = json.loads(run("plan", "--json", *arguments))
    run("train", "--overwrite", *arguments)
    rows = [json.loads(line) for line in (pathlib.Path(folder) / "run/metrics.jsonl").read_text().splitlines()]
    return plan, rows[-1]["memory_peak_mb"], min(row["step_s"] for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="shapes whose name this expression finds")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--limit", type=float, default=1.15)
    parser.add_argument("--json", help="write plan and measurement of every shape to this file")
    arguments = parser.parse_args()
    found, failed = [], 0
    with tempfile.TemporaryDirectory(prefix="moesaic-memory-") as folder:
        write_ids(pathlib.Path(folder))
        print("| shape | predicted MiB | measured MiB | ratio | step s |\n| --- | --- | --- | --- | --- |")
        for one in SHAPES:
            if not re.search(arguments.only, one["name"]):
                continue
            plan, measured, seconds = measure(folder, one, arguments.steps)
            predicted = plan["rank_memory_bytes"] / 2**20
            ratio = predicted / measured
            failed += not 1 / arguments.limit <= ratio <= arguments.limit
            found.append({**one, "plan": plan, "measured_mb": measured, "step_s": seconds})
            print(f"| {one['name']} | {predicted:.0f} | {measured:.0f} | {ratio:.2f} | {seconds:.2f} |", flush=True)
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(found, indent=1))
    print(f"{len(found)} shapes, {failed} of them off by more than a factor of {arguments.limit}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
