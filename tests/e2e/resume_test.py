"""Exact resume, resume on another layout, signals, and runs that lose a rank at random moments."""
import json
import os
import signal
import subprocess
import time
import unittest

from killing import Killing
from moesaic import MOESAIC, RunTest


class Interrupted(Killing):
    def test_a_resumed_run_repeats_every_bit_of_the_uninterrupted_one(self):
        self.train(run="whole", ranks=2, expert=2)
        self.train("train.max_steps=20", "checkpoint.every_steps=5", run="parts", ranks=2, expert=2)
        # Back to step 10: the later checkpoints go, the rows after it are cut off.
        for step in (15, 20):
            subprocess.run(["rm", "-r", str(self.folder / f"parts/checkpoints/step-{step:08d}")], check=True)
        self.train("--resume", "auto", run="parts", ranks=2, expert=2)
        self.assertEqual(self.rows("parts"), self.rows("whole"))
        self.assertEqual(self.weight_difference("parts", "whole"), 0)

    def test_a_signal_saves_stops_with_75_and_the_rest_repeats(self):
        self.train("train.max_steps=400", "checkpoint.every_steps=0", run="whole", ranks=2, expert=2)
        command = [MOESAIC, "train", str(self.recipe), "-n", "2", "parallel.expert=2", "train.max_steps=400",
                   "checkpoint.every_steps=0", f"run_dir={self.folder}/parts"]
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        metrics = self.folder / "parts/metrics.jsonl"
        while job.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") > 30):
            time.sleep(0.01)
        job.send_signal(signal.SIGTERM)
        errors = job.communicate(timeout=60)[1]
        self.assertEqual(job.returncode, 75, errors)
        stopped = len(self.rows("parts"))
        self.assertTrue(30 <= stopped < 400, stopped)
        self.assertTrue((self.folder / f"parts/checkpoints/step-{stopped:08d}/manifest.json").exists())
        self.train("train.max_steps=400", "checkpoint.every_steps=0", "--resume", "auto", run="parts", ranks=2, expert=2)
        self.assertEqual(self.rows("parts"), self.rows("whole"))

    def test_killed_ranks_never_cost_the_latest_checkpoint(self):
        self.kill_and_resume(int(os.environ.get("MOESAIC_KILLS", "6")))


class Resume(RunTest):
    def test_what_is_logged_changes_no_bit(self):
        for run, every in (("often", 1), ("seldom", 7)):
            self.train("train.max_steps=10", f"log.every_steps={every}", "moe.router_z_coefficient=0.001", run=run, ranks=2, expert=2)
        self.assertEqual(self.weight_difference("often", "seldom"), 0)

    def test_checkpoints_of_four_ranks_go_on_with_one_two_and_three(self):
        self.train(run="four", ranks=4, expert=4)
        wanted = self.rows("four")[10:]
        for ranks, expert in ((1, 1), (2, 2), (3, 1)):
            run = f"from-four-{ranks}"
            self.train("--resume", self.folder / "four/checkpoints/step-00000010", run=run, ranks=ranks, expert=expert)
            for row, other in zip(wanted, self.rows(run), strict=True):
                self.assertEqual(row["step"], other["step"])
                self.assertAlmostEqual(row["loss"], other["loss"], delta=1e-5 * row["loss"])

    def test_data_that_have_changed_are_refused_unless_allowed(self):
        ids = self.folder / "ids.jsonl"
        ids.write_text(json.dumps({"ids": list(range(200))}) + "\n")
        more = f"data.train=[{{path: {self.folder}/text/train-*.txt}}, {{path: {ids}, format: tokens}}]"
        self.train(more, "train.max_steps=5")
        (self.folder / "text/train-b.txt").write_text("another text " * 300)
        for ranks, expert in ((1, 1), (2, 2)):
            refused = self.train(more, "--resume", "auto", "train.max_steps=10", ranks=ranks, expert=expert, expect=4)
            self.assertIn("text/train-b.txt has changed", refused.stderr)
            error = refused.stderr[refused.stderr.index("error: "):]
            self.assertNotIn("train-a.txt", error)
            self.assertNotIn("ids.jsonl", error)
            self.assertIn("--allow-changed-data", refused.stderr)
        self.train(more, "--resume", "auto", "--allow-changed-data", "train.max_steps=6")
        ids.write_text(json.dumps({"ids": list(range(1, 201))}) + "\n")
        refused = self.train(more, "--resume", "auto", "train.max_steps=10", expect=4)
        self.assertIn("data.train[1]", refused.stderr)
        self.assertIn("ids.jsonl has changed", refused.stderr)
        self.assertEqual(len(self.rows()), 6)

    def test_an_imported_checkpoint_cannot_be_resumed_and_says_what_can(self):
        self.train("train.max_steps=1")
        self.moesaic("export", self.folder / "run", self.folder / "hub")
        self.moesaic("import", self.folder / "hub", self.folder / "imported")
        for ranks in (1, 2):
            failed = self.train("--resume", self.folder / "imported", run="resumed", ranks=ranks, expect=7)
            self.assertIn(f"{self.folder}/imported holds weights only", failed.stderr)
            self.assertIn("model.from", failed.stderr)
        self.train("train.max_steps=2", "model.config={}", f"model.from={self.folder}/imported", run="resumed",
                   ranks=2, expert=2)


if __name__ == "__main__":
    unittest.main()
