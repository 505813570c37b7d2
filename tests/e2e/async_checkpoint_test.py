"""checkpoint.async: the checkpoints are those of a run that waits for them, whatever interrupts it."""
import json
import unittest

import moesaic
import resume_test

ASYNC = moesaic.TINY.replace("keep: 3}", "keep: 3, async: true}")
assert ASYNC != moesaic.TINY


class AsyncResume(resume_test.Interrupted):
    """Exact resume, signals and killed ranks as in resume_test, with checkpoints that are written beside the training.
    What is done with a checkpoint later is not tested again: the files are the same bytes (below)."""

    recipe_text = ASYNC


class AsyncCheckpoint(moesaic.RunTest):
    recipe_text = ASYNC

    def test_the_files_are_those_of_a_run_that_waits(self):
        for ranks, expert in ((1, 1), (2, 2), (4, 2)):
            for run, mode in (("async", "true"), ("sync", "false")):
                self.train("--overwrite", f"checkpoint.async={mode}", run=run, ranks=ranks, expert=expert)
            self.assertEqual(self.rows("async"), self.rows("sync"))
            for step in (10, 15, 20):
                for name in ("model.h5", "state.h5"):
                    path = f"checkpoints/step-{step:08d}/{name}"
                    self.assertEqual((self.folder / "async" / path).read_bytes(), (self.folder / "sync" / path).read_bytes(),
                                     f"{ranks} ranks, step {step}, {name}")

    def test_a_save_that_fails_ends_the_job_with_its_reason(self):
        for ranks in (1, 2):
            run = f"run-{ranks}"
            (self.folder / run).mkdir()
            (self.folder / run / "checkpoints").write_text("in the way")
            result = self.train("train.max_steps=5000", run=run, ranks=ranks, expert=ranks, expect=7)
            self.assertIn(f"{run}/checkpoints", result.stderr)
            self.assertTrue(5 <= len(self.rows(run)) < 5000)

    def test_plan_counts_the_copy(self):
        plans = [json.loads(self.moesaic("plan", self.recipe, f"checkpoint.async={mode}", "--json").stdout)
                 for mode in ("true", "false")]
        copy = plans[0]["rank_parameters"] * 4 * 3  # weights and two moments
        self.assertEqual(plans[0]["rank_snapshot_bytes"], copy)
        self.assertEqual(plans[0]["rank_memory_bytes"] - plans[1]["rank_memory_bytes"], copy)


if __name__ == "__main__":
    unittest.main()
