"""eval.patience and checkpoint.best: a run that no longer learns ends, and its best checkpoint stays."""
import json
import os
import unittest

from moesaic import RunTest

# Nothing learns: the first evaluation is the best.
STILL = "optimizer.groups=[{match: '.*', learning_rate_ratio: 0.0}]"
OPTIONS = (STILL, "eval.every_steps=2", "checkpoint.every_steps=1", "checkpoint.keep=1", "checkpoint.best=true")


class EarlyStop(RunTest):
    def test_ends_the_run_and_keeps_the_best_checkpoint(self):
        job = self.train(*OPTIONS, "eval.patience=3", ranks=2)
        self.assertIn("the run ends after step 8", job.stderr)
        checkpoints = self.folder / "run/checkpoints"
        self.assertEqual(os.readlink(checkpoints / "best"), "step-00000002")
        self.assertEqual(os.readlink(checkpoints / "latest"), "step-00000008")
        self.assertEqual(sorted(os.listdir(checkpoints)), ["best", "latest", "step-00000002", "step-00000008"])
        note = json.loads((checkpoints / "latest/manifest.json").read_text())["training"]["best"]
        self.assertEqual((note["step"], note["evaluations_since"]), (2, 3))
        # The state of the best value goes on; more patience trains on from there. On this layout: another one rounds
        # otherwise, and could find a new best.
        self.assertIn("the run ends after step 8", self.train(*OPTIONS, "eval.patience=3", "--resume", "auto", ranks=2).stderr)
        self.train(*OPTIONS, "eval.patience=5", "--resume", "auto", ranks=2)
        self.assertEqual(os.readlink(checkpoints / "latest"), "step-00000012")
        self.assertEqual(os.readlink(checkpoints / "best"), "step-00000002")
        self.train("train.max_steps=2", "--overwrite")
        self.assertFalse((checkpoints / "best").is_symlink())

    def test_needs_validation_data(self):
        for key in ("eval.patience=1", "checkpoint.best=true"):
            refused = self.moesaic("validate", self.recipe, "data.valid=null", key, expect=3)
            self.assertIn("needs data.valid", refused.stdout + refused.stderr)


if __name__ == "__main__":
    unittest.main()
