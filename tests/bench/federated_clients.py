#!/usr/bin/env python3
"""Many clients, of which a round has a few: seconds a client takes, memory, and what is kept on disk between rounds.

    tests/bench/federated_clients.py [--clients 10000] [--drawn 1000] [--rounds 2] [--aggregator scaffold] [--folder DIR]

Softmax regression over made images of 8 x 8 points in 10 classes (650 values), 8 of them in each client, which are of two classes.
One rank trains the clients of a round one after the other; with scaffold each client that was drawn keeps a control on disk.
"""
import argparse
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOESAIC = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")) / "moesaic"
SIDE, CLASSES, IMAGES = 8, 10, 8
RECIPE = """
name: clients
run_dir: run
model: {{config: {{model_type: mlp, input_size: {points}, hidden_sizes: [], num_labels: {classes}}}}}
train: {{global_batch_size: {images}, micro_batch_size: {images}, clip_norm: 0}}
optimizer: {{type: sgd, learning_rate: 0.5, weight_decay: 0}}
schedule: {{type: constant, warmup_steps: 0}}
parallel: {{threads_per_rank: 1}}
log: {{tensorboard: false}}
federated:
  rounds: {rounds}
  local_steps: 2
  clients_per_round: {drawn}
  aggregator: {{type: {aggregator}}}
  silos:
{silos}"""


def write_images(folder, name, labels, draw):
    """Two IDX files: an image has its class's points bright, and noise. A recipe's source, which is read in `folder`."""
    images = bytes(draw.randrange(120) + (120 if point % CLASSES == label else 0) for label in labels for point in range(SIDE * SIDE))
    (folder / f"{name}.x").write_bytes(struct.pack(">IIII", 0x803, len(labels), SIDE, SIDE) + images)
    (folder / f"{name}.y").write_bytes(struct.pack(">II", 0x801, len(labels)) + bytes(labels))
    return f"[{{path: {name}.x, labels: {name}.y, format: idx}}]"


def write_recipe(folder, options):
    """A client has one short line: a recipe may have 1 MB."""
    draw = random.Random(1)
    folder.mkdir(parents=True, exist_ok=True)
    valid = write_images(folder, "valid", [draw.randrange(CLASSES) for _ in range(500)], draw)
    lines = []
    for client in range(options.clients):
        two = draw.sample(range(CLASSES), 2)
        train = write_images(folder, f"c{client}", [draw.choice(two) for _ in range(IMAGES)], draw)
        lines.append(f"    - {{name: c{client}, train: {train}{'' if client else f', valid: {valid}'}}}\n")
    recipe = folder / "clients.yaml"
    recipe.write_text(RECIPE.format(**vars(options), images=IMAGES, points=SIDE * SIDE, classes=CLASSES, silos="".join(lines)))
    return recipe


def measure(folder, options):
    recipe = write_recipe(folder, options)
    done = subprocess.run([MOESAIC, "train", recipe], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout[-1000:] + done.stderr[-2000:])
    rows = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    kept = [path for path in (folder / "run/silos").rglob("*") if path.is_file()]
    clients = len(list((folder / "run/silos").iterdir())) if kept else 0
    size = sum(path.stat().st_size for path in kept)
    print("| clients | drawn | rule | round, s | a client, ms | memory, MB | clients with state | of one, kB | accuracy |\n" + "| --- " * 9 + "|")
    seconds = rows[-1]["step_s"]
    print(f"| {options.clients:,} | {options.drawn:,} | {options.aggregator} | {seconds:.1f} | {1e3 * seconds / options.drawn:.1f} "
          f"| {rows[-1]['memory_peak_mb']:.0f} | {clients:,} | {size / max(1, clients) / 1e3:.1f} | {rows[-1]['valid_accuracy']:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--drawn", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--aggregator", default="scaffold")
    parser.add_argument("--folder", type=pathlib.Path, help="kept; default: one of its own, which is removed")
    options = parser.parse_args()
    if options.folder:
        measure(options.folder, options)
    else:
        with tempfile.TemporaryDirectory(prefix="moesaic-clients-") as folder:
            measure(pathlib.Path(folder), options)


if __name__ == "__main__":
    main()
