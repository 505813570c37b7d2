#!/usr/bin/env python3
"""Routers forced out of balance: results that stay exact, step times, and what placement gives back.
-> docs/results/imbalance.md

A DeepSeek-V3 shape is trained for a step and exported; its correction bias is then set by hand, so that every token
goes to the experts that the case wants. With balance `bias` at a speed of 1 the favourites change each step."""
import argparse
import json
import shutil
import statistics
import struct
import subprocess

from experiment import ROOT, Run, machine, need, program, save, table

FOLDER = ROOT / "runs/experiments/imbalance"
CONFIG = {"model_type": "deepseek_v3", "vocab_size": 257, "hidden_size": 256, "intermediate_size": 256, "moe_intermediate_size": 512,
          "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4, "n_routed_experts": 8, "num_experts_per_tok": 4,
          "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "q_lora_rank": None, "kv_lora_rank": 32, "qk_nope_head_dim": 32,
          "qk_rope_head_dim": 16, "v_head_dim": 32, "first_k_dense_replace": 0, "num_nextn_predict_layers": 0, "routed_scaling_factor": 1.0}
RECIPE = """
name: imbalance
model: {{ {model} }}
data: {{train: [{{path: data/cache/postgresql/train.jsonl, format: jsonl}}], sequence_length: 256, cache: {folder}/tokens}}
train: {{max_steps: {steps}, global_batch_size: {batch}, micro_batch_size: 4, precision: {precision}}}
optimizer: {{learning_rate: 0.0001}}
schedule: {{type: constant, warmup_steps: 0}}
moe: {{balance: {{type: {balance}, update_speed: 1.0}}, router_z_coefficient: 0.0}}
parallel: {{threads_per_rank: 1, timeout_s: 120}}
checkpoint: {{every_steps: 4, keep: 1, final: {final}}}
log: {{every_steps: 1, tensorboard: false}}
"""


def moesaic(*arguments):
    result = subprocess.run([str(program()), *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{arguments}\n{result.stdout}\n{result.stderr}")


def train(name, *arguments, **values):
    settings = {"model": f"from: {FOLDER}/model-{values.pop('favourites', 'none')}", "folder": FOLDER, "steps": 8, "batch": 8,
                "precision": "float32", "balance": "none", "final": "false", **values}
    recipe = FOLDER / f"{name}.yaml"
    recipe.write_text(RECIPE.format(**settings))
    moesaic("train", recipe, f"run_dir={FOLDER / name}", "--overwrite", *arguments)
    return Run(FOLDER / name)


def set_bias(folder, favourites):
    """Writes 10 for the favourites and 0 for the others into every correction bias of a safetensors file."""
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    length = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + length])
    for name, entry in header.items():
        if name.endswith("e_score_correction_bias"):
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            count = (end - begin) // 4
            struct.pack_into(f"<{count}f", data, begin, *(10.0 if e in favourites else 0.0 for e in range(count)))
    path.write_bytes(data)


def make_models():
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    train("start", model=f"config: {json.dumps(CONFIG)}", steps=1, final="true")
    for name, favourites in {"none": (), "one-rank": (0, 1, 2, 3)}.items():
        moesaic("export", FOLDER / "start", FOLDER / f"model-{name}")
        set_bias(FOLDER / f"model-{name}", favourites)


def largest_difference(a, b):
    measured = ("_s", "_ms", "_mb", "_bytes")
    worst = 0.0
    for left, right in zip(a.rows, b.rows, strict=True):
        for key, value in left.items():
            if key.endswith(measured):
                continue
            for x, y in zip(value, right[key]) if isinstance(value, list) else [(value, right[key])]:
                worst = max(worst, abs(x - y) / max(abs(x), abs(y), 1e-9))
    return worst


def step_ms(run, first):
    return 1000 * statistics.median(row["step_s"] for row in run.rows if row["step"] > first)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8, help="of each run whose steps are timed (at least 5)")
    options = parser.parse_args()
    need(ROOT / "data/cache/postgresql/train.jsonl", "scripts/data/postgresql.sh")
    make_models()
    cases = {"even, as the router likes": {}, "every token to the experts of rank 0": {"favourites": "one-rank"},
             "other favourites each step": {"balance": "bias"}, "a rank without a micro-batch": {"batch": 4}}
    rows = []
    for number, (case, values) in enumerate(cases.items()):
        exact = [train(f"exact-{number}-{layout[1]}", "-n", layout[0], f"parallel.expert={layout[1]}", precision="float64",
                       steps=3, **values) for layout in ((1, 1), (2, 2))]
        run = train(f"time-{number}", "-n", 2, "parallel.expert=2", steps=options.steps, **values)
        moved = train(f"placed-{number}", "-n", 2, "parallel.expert=2", "moe.placement=balanced", steps=options.steps,
                      **values)
        before, after = step_ms(run, 4), step_ms(moved, 4)
        rows.append([case, f"{largest_difference(*exact):.0e}", f"{run.mean('max_violation'):.2f}", f"{before:.0f}", f"{after:.0f}",
                     f"{before / after:.2f}"])
    save("imbalance", f"Machine: {machine()}; two ranks of one thread, expert groups of two.\n\n" + table(
        ["case", "largest difference to one rank, float64", "max violation", "step in order, ms", "step balanced, ms", "ratio"], rows))


if __name__ == "__main__":
    main()
