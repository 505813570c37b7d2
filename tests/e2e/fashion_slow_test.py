"""FashionMNIST: the shipped recipe learns it. Skipped where scripts/data/fashion_mnist.sh has not run."""
import json
import unittest

from moesaic import ROOT, RunTest


class Fashion(RunTest):
    def test_is_learnt_by_the_shipped_recipe(self):
        if not (ROOT / "data/cache/fashion-mnist").is_dir():
            self.skipTest("data/cache/fashion-mnist is not there: run scripts/data/fashion_mnist.sh")
        self.moesaic("train", ROOT / "recipes/images/fashion_mnist.yaml", f"run_dir={self.folder}/run", "train.epochs=2")
        last = json.loads((self.folder / "run/metrics.jsonl").read_text().splitlines()[-1])
        self.assertGreater(last["valid_accuracy"], 0.8)


if __name__ == "__main__":
    unittest.main()
