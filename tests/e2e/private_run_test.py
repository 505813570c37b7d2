"""Ways of clipping and of making noise in private runs, through the shipped programs: each is the same on every layout, and
noise is that of the step and new in each run; with old data among the new, with tasks, and with images."""
import json
import math
import random
import shutil
import unittest

from image_files import RECIPE, write_images
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

    def ledger(self, run):
        return json.loads(self.moesaic("privacy", "ledger", self.folder / run / "ledger.json", "--json").stdout)

    def test_replayed_text_is_drawn_and_charged_by_the_larger_rate(self):
        (self.folder / "text/old.txt").write_text(" ".join(WORDS * 20)[:24 * 10 + 12])
        replay = f"continual={{method: none, replay: {{share: 0.4, sources: [{{path: {self.folder}/text/old.txt}}]}}}}"
        for run, ranks, expert in (("one", 1, 1), ("grid", 4, 2)):
            job = self.train(*STEPS, replay, self.privacy(noise_seed=4), run=run, ranks=ranks, expert=expert)
        self.assertLess(self.weight_difference("one", "grid"), 1e-9)
        self.assertIn("of 10 old ones with 0.4", job.stdout + job.stderr)  # 4 of 10 units a step
        charge = json.loads((self.folder / "one/ledger.json").read_text().splitlines()[1])
        self.assertAlmostEqual(charge["sampling_rate"], 0.4)
        self.train(*STEPS, self.privacy(noise_seed=4), f"privacy.ledger={self.folder}/one/ledger.json", run="other", expect=3)
        again = replay.replace("old.txt", "train-one.txt")
        refused = self.train(*STEPS, again, self.privacy(), run="twice", expect=3)
        self.assertIn("twice clip_norm", refused.stdout + refused.stderr)

    def test_tasks_are_charged_to_one_ledger_each_at_its_rate(self):
        for name, sequences, words in (("a", 40, WORDS), ("b", 20, WORDS[::-1])):
            (self.folder / f"text/task-{name}.txt").write_text(" ".join(words * 60)[:24 * sequences + 12])
        def source(name):
            return f"[{{path: {self.folder}/text/{name}.txt}}]"
        def continual(method):
            return ("continual={method: " + method + ", lambda: 1, tasks: ["
                    f"{{name: a, train: {source('task-a')}, valid: {source('valid')}, max_steps: 4}}, "
                    f"{{name: b, train: {source('task-b')}, valid: {source('task-a')}, max_steps: 3}}]}}")
        steps = [key for key in STEPS if not key.startswith("train.max_steps")]
        given = (*steps, "train.max_steps=null", "data.train=[]", "data.valid=[]", self.privacy())
        for method in ("si", "l2", "lwf"):
            self.train(*given, continual(method), run=method)
        charges = [json.loads(line) for line in (self.folder / "si/ledger.json").read_text().splitlines()[1:]]
        self.assertEqual([charge["sampling_rate"] for charge in charges], [0.25] * 4 + [0.5] * 3)
        # The second task's validation data are the first one's training data: its numbers are not written.
        matrix = json.loads((self.folder / "si/tasks.json").read_text())["matrix"]
        self.assertEqual([row[1] for row in matrix], [None] * 3)
        self.assertTrue(all(row[0] > 0 for row in matrix))
        for row in self.rows("si"):
            self.assertEqual([key for key in row if "loss" in key], [])
        self.assertEqual([row["task"] for row in self.rows("si")], [1] * 4 + [2] * 3)
        refused = self.train(*given, continual("ewc"), run="ewc", expect=3)
        self.assertIn("without noise", refused.stdout + refused.stderr)

        # A run that is resumed in the second task pays for its steps alone, and keeps its rows.
        for folder in sorted((self.folder / "l2/checkpoints").glob("step-*"))[1:]:
            shutil.rmtree(folder)
        self.train(*given, continual("l2"), "--resume", "auto", run="l2")
        self.assertEqual(self.ledger("l2")["steps"], 7 + 4)  # steps 4 to 7 once more


class PrivateImagesTest(RunTest):
    recipe_text = RECIPE

    def setUp(self):
        super().setUp()
        write_images(self.folder, "train", 200, seed=1)
        write_images(self.folder, "valid", 50, seed=2)

    def source(self, classes, permutation=None):
        more = "" if permutation is None else f", permutation: {permutation}"
        return (f"{{path: {self.folder}/train.idx.gz, labels: {self.folder}/train-labels.idx, format: idx, "
                f"classes: {classes}{more}}}")

    def test_images_are_units(self):
        block = "privacy={noise_multiplier: 0.25, clip_norm: 2, expected_batch_size: 40, noise_seed: 3}"
        self.train(block, run="one")
        self.train(block, run="two", ranks=2)
        self.assertLess(self.weight_difference("one", "two"), 1e-9)
        rows = self.rows("one")
        self.assertEqual(rows[-1]["tokens"], 40 * 40)
        self.assertEqual([key for row in rows for key in row if key in ("loss", "loss_total")], [])
        self.assertGreater(rows[-1]["valid_accuracy"], 0.5)  # a quarter is chance
        self.assertGreater(rows[-1]["epsilon"], rows[0]["epsilon"])
        charge = json.loads((self.folder / "one/ledger.json").read_text().splitlines()[1])
        self.assertAlmostEqual(charge["sampling_rate"], 0.2)
        refused = self.moesaic("privacy", "audit", self.recipe, block, expect=3)
        self.assertIn("reads images", refused.stderr)

    def test_without_noise_and_bound_it_is_the_plain_run(self):
        same = ("train.max_steps=4", "train.micro_batch_size=20", "eval.every_steps=0")
        self.train(*same, "train.global_batch_size=200", run="plain")
        self.train(*same, "privacy={noise_multiplier: 0, clip_norm: 1.0e9, allow_no_privacy: true, expected_batch_size: 200}",
                   run="private")
        self.assertLess(self.weight_difference("plain", "private"), 1e-9)

    def test_old_images_of_the_same_file_are_replayed_and_tasks_share_the_ledger(self):
        valid = f"{{path: {self.folder}/valid.idx.gz, labels: {self.folder}/valid-labels.idx, format: idx}}"
        tasks = ", ".join(f"{{name: t{i}, max_steps: 3, train: [{self.source(classes)}], valid: [{valid}]}}"
                          for i, classes in enumerate(("[0, 1]", "[2, 3]")))
        job = self.train("train.max_steps=null", "data.train=[]", "data.valid=[]", "eval.every_steps=0",
                         "privacy={noise_multiplier: 2, expected_batch_size: 20}",
                         f"continual={{method: si, lambda: 1, replay: {{share: 0.3, sources: [{self.source('[0, 1]')}]}}, tasks: [{tasks}]}}")
        told = job.stdout + job.stderr
        self.assertEqual(told.count(" old ones with "), 1)  # in the first task they are new
        lines = [json.loads(line) for line in (self.folder / "run/ledger.json").read_text().splitlines()]
        self.assertEqual(len(lines), 1 + 6)
        self.assertEqual(json.loads((self.folder / "run/tasks.json").read_text())["metric"], "accuracy")


if __name__ == "__main__":
    unittest.main()
