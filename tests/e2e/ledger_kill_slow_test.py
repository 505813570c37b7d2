"""A private run that is killed at fifty random moments: its ledger only grows, pays for each step that was done, and goes on."""
import json
import os
import random
import signal
import subprocess
import time
import unittest

from moesaic import MOESAIC, RunTest, ranks_of
from privacy_test import PRIVATE

KILLS = 50
OPTIONS = ("checkpoint.every_steps=5", "checkpoint.keep=2", "eval.every_steps=0", "schedule={type: constant, warmup_steps: 0}")


class LedgerKill(RunTest):
    recipe_text = PRIVATE

    def text(self, name):
        path = self.folder / "run" / name
        return path.read_text() if path.exists() else ""

    def steps(self):
        """That the ledger has, also where its last line was cut off."""
        path = self.folder / "run/ledger.json"
        if not path.exists():
            return 0
        return json.loads(self.moesaic("privacy", "ledger", path, "--delta", 1e-6, "--json", expect=None).stdout)["steps"]

    def life(self, seconds, moments):
        """A job, until one of its ranks is killed."""
        job = subprocess.Popen([MOESAIC, "train", str(self.recipe), "-n", "2", "parallel.expert=2", *OPTIONS, "train.max_steps=1000000",
                                f"run_dir={self.folder}/run", "--resume", "auto"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        earliest, latest = time.monotonic() + seconds, time.monotonic() + 60
        while job.poll() is None and time.monotonic() < latest:
            time.sleep(0.005)
            pids = ranks_of(self.folder / "run") if time.monotonic() > earliest else []
            if pids:
                os.kill(moments.choice(pids), signal.SIGKILL)
                break
        errors = job.communicate(timeout=600)[1]
        self.assertEqual(job.returncode, 6, errors)

    def test_fifty_kills_refund_nothing(self):
        moments = random.Random(os.environ.get("MOESAIC_KILL_SEED", "11"))
        paid = done = 0
        for kill in range(KILLS):
            ledger, rows = self.text("ledger.json"), set(self.text("metrics.jsonl").splitlines())
            self.life(moments.uniform(0.3, 3), moments)
            self.assertTrue(self.text("ledger.json").startswith(ledger), kill)
            new = [row for row in self.text("metrics.jsonl").splitlines() if row not in rows]
            self.assertGreaterEqual(self.steps() - paid, len(new), kill)
            paid, done = self.steps(), done + len(new)
        self.assertGreater(done, KILLS // 5)  # it was killed while it trained
        latest = self.folder / "run/checkpoints/latest/manifest.json"
        last = json.loads(latest.read_text())["step"]
        self.train(*OPTIONS, f"train.max_steps={last + 3}", "--resume", "auto")
        says = json.loads(self.moesaic("privacy", "ledger", self.folder / "run/ledger.json", "--delta", 1e-6, "--json").stdout)
        self.assertTrue(says["whole"])
        self.assertGreaterEqual(says["steps"], paid + 3)


if __name__ == "__main__":
    unittest.main()
