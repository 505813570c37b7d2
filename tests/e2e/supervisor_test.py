"""The launcher as a supervisor: jobs that fail or hang are started again, and what must not be is not.

Decisions are tested with stand-ins in the place of moesaic-worker (as in launcher_test.py), bits with the real one.
"""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from launcher_test import LauncherTest
from moesaic import MOESAIC, RunTest, ranks_of

# What a stand-in adds: `at STEP` writes its state file as a rank in that step does; `try` is the number of the attempt.
STATE = """
echo "$*" >> {folder}/attempts
try=$(wc -l < {folder}/attempts)
at() {
  mkdir -p {folder}/run/logs
  printf '%d %d %s %d %d %s %-200s\\n' 9 9 $(date +%s.%N) $1 $$ "$(hostname)" "'sum' of world" > {folder}/run/logs/rank-$rank.state
}
"""


class Decisions(LauncherTest):
    def supervised(self, body, *arguments, expect=0, ranks=1, restarts=2):
        self.worker(STATE + body)
        return self.train("-n", ranks, f"train.restarts={restarts}", *arguments, expect=expect)

    def attempts(self):
        return (self.folder / "attempts").read_text().splitlines()

    def restarts(self):
        file = self.folder / "run/restarts.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def test_a_failure_is_followed_by_resume_auto(self):
        result = self.supervised("at 7; [ $try = 2 ] || { sleep 0.3; kill -9 $$; }", "--overwrite", "--json")
        first, second = self.attempts()
        self.assertIn("--overwrite", first)
        self.assertNotIn("--overwrite", second)
        self.assertTrue(second.endswith("--resume auto"), second)
        (line,) = self.restarts()
        self.assertEqual((line["kind"], line["step"], line["rank"], line["restart"]), ("crash", 7, 0, 1))
        self.assertIn("signal 9", line["message"])
        self.assertIsNone(line["checkpoint"])
        self.assertIn("in step 7, last in 'sum' of world", result.stderr)
        self.assertEqual((json.loads(result.stdout)["restarts"], json.loads(result.stdout)["failure"]), (1, None))

    def test_a_named_checkpoint_is_the_origin_until_there_is_a_newer_one(self):
        saves = "mkdir -p {folder}/run/checkpoints/step-5; echo $try > {folder}/run/checkpoints/step-5/manifest.json; " \
                "ln -sfn step-5 {folder}/run/checkpoints/latest; "
        self.supervised(f"at 7; [ $try = 1 ] || {{ {saves} }}; [ $try = 3 ] || exit 6", "--resume", "elsewhere/step-4")
        self.assertEqual([attempt.split("--resume ")[1] for attempt in self.attempts()],
                         ["elsewhere/step-4", "elsewhere/step-4", "auto"])
        self.assertEqual([line["checkpoint"] for line in self.restarts()], [None, "step-5"])

    def test_the_budget_ends_and_the_same_failure_is_said(self):
        errors = self.supervised("at 7; exit 8", expect=8).stderr
        self.assertEqual(len(self.attempts()), 3)
        self.assertEqual([line["same_again"] for line in self.restarts()], [False, True])
        self.assertIn("the same failure at the same step", errors)
        self.assertIn("2 restarts within 3600 s are used up", errors)

    def test_nothing_is_started_again_that_would_fail_again(self):
        for code in (2, 3, 4, 9):
            with self.subTest(code=code):
                (self.folder / "attempts").unlink(missing_ok=True)
                self.assertIn("no restart: ", self.supervised(f"at 7; exit {code}", expect=code).stderr)
                self.assertEqual(len(self.attempts()), 1)
        self.assertEqual(self.restarts(), [])

    def test_nor_before_step_1_is_done(self):
        for state in ("", "at 0; ", "at 1; "):
            (self.folder / "attempts").unlink(missing_ok=True)
            self.assertIn("step 1 was not done", self.supervised(f"{state}exit 6", expect=6).stderr)
            self.assertEqual(len(self.attempts()), 1)

    def test_nor_where_the_recipe_does_not_say_so(self):
        self.supervised("at 7; exit 6", expect=6, restarts=0)
        self.assertEqual(len(self.attempts()), 1)

    def test_nor_after_a_stop(self):
        self.worker(STATE + 'trap "exit 6" USR1; at 7; touch {folder}/ready.$rank; for i in $(seq 300); do sleep 0.1; done')
        process = self.start("-n", 1, "train.restarts=2")
        self.wait_ready(1)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 6, errors)
        self.assertIn("asked to stop", errors)
        self.assertEqual(len(self.attempts()), 1)

    def test_what_a_job_has_started_ends_with_it(self):
        self.supervised("at 7; if [ $try = 1 ]; then setsid sleep 1000 & echo $! > {folder}/left; sleep 0.3; kill -9 $$; fi")
        self.assertFalse(pathlib.Path("/proc", (self.folder / "left").read_text().strip()).exists())

    def test_silence_of_all_ranks_is_a_hang(self):
        for ranks in (1, 2):
            with self.subTest(ranks=ranks):
                (self.folder / "attempts").unlink(missing_ok=True)
                # All attempts of all ranks write a line: the first attempt is the first `ranks` lines.
                body = f"at 7; if [ $try -le {ranks} ]; then trap '' TERM; while true; do sleep 1; done; fi"
                started = time.monotonic()
                errors = self.supervised(body, "parallel.timeout_s=4", ranks=ranks).stderr
                self.assertLess(time.monotonic() - started, 40)
                line = self.restarts()[-1]
                self.assertEqual((line["kind"], line["step"], line["exit_code"]), ("hang", 7, 6))
                self.assertIn("no rank has given a sign of life", errors)
                stacks = (self.folder / "run/logs" / line["stacks"]).read_text()
                for rank in range(ranks):
                    self.assertIn(f"== rank {rank}: in step 7, last in 'sum' of world\nprocess ", stacks)
                    self.assertIn("State:", stacks)


