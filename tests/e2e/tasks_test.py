"""continual.tasks: the matrix of a run of several tasks, and that a run that was killed goes on to the same one."""
import json
import os
import signal
import subprocess
import time
import unittest

from moesaic import MOESAIC, ONE_LAYER, RunTest, ranks_of

TASKS = """
name: tasks
seed: 5
run_dir: {folder}/run""" + ONE_LAYER + """
data: {{sequence_length: 24, cache: {folder}/cache}}
train: {{global_batch_size: 8, micro_batch_size: 2}}
optimizer: {{learning_rate: 0.01}}
schedule: {{warmup_steps: 2}}
parallel: {{timeout_s: 60}}
checkpoint: {{every_steps: 2, keep: 30}}
log: {{every_steps: 1, tensorboard: false}}
continual:
  method: none
  tasks:
    - {{name: letters, train: [{{path: {folder}/text/train-a.txt}}], valid: [{{path: {folder}/text/valid.txt}}], max_steps: 6}}
    - {{name: digits, train: [{{path: {folder}/text/digits.txt}}], valid: [{{path: {folder}/text/digits.txt}}], max_steps: 5}}
    - {{name: marks, train: [{{path: {folder}/text/marks.txt}}], valid: [{{path: {folder}/text/marks.txt}}], max_steps: 7}}
"""


