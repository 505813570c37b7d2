"""federated within one job: the same silos on every layout, and a run that was killed goes on to the same bits."""
import json
import os
import signal
import subprocess
import time
import unittest

from moesaic import MOESAIC, ONE_LAYER, RunTest, ranks_of

FEDERATION = """
name: federation
seed: 5
run_dir: {folder}/run""" + ONE_LAYER + """
data: {{sequence_length: 24, cache: {folder}/cache}}
train: {{global_batch_size: 4, micro_batch_size: 2, precision: float64}}
optimizer: {{learning_rate: 0.01}}
schedule: {{warmup_steps: 2}}
parallel: {{timeout_s: 60, threads_per_rank: 1}}
log: {{tensorboard: false}}
federated:
  rounds: 3
  local_steps: 3
  silos:
    - {{name: letters, train: [{{path: {folder}/text/train-a.txt}}], valid: [{{path: {folder}/text/valid.txt}}]}}
    - {{name: digits, train: [{{path: {folder}/text/digits.txt}}], valid: [{{path: {folder}/text/digits.txt}}]}}
"""


class Federated(RunTest):
    recipe_text = FEDERATION

    def setUp(self):
        super().setUp()
        (self.folder / "text/digits.txt").write_text("".join(f"{7 * i % 997} " for i in range(1200)))

    def test_trains_the_silos_of_one_recipe_on_any_layout(self):
        self.train(run="one", ranks=2)
        rows = self.rows("one")
        self.assertEqual([row["round"] for row in rows], [1, 2, 3])
        self.assertEqual([row["step"] for row in rows], [1, 2, 3])
        for name in ("silo_letters_loss", "silo_digits_loss", "valid_loss"):
            self.assertLess(rows[2][name], rows[0][name])
        self.train(run="turns", ranks=1)  # they take turns
        self.assertEqual(self.digests("turns"), self.digests("one"))
        self.assertEqual(self.rows("turns")[2]["silo_digits_loss"], rows[2]["silo_digits_loss"])
        recipe = self.recipe.read_text().replace("{name: letters,", "{name: letters, ranks: 2,")
        self.recipe.write_text(recipe.replace("{name: digits,", "{name: digits, ranks: 2,"))
        self.train(run="experts", ranks=4, expert=2)
        self.assertLess(self.weight_difference("one", "experts"), 1e-10)

    def test_goes_on_to_the_same_bits_after_it_was_killed(self):
        keep = ("federated.optimizer_state=keep", "federated.aggregator.type=fedadam", "federated.rounds=8")
        self.train(*keep, run="whole", ranks=2)
        job = subprocess.Popen([MOESAIC, "train", self.recipe, "-n", "2", f"run_dir={self.folder}/run", *keep],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        metrics = self.folder / "run/metrics.jsonl"
        end = time.monotonic() + 120
        while time.monotonic() < end and not (metrics.exists() and len(metrics.read_text().splitlines()) > 2):
            time.sleep(0.02)
        for pid in ranks_of(self.folder / "run"):
            os.kill(pid, signal.SIGKILL)
        job.wait()
        self.train(*keep, "--resume", "auto", ranks=2)
        self.assertEqual(self.digests("run"), self.digests("whole"))
        self.assertEqual([row["round"] for row in self.rows()], list(range(1, 9)))
        self.assertEqual(self.rows()[-1], self.rows("whole")[-1])

    def test_hides_its_silos_until_their_budget_is_spent(self):
        says = ("--noise-multiplier", 4, "--sampling-rate", 1, "--steps", 2, "--delta", 1e-6, "--json")
        of_two = json.loads(self.moesaic("privacy", "epsilon", *says).stdout)["epsilon"]
        hidden = ("federated.privacy.clip_norm=0.1", "federated.privacy.noise_multiplier=4",
                  f"federated.privacy.budget={{epsilon: {of_two + 0.01}, delta: 1.0e-6}}")
        self.assertIn("budget", self.train(*hidden, ranks=2, expect=9).stderr)
        self.assertEqual([row["round"] for row in self.rows()], [1, 2])
        self.assertAlmostEqual(self.rows()[1]["epsilon"], of_two, places=4)
        ledger = json.loads(self.moesaic("privacy", "ledger", self.folder / "run/silo-ledger.json", "--json").stdout)
        self.assertEqual((ledger["unit"], ledger["steps"], ledger["whole"]), ("silo", 2, True))
        self.train(*hidden, "--resume", "auto", ranks=2, expect=9)
        self.moesaic("export", self.folder / "run", self.folder / "hub")
        card = (self.folder / "hub/PRIVACY.md").read_text()
        self.assertIn("| rounds charged | 2,", card)
        self.assertNotIn("NOT PRIVATE", card)
        for wrong, part in (("noise_multiplier=0", "no noise hides a silo"), ("delta=0.5", "below 1 / 2"),
                            ("clip_norm=0", "federated.privacy.clip_norm")):
            told = self.moesaic("validate", self.recipe, *hidden[:2], f"federated.privacy.{wrong}", expect=3)
            self.assertIn(part, told.stdout)
        told = self.moesaic("validate", self.recipe, *hidden, "federated.aggregator.weights=examples", expect=3)
        self.assertIn("needs aggregator.weights uniform", told.stdout)

    def test_draws_clients_and_keeps_their_state_on_disk(self):
        self.train("federated.clients_per_round=1", "federated.aggregator.type=scaffold", "optimizer.type=sgd")
        for row in self.rows():
            self.assertEqual(sum(name.startswith("silo_") for name in row), 1)
        drawn = {name for row in self.rows() for name in row if name.startswith("silo_")}
        for name in drawn:
            self.assertTrue((self.folder / "run/silos" / name[5:-5] / "checkpoints/latest").exists())

    def test_plan_and_validate_know_silos(self):
        plan = json.loads(self.moesaic("plan", self.recipe, "--json").stdout)
        self.assertEqual(plan["federated"]["silos"], [{"name": "letters", "ranks": 1}, {"name": "digits", "ranks": 1}])
        self.assertEqual((plan["ranks"], plan["federated"]["silos_at_once"]), (1, 2))
        dry = json.loads(self.moesaic("train", self.recipe, "--dry-run", "--json").stdout)
        self.assertEqual(dry["silo_groups"], [[0], [1]])
        wrong = self.moesaic("validate", self.recipe, "-n", 3, expect=3)
        self.assertIn("the silos have 2 in all", wrong.stdout)
        job = self.train("federated.secure_aggregation={threshold: 2}", "federated.aggregator.type=median", ranks=2, expect=3)
        self.assertIn("federated.secure_aggregation", job.stderr)

    def test_names_the_silo_of_an_error(self):
        (self.folder / "text/digits.txt").unlink()
        job = self.train(ranks=2, expect=4)
        self.assertIn("silo digits, round 1", job.stderr)


if __name__ == "__main__":
    unittest.main()
