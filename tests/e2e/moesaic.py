"""What the end-to-end tests share: runs of the shipped programs, each in a folder of its own."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin"))
MOESAIC = str(BIN / "moesaic")

TINY = """
name: tiny
seed: 5
run_dir: {folder}/run
model:
  config: {{model_type: olmoe, vocab_size: 272, hidden_size: 32, intermediate_size: 24, num_hidden_layers: 2,
           num_attention_heads: 4, num_key_value_heads: 2, num_experts: 8, num_experts_per_tok: 2,
           norm_topk_prob: true, initializer_range: 0.1, max_position_embeddings: 512}}
data:
  train: [{{path: {folder}/text/train-*.txt}}]
  valid: [{{path: {folder}/text/valid.txt}}]
  sequence_length: 24
  cache: {folder}/cache
train: {{max_steps: 20, global_batch_size: 10, micro_batch_size: 2, precision: float32, clip_norm: 0.5}}
optimizer: {{learning_rate: 0.003}}
schedule: {{warmup_steps: 5}}
moe: {{balance: {{type: switch, coefficient: 0.02}}, router_z_coefficient: 0.01}}
parallel: {{timeout_s: 60}}
checkpoint: {{every_steps: 5, keep: 3}}
eval: {{every_steps: 10}}
log: {{every_steps: 1, tensorboard: false}}
"""
# A part of recipes that train several models.
ONE_LAYER = """
model:
  config: {{model_type: olmoe, vocab_size: 272, hidden_size: 32, intermediate_size: 24, num_hidden_layers: 1,
           num_attention_heads: 4, num_key_value_heads: 2, num_experts: 4, num_experts_per_tok: 2,
           norm_topk_prob: true, initializer_range: 0.1, max_position_embeddings: 512}}"""
WORDS = ("the rank of a matrix is not the rank of an army and a token goes where its router sends it while the "
         "expert that waits without work learns nothing from the day").split()


def ranks_of(run_dir):
    """Process ids of the ranks that work in a run folder."""
    pids = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith((b"moesaic-worker", b"moesaic-worker-cuda")) and any(word.endswith(str(run_dir).encode()) for word in words):
            pids.append(int(pid))
    return pids


class RunTest(unittest.TestCase):
    """A test with a temporary folder, a small corpus in it, and a tiny recipe."""

    recipe_text = TINY

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="moesaic-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        words = random.Random(1)
        text = self.folder / "text"
        text.mkdir()
        for name, count in (("train-a", 3000), ("train-b", 1500), ("valid", 400)):
            (text / f"{name}.txt").write_text(" ".join(words.choice(WORDS) for _ in range(count)) + ".\n")
        self.recipe = self.folder / "recipe.yaml"
        self.recipe.write_text(self.recipe_text.format(folder=self.folder))

    def moesaic(self, *arguments, expect=0, **options):
        result = subprocess.run([MOESAIC, *map(str, arguments)], capture_output=True, text=True, timeout=600, **options)
        if expect is not None:
            self.assertEqual(result.returncode, expect, f"{arguments}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}")
        return result

    def train(self, *arguments, run="run", ranks=1, expert=1, expect=0, **options):
        """Trains into folder/`run`; returns the finished process."""
        return self.moesaic("train", self.recipe, "-n", ranks, f"parallel.expert={expert}",
                            f"run_dir={self.folder}/{run}", *arguments, expect=expect, **options)

    def rows(self, run="run"):
        """Rows of the metrics without what was measured."""
        return [{k: v for k, v in json.loads(line).items() if not k.endswith(("_s", "_ms", "_mb", "_bytes", "straggler_rank"))}
                for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]

    def digests(self, run):
        """The digests of every tensor that the last checkpoint of a run holds: equal ones mean equal bits."""
        return json.loads((self.folder / run / "checkpoints/latest/manifest.json").read_text())["datasets"]

    def weight_difference(self, a, b):
        """Largest difference of the weights of two runs, relative to the largest weight of its tensor."""
        tool = subprocess.run([str(BIN / "compare_checkpoints"), str(self.folder / a), str(self.folder / b)],
                              capture_output=True, text=True)
        self.assertEqual(tool.returncode, 0, tool.stderr)
        return float(tool.stdout)
