"""Ways of clipping and of making noise in private runs, through the shipped programs: each is the same on every layout, and
noise is that of the step and new in each run."""
import json
import math
import random
import unittest

from moesaic import RunTest, WORDS

SEQUENCES = 40
STEPS = ("train.max_steps=6", "train.precision=float64", "schedule={type: constant, warmup_steps: 0}", "train.clip_norm=0",
         "moe.balance.type=sequence", "checkpoint.every_steps=3", "eval.every_steps=3")


class PrivateRunTest(RunTest):
    def setUp(self):
        super().setUp()
        words = random.Random(3)
        text = " ".join(words.choice(WORDS) for _ in range(1000))
        for old in (self.folder / "text").glob("train-*.txt"):
            old.unlink()
        (self.folder / "text/train-one.txt").write_text(text[:24 * SEQUENCES + 12])

    def privacy(self, **keys):
        return "privacy=" + json.dumps({"noise_multiplier": 1.0, "clip_norm": 0.1, "expected_batch_size": 10, **keys})

    def test_layouts_give_the_same_weights(self):
        for name, keys in (("flat", {}), ("adaptive", {"clipping": "adaptive", "adaptive": {"noise": 5}}),
                           ("per_layer", {"clipping": "per_layer"})):
            block = self.privacy(noise_seed=4, **keys)
            self.train(*STEPS, block, run=f"{name}-one")
            for run, ranks, expert, more in (("grid", 4, 2, ()), ("whole", 2, 2, ()),
                                             ("shared", 4, 2, ("parallel.shard_optimizer=true",)),
                                             ("again", 2, 1, ("train.checkpoint_activations=true",))):
                self.train(*STEPS, *more, block, run=f"{name}-{run}", ranks=ranks, expert=expert)
                self.assertLess(self.weight_difference(f"{name}-one", f"{name}-{run}"), 1e-9, f"{name}, {run}")

    def test_noise_is_that_of_the_step_and_new_in_each_run(self):
        self.train(*STEPS, self.privacy(), run="a")
        self.train(*STEPS, self.privacy(), run="b")
        self.assertNotEqual(self.digests("a"), self.digests("b"))
        values = 2 * 272 * 32  # embedding and head are most of it
        for row in self.rows("a"):
            # The sum of at most some 25 units has a norm of 2.5 at most; the noise has one of 0.1 sqrt(values).
            self.assertGreater(row["grad_norm"] * 10, 0.1 * math.sqrt(values) * 0.9)
            self.assertLess(row["grad_norm"] * 10, 0.1 * math.sqrt(4 * values) + 2.5)

    def test_banded_noise_is_charged_by_the_round(self):
        block = self.privacy(sampling="cyclic", mechanism="banded_matrix", bands=3, noise_multiplier=4.0)
        self.train(*STEPS, block, "train.max_steps=9")  # each unit comes every fourth step
        ledger = self.folder / "run/ledger.json"
        self.assertEqual(json.loads(self.moesaic("privacy", "ledger", ledger, "--json").stdout)["steps"], 3)
        self.train(*STEPS, block, "train.max_steps=10", "--resume", "auto")  # a new round, with noise of its own
        self.assertEqual(json.loads(self.moesaic("privacy", "ledger", ledger, "--json").stdout)["steps"], 4)


if __name__ == "__main__":
    unittest.main()
