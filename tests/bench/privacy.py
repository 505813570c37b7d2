#!/usr/bin/env python3
"""What privacy costs: a private step against the same step without, and against Opacus's ghost clipping, in ratios of one call.

    tests/bench/privacy.py [--peer .../opacus_dp_train.py] [--only REGEX] [--pairs 3] [--steps 3] [--micro 16]

The dense model is the peer's (Llama, hidden 512, 6 layers, 24 M parameters, float32), the one with experts that of
recipes/pretrain/olmoe-90m.yaml; random weights, adapters of rank 16 on all linear maps. A step has 16 sequences of 256 random
ids, all that the data have: each unit is drawn with probability 1, so that both sides do the same work. One thread. Both
sides of a pair run one after the other, and the next pair turns them round. Time is that of the processor: of a run of 1 + N
steps less that of a run of 1 step, and in the peer around each step. Both runs log, and draw the picture of the
routing, once. Memory is the largest resident one (10^6 bytes).
"""
import argparse
import json
import os
import pathlib
import random
import re
import statistics
import tempfile

import side_by_side
from side_by_side import output_of, peer_output, processor_seconds, row, spread

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOESAIC = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")) / "moesaic"
BATCH, LENGTH, VOCABULARY = 16, 256, 8192
SIZES = {"vocab_size": VOCABULARY, "hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8}
MODELS = {"dense": {"model_type": "llama", "intermediate_size": 1024, "max_position_embeddings": 1024, **SIZES},
          "experts": {"model_type": "olmoe", "intermediate_size": 512, "num_experts": 16, "num_experts_per_tok": 2, **SIZES}}
PRIVATE = [f"privacy={{noise_multiplier: 1.0, clip_norm: 1.0, expected_batch_size: {BATCH}}}"]
PLAIN = [f"train.global_batch_size={BATCH}", "train.clip_norm=1.0"]
METHODS = {"full": [], "LoRA": ["adapt={lora: {r: 16, lora_alpha: 32, target_modules: all-linear}}"]}
TIME, MEMORY = {"full": "<= 1.35", "LoRA": "<= 1.15"}, {"full": "<= 1.3", "LoRA": ""}
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--peer", help="path of opacus_dp_train.py; without it the rows against Opacus are left out")
p.add_argument("--python", default=str(ROOT / ".venv-parity/bin/python"), help="of the peer, with opacus")
p.add_argument("--only", default="", help="rows whose name this expression finds")
p.add_argument("--pairs", type=int, default=3)
p.add_argument("--steps", type=int, default=3)
p.add_argument("--micro", type=int, default=BATCH, help="sequences of a micro-batch, of both sides")
a = p.parse_args()


class Bench:
    """Recipes over one file of ids, and the models that they begin from."""

    def __init__(self, folder):
        self.folder, self.runs = pathlib.Path(folder), 0
        draw = random.Random(0)
        with open(self.folder / "ids.jsonl", "w") as file:
            for _ in range(BATCH):
                file.write(json.dumps({"ids": [draw.randrange(VOCABULARY) for _ in range(LENGTH + 1)]}) + "\n")
        self.recipe = self.folder / "cost.yaml"
        self.recipe.write_text(json.dumps({
            "name": "cost",
            "data": {"train": [{"path": str(self.folder / "ids.jsonl"), "format": "tokens"}], "sequence_length": LENGTH,
                     "packing": False, "cache": str(self.folder / "cache")},
            "train": {"max_steps": 1, "micro_batch_size": a.micro}, "optimizer": {"learning_rate": 3e-4},
            "schedule": {"type": "constant", "warmup_steps": 0}, "checkpoint": {"every_steps": 0, "final": False},
            "log": {"tensorboard": False}, "parallel": {"threads_per_rank": 1}}))  # JSON is YAML
        for name, config in MODELS.items():
            self.train(1, [*PLAIN, f"model.config={json.dumps(config)}", "checkpoint.final=true"], name)
            output_of([MOESAIC, "export", self.folder / name, self.folder / f"hub-{name}"])

    def train(self, steps, keys, run=None):
        """Seconds of the processor, and the largest resident memory in 10^6 bytes."""
        self.runs += 1
        folder = self.folder / (run or f"run-{self.runs}")
        seconds = processor_seconds([MOESAIC, "train", self.recipe, "-n", 1, f"run_dir={folder}", f"train.max_steps={steps}",
                                     f"log.every_steps={steps}", *keys])
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return seconds, rows[-1]["memory_peak_mb"] * 2**20 / 1e6

    def keys(self, model, method, side):
        balance = ["moe.balance.type=sequence"] if model == "experts" else []
        return [f"model.from={self.folder}/hub-{model}", *balance, *METHODS[method], *side]

    def step(self, *what):
        """Seconds of a step."""
        keys = self.keys(*what)
        return (self.train(1 + a.steps, keys)[0] - self.train(1, keys)[0]) / a.steps

    def peak(self, *what):
        return self.train(2, self.keys(*what))[1]


def opacus(mode):
    """Seconds of a step of the peer."""
    out = peer_output(a.python, a.peer, "--child", mode, "--steps", a.steps, "--batch", BATCH, "--seq", LENGTH, "--vocab", VOCABULARY)
    return statistics.median(json.loads(out.splitlines()[-1])["times"])


def measures(bench):
    """(name, what measures it)"""
    for model in MODELS:
        for method in METHODS:
            private, plain = (model, method, PRIVATE), (model, method, PLAIN)
            yield f"time of a private step over a plain one, {model}, {method}", lambda name, m=method, x=private, y=plain: side_by_side.pairs(
                a.pairs, name, TIME[m], lambda: bench.step(*x), lambda: bench.step(*y))
            yield f"memory of a private run over a plain one, {model}, {method}", lambda name, m=method, x=private, y=plain: row(
                name, MEMORY[m], spread([bench.peak(*x) / bench.peak(*y) for _ in range(a.pairs)]))
    for method, mode in (("full", "ghost"), ("LoRA", "lora_ghost")):
        if a.peer:
            yield f"Opacus's ghost step over a private one, dense, {method}", lambda name, m=method, o=mode: side_by_side.pairs(
                a.pairs, name, ">= 2.5", lambda: opacus(o), lambda: bench.step("dense", m, PRIVATE))


def main():
    with tempfile.TemporaryDirectory(prefix="moesaic-privacy-") as folder:
        bench = Bench(folder)
        print("| what | goal | result |\n| --- | --- | --- |", flush=True)
        for name, measure in measures(bench):
            if re.search(a.only, name):
                measure(name)


if __name__ == "__main__":
    main()