class Tasks(RunTest):
    recipe_text = TASKS

    def setUp(self):
        super().setUp()
        (self.folder / "text/digits.txt").write_text("".join(f"{7 * i % 997} " for i in range(1200)))
        (self.folder / "text/marks.txt").write_text("".join("!?;:"[i * i % 7 % 4] for i in range(4000)))

    def matrix(self, run="run"):
        return json.loads((self.folder / run / "tasks.json").read_text())

    def test_learns_one_task_after_the_other_and_says_what_was_forgotten(self):
        job = self.train()
        found = self.matrix()
        self.assertEqual((found["tasks"], found["metric"]), (["letters", "digits", "marks"], "loss"))
        rows = found["matrix"]
        self.assertEqual([len(row) for row in rows], [3] * 4)
        self.assertEqual(found["baseline"], rows[0])
        for task in range(3):  # each is learned in its turn
            self.assertLess(rows[task + 1][task], rows[task][task] - 0.1)
        self.assertAlmostEqual(found["average"], sum(rows[3]) / 3)
        self.assertAlmostEqual(found["backward_transfer"], (rows[1][0] - rows[3][0] + rows[2][1] - rows[3][1]) / 2)
        self.assertAlmostEqual(found["forward_transfer"], (rows[0][1] - rows[1][1] + rows[0][2] - rows[2][2]) / 2)
        self.assertAlmostEqual(found["forgetting"], (rows[3][0] - min(rows[1][0], rows[2][0]) + rows[3][1] - rows[2][1]) / 2)
        self.assertIsNone(found["intransigence"])
        self.assertIn("after digits", job.stderr)
        self.assertTrue((self.folder / "run/tasks.png").read_bytes().startswith(b"\x89PNG"))
        self.assertTrue((self.folder / "run/tasks.h5").read_bytes().startswith(b"\x89HDF"))
        # The schedule begins anew: each task warms up.
        steps = {row["step"]: row for row in self.rows()}
        for first in (1, 7, 12):
            self.assertAlmostEqual(steps[first]["learning_rate"], 0.005)
            self.assertAlmostEqual(steps[first + 1]["learning_rate"], 0.01)
        self.assertEqual([steps[s]["task"] for s in (1, 6, 7, 11, 12, 18)], [1, 1, 2, 2, 3, 3])
        self.verb(rows)

    def verb(self, rows):
        self.assertNotIn(b"intransigence", (self.folder / "run/tasks.h5").read_bytes())
        table = self.moesaic("tasks", self.folder / "run")
        self.assertIn("after marks", table.stdout)
        joint = self.folder / "joint.json"
        joint.write_text("[1.0, 1.5, 2.0]")
        found = json.loads(self.moesaic("tasks", self.folder / "run", "--joint", joint, "--json").stdout)
        learned = [rows[i + 1][i] for i in range(3)]
        self.assertAlmostEqual(found["intransigence"], (sum(learned) - 4.5) / 3)
        self.assertEqual(self.matrix(), found)
        self.assertIn(b"intransigence\0", (self.folder / "run/tasks.h5").read_bytes())
        joint.write_text("[1.0]")
        self.moesaic("tasks", self.folder / "run", "--joint", joint, expect=4)
        self.moesaic("tasks", self.folder, expect=4)

    def test_a_task_begins_as_a_run_of_its_own(self):
        self.train()
        second = self.recipe.read_text().split("continual:")[0]
        self.recipe.write_text(second)
        source = f"[{{path: {self.folder}/text/digits.txt}}]"
        self.train(f"data.train={source}", f"data.valid={source}", "train.max_steps=5",
                   f"model.from={self.folder}/run/checkpoints/step-00000006", "model.config=null", run="alone")
        in_turn = {row["step"]: row for row in self.rows()}
        for row in self.rows("alone"):
            for key in ("loss", "learning_rate", "grad_norm"):
                self.assertEqual(row[key], in_turn[row["step"] + 6][key], (row["step"], key))

    def test_goes_on_from_any_step_to_the_same_matrix(self):
        self.train(run="whole", ranks=2, expert=2)
        self.train(run="parts", ranks=2, expert=2)
        for kept in (12, 6, 2):  # in the middle of the third task, right after the first, in its middle
            for step in range(kept + 2, 20, 2):
                subprocess.run(["rm", "-rf", str(self.folder / f"parts/checkpoints/step-{step:08d}")], check=True)
            self.train("--resume", "auto", run="parts", ranks=2, expert=2)
            self.assertEqual(self.matrix("parts"), self.matrix("whole"))
            self.assertEqual(self.rows("parts"), self.rows("whole"))
            self.assertEqual(self.digests("parts"), self.digests("whole"))

    def write_five_tasks(self):
        """Each of its own letters, with importances; the third is long enough to be met in its middle."""
        tasks = []
        for letters, steps in (("abc", 6), ("0123", 5), ("!?;:", 60), ("XYZ", 4), ("(+)", 4)):
            path = self.folder / f"text/{len(tasks)}.txt"
            path.write_text("".join(letters[i * i % 7 % len(letters)] for i in range(600)))
            tasks.append(f"    - {{name: of-{len(tasks)}, train: [{{path: {path}}}], valid: [{{path: {path}}}], max_steps: {steps}}}\n")
        before = self.recipe.read_text().split("continual:")[0]
        self.recipe.write_text(before + "continual:\n  method: online_ewc\n  lambda: 10\n  fisher: {examples: 8}\n  tasks:\n"
                               + "".join(tasks))

    def test_killed_in_the_middle_of_the_third_of_five_tasks_it_goes_on_to_the_same_matrix(self):
        self.write_five_tasks()
        self.train(run="whole", ranks=2, expert=2)
        command = [MOESAIC, "train", str(self.recipe), "-n", "2", "parallel.expert=2", f"run_dir={self.folder}/killed"]
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        metrics = self.folder / "killed/metrics.jsonl"
        deadline = time.time() + 60
        while job.poll() is None and time.time() < deadline and not (metrics.exists() and metrics.read_text().count("\n") > 25):
            time.sleep(0.005)
        os.kill(ranks_of(self.folder / "killed")[0], signal.SIGKILL)
        errors = job.communicate(timeout=60)[1]
        self.assertEqual(job.returncode, 6, errors)
        self.assertEqual(self.rows("killed")[-1]["task"], 3)
        self.assertEqual(len(self.matrix("killed")["matrix"]), 3)
        self.assertIsNone(self.matrix("killed")["average"])
        self.train("--resume", "auto", run="killed", ranks=2, expert=2)
        self.assertEqual(self.matrix("killed"), self.matrix("whole"))
        self.assertEqual(len(self.matrix("killed")["matrix"]), 6)
        self.assertEqual(self.digests("killed"), self.digests("whole"))

    def test_plan_and_validate_know_tasks(self):
        plan = json.loads(self.moesaic("plan", self.recipe, "--json").stdout)
        self.assertEqual(plan["tasks"], [{"name": "letters", "max_steps": 6}, {"name": "digits", "max_steps": 5},
                                         {"name": "marks", "max_steps": 7}])
        self.assertIn("letters (6) -> digits (5) -> marks (7): 18 steps", self.moesaic("train", self.recipe, "--dry-run").stdout)
        (self.folder / "text/marks.txt").unlink()
        doubts = json.loads(self.moesaic("validate", self.recipe, "--json").stdout)["data"]
        self.assertEqual({doubt["key"] for doubt in doubts},
                         {"continual.tasks[2].train[0].path", "continual.tasks[2].valid[0].path"})


if __name__ == "__main__":
    unittest.main()
