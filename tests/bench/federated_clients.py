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


def write_images(folder, name, labels, draw):
    """Two IDX files: an image has its class's row of points bright, and noise."""
    images = bytes(min(255, draw.randrange(120) + (120 if point % CLASSES == label else 0)) for label in labels for point in range(SIDE * SIDE))
    (folder / f"{name}-images").write_bytes(struct.pack(">IIII", 0x803, len(labels), SIDE, SIDE) + images)
    (folder / f"{name}-labels").write_bytes(struct.pack(">II", 0x801, len(labels)) + bytes(labels))
    return {"path": str(folder / f"{name}-images"), "labels": str(folder / f"{name}-labels"), "format": "idx"}


def write_recipe(folder, options):
    draw = random.Random(1)
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    silos = []
    for client in range(options.clients):
        two = draw.sample(range(CLASSES), 2)
        silos.append({"name": f"client-{client}", "train": [write_images(data, f"client-{client}", [draw.choice(two) for _ in range(IMAGES)], draw)]})
    silos[0]["valid"] = [write_images(data, "valid", [draw.randrange(CLASSES) for _ in range(500)], draw)]
    recipe = folder / "clients.yaml"
    recipe.write_text(json.dumps({  # JSON is YAML
        "name": "clients", "run_dir": str(folder / "run"),
        "model": {"config": {"model_type": "mlp", "input_size": SIDE * SIDE, "hidden_sizes": [], "num_labels": CLASSES}},
        "train": {"global_batch_size": IMAGES, "micro_batch_size": IMAGES, "clip_norm": 0},
        "optimizer": {"type": "sgd", "learning_rate": 0.5, "weight_decay": 0.0},
        "schedule": {"type": "constant", "warmup_steps": 0},
        "parallel": {"threads_per_rank": 1}, "log": {"tensorboard": False},
        "federated": {"rounds": options.rounds, "local_steps": 2, "clients_per_round": options.drawn,
                      "aggregator": {"type": options.aggregator}, "silos": silos}}))
    return recipe


def measure(folder, options):
    recipe = write_recipe(folder, options)
    done = subprocess.run([MOESAIC, "train", recipe], capture_output=True, text=True)
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
