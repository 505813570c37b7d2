"""Runs that lose a rank at random moments: what resume_test.py and adapter_kill_test.py share."""
import json
import os
import random
import signal
import subprocess
import time

from moesaic import MOESAIC, RunTest, ranks_of

OPTIONS = ("train.max_steps=60", "checkpoint.every_steps=2", "checkpoint.keep=2")


class Killing(RunTest):
    def kill_and_resume(self, times, *overrides):
        """A run of 60 steps on (2, 2), killed `times` times, becomes the run `whole` to the bit."""
        options = (*OPTIONS, *overrides)
        self.train(*options, run="whole", ranks=2, expert=2)
        moments = random.Random(os.environ.get("MOESAIC_KILL_SEED", "11"))
        command = [MOESAIC, "train", str(self.recipe), "-n", "2", "parallel.expert=2", *options,
                   f"run_dir={self.folder}/killed"]
        killed = 0
        while killed < times:
            job = subprocess.Popen([*command, "--resume", "auto"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            deadline = time.time() + moments.uniform(0.3, 2.5)
            while job.poll() is None and time.time() < deadline:
                time.sleep(0.005)
            pids = ranks_of(self.folder / "killed")
            if job.poll() is None and pids:
                os.kill(moments.choice(pids), signal.SIGKILL)
                killed += 1
            started = time.time()
            errors = job.communicate(timeout=600)[1]
            if job.returncode == 0:  # came to its end: start over
                self.assertEqual(self.rows("killed"), self.rows("whole"))
                subprocess.run(["rm", "-r", str(self.folder / "killed")], check=True)
                continue
            self.assertEqual(job.returncode, 6, errors)
            self.assertLess(time.time() - started, 10)
            self.assertIn("rank", errors)
            latest = self.folder / "killed/checkpoints/latest"
            if latest.exists():
                inspected = json.loads(self.moesaic("inspect", latest, "--json").stdout)
                self.assertTrue(inspected["step"] % 2 == 0)
        self.train(*options, "--resume", "auto", run="killed", ranks=2, expert=2)
        self.assertEqual(self.rows("killed"), self.rows("whole"))
        self.assertEqual(self.weight_difference("killed", "whole"), 0)
