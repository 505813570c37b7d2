"""Adapters of silos that are joined exactly (aggregator.lora stacking, residual): the base moves, the run is a model as any other."""
import json
import unittest

from moesaic import RunTest

ADAPTERS = """
adapt:
  lora: {{r: 2, lora_alpha: 4}}
federated:
  rounds: 3
  local_steps: 3
  aggregator: {{lora: residual}}
  silos:
    - {{name: letters, train: [{{path: {folder}/text/train-a.txt}}], valid: [{{path: {folder}/text/valid.txt}}]}}
    - {{name: digits, train: [{{path: {folder}/text/digits.txt}}], valid: [{{path: {folder}/text/digits.txt}}]}}
"""


class FederatedAdapters(RunTest):
    def setUp(self):
        super().setUp()
        (self.folder / "text/digits.txt").write_text("".join(f"{7 * i % 997} " for i in range(1200)))
        self.train("train.max_steps=3", "train.precision=float64", run="base")
        self.moesaic("export", self.folder / "base", self.folder / "hub")
        self.recipe.write_text(f"""
name: federation
seed: 5
run_dir: {self.folder}/run
model: {{from: {self.folder}/hub}}
data: {{sequence_length: 24}}
train: {{global_batch_size: 4, micro_batch_size: 2, precision: float64}}
optimizer: {{learning_rate: 0.01}}
schedule: {{type: constant, warmup_steps: 2}}
parallel: {{timeout_s: 60, threads_per_rank: 1}}
log: {{tensorboard: false}}
{ADAPTERS.format(folder=self.folder)}""")
        lines = [json.dumps({"ids": [(7 * i + j * j) % 257 for j in range(30)]}) for i in range(3)]
        (self.folder / "lines.jsonl").write_text("\n".join(lines))

    def score(self, model):
        result = self.moesaic("score", "--model", self.folder / model, "--input", self.folder / "lines.jsonl",
                              "--precision", "float64")
        return [x for line in result.stdout.splitlines() for x in json.loads(line)["logprobs"]]

    def worst(self, a, b):
        self.assertEqual(len(a), len(b))
        return max(abs(x - y) for x, y in zip(a, b))

    def test_the_base_moves_with_the_rounds_and_goes_where_the_model_goes(self):
        for way in ("residual", "stacking"):
            keys = (f"federated.aggregator.lora={way}",)
            self.train(*keys, run=way, ranks=2)
            rows = self.rows(way)
            self.assertLess(rows[-1]["valid_loss"], rows[0]["valid_loss"])
            self.train(*keys, "federated.rounds=1", run="cut", ranks=1)
            self.train(*keys, "--resume", "auto", run="cut", ranks=1)
            self.assertEqual(self.digests("cut"), self.digests(way), "taking turns, and after a resume")
            self.moesaic("export", self.folder / way, self.folder / f"{way}-hub")
            scores = self.score(way)
            self.assertGreater(self.worst(scores, self.score("hub")), 1e-4)
            self.assertLess(self.worst(scores, self.score(f"{way}-hub")), 1e-9)
            refused = self.moesaic("export", self.folder / way, self.folder / "adapter", "--adapter", expect=None)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("export the model with the adapter merged into it", refused.stderr)
            (self.folder / "cut").rename(self.folder / f"{way}-cut")
        self.assertNotEqual(self.digests("stacking"), self.digests("residual"))

    def test_across_sites_the_bits_are_those_of_one_job(self):
        self.train(run="one", ranks=2)
        self.moesaic("federate", "simulate", self.recipe, f"run_dir={self.folder}/sites")
        self.assertEqual(self.digests("sites"), self.digests("one"))


if __name__ == "__main__":
    unittest.main()