class Bits(RunTest):
    """Disturbed runs end as the undisturbed one, to the bit."""

    # Enough steps that a signal sent after ten of them is no signal to a run in its last step, also on a full machine.
    options = ("train.max_steps=300", "checkpoint.every_steps=10", "eval.every_steps=100", "parallel.timeout_s=10")

    def disturb(self, number, rank, *more, ranks=2):
        """Trains, with a signal to a rank after ten steps; what the launcher said, and the seconds until it went on."""
        folder = self.folder / "disturbed"
        job = subprocess.Popen([MOESAIC, "train", str(self.recipe), "-n", str(ranks), f"parallel.expert={ranks}", "train.restarts=3",
                                *self.options, *more, f"run_dir={folder}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(job.communicate)
        self.addCleanup(job.kill)
        metrics = folder / "metrics.jsonl"
        while job.poll() is None and not (metrics.exists() and metrics.read_text().count("\n") > 10):
            time.sleep(0.005)
        pid = int((folder / f"logs/rank-{rank}.state").read_text().split()[4])
        self.assertIn(pid, ranks_of(folder))
        os.kill(pid, number)
        sent = time.monotonic()
        while job.poll() is None and not (folder / "restarts.jsonl").exists():
            time.sleep(0.02)
        seconds = time.monotonic() - sent
        errors = job.communicate(timeout=300)[1]
        self.assertEqual(job.returncode, 0, errors)
        self.assertEqual(ranks_of(folder), [])
        self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())
        self.assertEqual(self.rows("disturbed"), self.rows("whole"))
        self.assertEqual(self.digests("disturbed"), self.digests("whole"))
        (line,) = [json.loads(line) for line in (folder / "restarts.jsonl").read_text().splitlines()]
        self.assertEqual(line["rank"], rank, line)
        self.assertGreaterEqual(line["step"], 11)
        self.assertRegex(line["checkpoint"], r"step-00000[0-2]\d\d")
        self.assertRegex((folder / "logs/rank-0.log").read_text(),
                         rf"restart 1 \(at most 3 within 3600 s\): rank {rank} failed in step \d+, last in '")
        return line, errors, seconds

    def test_after_a_killed_and_a_stopped_rank(self):
        self.train(*self.options, run="whole", ranks=2, expert=2)
        line, errors, seconds = self.disturb(signal.SIGKILL, 1)
        self.assertEqual(line["kind"], "crash")
        self.assertIn("killed by signal 9", line["message"])
        self.assertLess(seconds, 5)
        subprocess.run(["rm", "-r", str(self.folder / "disturbed")], check=True)

        line, errors, seconds = self.disturb(signal.SIGSTOP, 0)
        self.assertEqual(line["kind"], "hang")
        self.assertIn("rank 0 is stopped, " + line["where"], line["message"])  # not where it was ended
        self.assertLess(seconds, 10 + 15)
        stacks = (self.folder / "disturbed/logs" / line["stacks"]).read_text()
        self.assertIn("== rank 0: in step", stacks)
        self.assertIn("== rank 1: in step", stacks)
        self.assertIn("(stopped)", stacks)

    def test_after_a_killed_rank_that_was_alone(self):
        self.train(*self.options, run="whole")
        line, _, seconds = self.disturb(signal.SIGKILL, 0, "parallel.timeout_s=2", ranks=1)  # which its steps take more than
        self.assertEqual(line["kind"], "crash")
        self.assertLess(seconds, 5)

    def test_a_recipe_that_fails_later_is_not_started_again(self):
        errors = self.train("train.restarts=3", "train.max_steps=20", "optimizer.learning_rate=1e30", "train.clip_norm=0",
                            ranks=2, expert=2, expect=3).stderr
        self.assertIn("no restart: a failure of kind recipe would come again", errors)
        self.assertFalse((self.folder / "run/restarts.jsonl").exists())
        self.assertEqual(ranks_of(self.folder / "run"), [])


if __name__ == "__main__":
    unittest.main()
