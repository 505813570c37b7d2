#!/usr/bin/env python3
"""Peak resident memory of `moesaic score` on 2 ranks with the experts divided, against each rank's share of the weights.

    .venv-parity/bin/python tests/bench/score_memory.py [--folder FOLDER] [--gigabytes 1.0] [--dtype float32 bfloat16]

Writes a random OLMoE checkpoint of that size in the layout of the hub (shards of at most 400 MB), scores nothing and
then 40 sequences with it, and compares the peak that each rank reports with 1.2 x its share + 200 MB. A rank's share is
all dense weights and half of the experts, in the dtype of the file. Exit status 1 when a rank needs more.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOESAIC = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")) / "moesaic"
MIB = 2**20
HIDDEN, EXPERT, EXPERTS, VOCABULARY = 512, 1024, 16, 4096


def layer(index, dtype):
    prefix = f"model.layers.{index}."
    shapes = {f"self_attn.{x}_proj.weight": (HIDDEN, HIDDEN) for x in "qkvo"}
    shapes |= {"mlp.gate.weight": (EXPERTS, HIDDEN)}
    for expert in range(EXPERTS):
        shapes |= {f"mlp.experts.{expert}.{x}_proj.weight": (EXPERT, HIDDEN) for x in ("gate", "up")}
        shapes |= {f"mlp.experts.{expert}.down_proj.weight": (HIDDEN, EXPERT)}
    weights = {prefix + name: (0.05 * torch.randn(shape)).to(dtype) for name, shape in shapes.items()}
    for norm in ("input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm"):
        weights[f"{prefix}{norm}.weight"] = torch.ones(HIDDEN, dtype=dtype)
    return weights


def size_of(weights, experts):
    return sum(w.numel() * w.element_size() for name, w in weights.items() if (".experts." in name) == experts)


class Shards:
    """Weights in files of at most 400 MB, and the index of them."""

    def __init__(self, folder):
        self.folder, self.pending, self.files, self.dense, self.experts = folder, {}, [], 0, 0

    def add(self, weights):
        self.dense += size_of(weights, experts=False)
        self.experts += size_of(weights, experts=True)
        for name, weight in weights.items():
            if size_of(self.pending, True) + size_of(self.pending, False) + weight.numel() * 4 > 400e6:
                self.write()
            self.pending[name] = weight

    def write(self):
        path = self.folder / f"part-{len(self.files)}.safetensors"
        save_file(self.pending, path, metadata={"format": "pt"})
        self.files.append((path, list(self.pending)))
        self.pending = {}

    def finish(self):
        self.write()
        weight_map = {}
        for number, (path, names) in enumerate(self.files, 1):
            file = f"model-{number:05}-of-{len(self.files):05}.safetensors"
            path.rename(self.folder / file)
            weight_map |= dict.fromkeys(names, file)
        index = {"metadata": {"total_size": self.dense + self.experts}, "weight_map": weight_map}
        (self.folder / "model.safetensors.index.json").write_text(json.dumps(index))


def write_model(folder, dtype, gigabytes):
    """Returns the bytes of dense weights and of experts."""
    layers = max(1, round(gigabytes * 1e9 / size_of(layer(0, dtype), experts=True)))
    config = {"model_type": "olmoe", "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": EXPERT,
              "num_hidden_layers": layers, "num_attention_heads": 8, "num_key_value_heads": 8, "num_experts": EXPERTS,
              "num_experts_per_tok": 2, "max_position_embeddings": 4096, "tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    shards = Shards(folder)
    shards.add({"model.embed_tokens.weight": torch.randn(VOCABULARY, HIDDEN).to(dtype),
                "lm_head.weight": torch.randn(VOCABULARY, HIDDEN).to(dtype),
                "model.norm.weight": torch.ones(HIDDEN, dtype=dtype)})
    for index in range(layers):
        shards.add(layer(index, dtype))
    shards.finish()
    return shards.dense, shards.experts


def some_lines():
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(20, 400, (40,), generator=generator).tolist()
    return [json.dumps({"ids": torch.randint(VOCABULARY, (length,), generator=generator).tolist()}) for length in lengths]


def peaks(model, lines):
    """Of the ranks, in MiB, for scoring these lines: none of them = loading alone."""
    result = subprocess.run([MOESAIC, "score", "--model", model, "-n", "2", "--expert", "2"], input="\n".join(lines),
                            capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(result.stderr)
    assert len(result.stdout.splitlines()) == len(lines)
    line = re.search(r"peak memory of the ranks: (.*)", result.stderr).group(1)
    return [int(mb) for mb in re.findall(r"(\d+) MB", line)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="where there is room for the checkpoint (default: a temporary folder)")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--dtype", nargs="+", choices=["float32", "bfloat16"], default=["float32", "bfloat16"])
    arguments = parser.parse_args()
    failed = False
    for dtype in arguments.dtype:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="moesaic-memory-", dir=arguments.folder))
        try:
            dense, experts = write_model(folder, getattr(torch, dtype), arguments.gigabytes)
            share = (dense + experts / 2) / MIB
            limit = 1.2 * share + 200
            print(f"{dtype}: {(dense + experts) / MIB:.0f} MB of weights, a rank's share {share:.0f} MB, "
                  f"allowed {limit:.0f} MB")
            for what, lines in (("loading", []), ("loading and scoring", some_lines())):
                found = peaks(folder, lines)
                failed |= max(found) > limit
                print(f"  {what}: {found[0]} MB and {found[1]} MB{' TOO MUCH' if max(found) > limit else ''}", flush=True)
        finally:
            shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
