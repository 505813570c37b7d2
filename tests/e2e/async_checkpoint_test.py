"""checkpoint.async: the checkpoints are those of a run that waits for them, whatever interrupts it."""
import json
import resource
import signal
import unittest

import moesaic
import resume_test

ASYNC = moesaic.TINY.replace("keep: 3}", "keep: 3, async: true}")
assert ASYNC != moesaic.TINY


class AsyncResume(resume_test.Resume):
    """Exact resume, signals and killed ranks as in resume_test, with checkpoints that are written beside the training."""

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
        def limit_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

        result = self.train("train.max_steps=2000", ranks=2, expert=2, expect=7, preexec_fn=limit_files)
        self.assertIn("model.h5", result.stderr)
        self.assertLess(len(self.rows()), 2000)
        self.assertEqual(list((self.folder / "run/checkpoints").iterdir()), [])

    def test_plan_counts_the_copy(self):
        plans = [json.loads(self.moesaic("plan", self.recipe, f"checkpoint.async={mode}", "--json").stdout)
                 for mode in ("true", "false")]
        copy = plans[0]["rank_parameters"] * 4 * 3  # weights and two moments
        self.assertEqual(plans[0]["rank_snapshot_bytes"], copy)
        self.assertEqual(plans[0]["rank_memory_bytes"] - plans[1]["rank_memory_bytes"], copy)


if __name__ == "__main__":
    unittest.main()
