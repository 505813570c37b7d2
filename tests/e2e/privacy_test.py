"""Private runs through the shipped programs: steps are charged before they are computed and never refunded, the budget ends a run,
what is written tells no loss, layouts change nothing, and what cannot be private is refused before anything is charged."""
import json
import os
import signal
import subprocess
import time
import unittest

from moesaic import MOESAIC, RunTest, TINY, ranks_of

PRIVATE = TINY.replace("type: switch", "type: sequence").replace(", clip_norm: 0.5", "") + """
privacy: {{noise_multiplier: 1.0, clip_norm: 1.0, expected_batch_size: 12, delta: 1.0e-6}}
"""
SEQUENCE_LENGTH = 24
SHORT = ("train.max_steps=4", "schedule={type: constant, warmup_steps: 0}", "eval.every_steps=0")


class PrivacyTest(RunTest):
    recipe_text = PRIVATE

    def ledger(self, path, expect=0):
        return json.loads(self.moesaic("privacy", "ledger", path, "--delta", 1e-6, "--json", expect=expect).stdout)

    def lines(self, run="run"):
        path = self.folder / run / "ledger.json"
        return path.read_text().splitlines() if path.exists() else []

    def step_of(self, run):
        return json.loads((self.folder / run / "checkpoints/latest/manifest.json").read_text())["step"]

    def small_text(self, units):
        path = self.folder / "text/small.txt"
        path.write_bytes(bytes(97 + i * i % 23 for i in range(units * SEQUENCE_LENGTH)))
        return f"data.train=[{{path: {path}}}]"

    def test_steps_are_charged_and_no_loss_is_written(self):
        result = self.train(*SHORT, "eval.every_steps=2")
        rows = self.rows()
        self.assertEqual([row["step"] for row in rows], [1, 2, 3, 4])
        for row in rows:
            told = [key for key in row if key.startswith("loss") or "load" in key or "expert" in key]
            self.assertEqual(told, [], row)
            self.assertEqual(row["tokens"], row["step"] * 12 * SEQUENCE_LENGTH)
            self.assertGreater(row["grad_norm"], 0)
        self.assertNotRegex(result.stdout, r"(?<!valid_)loss +[0-9]")
        self.assertIn("valid_loss", rows[1])  # of other data
        epsilons = [row["epsilon"] for row in rows]
        self.assertTrue(0 < epsilons[0] < epsilons[1] < epsilons[2] < epsilons[3], epsilons)
        says = self.ledger(self.folder / "run/ledger.json")
        self.assertEqual((says["steps"], says["unit"], says["whole"]), (4, "sequence", True))
        self.assertAlmostEqual(says["epsilon"], epsilons[-1], delta=1e-6)
        manifest = json.loads((self.folder / "run/checkpoints/latest/manifest.json").read_text())["training"]
        self.assertEqual(list(manifest["data"]), ["valid"])  # no digest of what is protected
        self.moesaic("export", self.folder / "run", self.folder / "hub")
        card = (self.folder / "hub/PRIVACY.md").read_text()
        self.assertNotIn(says["data"], card)
        for part in ("| unit | sequence", f"| epsilon | {epsilons[-1]:.4f}"[:16], "| delta | 1e-06", "| accountant | pld",
                     "| steps | 4 of this run", "not covered"):
            self.assertIn(part, card)

        # The budget ends another run where the rows say that it would: after the last step that is paid.
        budget = f"privacy.budget={{epsilon: {(epsilons[1] + epsilons[2]) / 2}, delta: 1.0e-6}}"
        self.train(*SHORT, budget, run="short", expect=9)
        self.assertEqual(self.step_of("short"), 2)
        self.assertEqual(len(self.lines("short")), 3)
        self.train(*SHORT, "privacy.budget={epsilon: 0.0001, delta: 1.0e-6}", run="none", expect=9)
        self.assertEqual(len(self.lines("none")), 1)
        self.assertFalse((self.folder / "none/checkpoints/latest").exists())

    def test_without_noise_and_bound_it_is_the_plain_run(self):
        units = 40
        same = (*SHORT, self.small_text(units), "train.precision=float64", "train.clip_norm=0")
        self.train(*same, "privacy=null", f"train.global_batch_size={units}", run="plain")
        for run, ranks, expert in (("private", 1, 1), ("grid", 4, 2)):
            self.train(*same, "privacy={noise_multiplier: 0, clip_norm: 1.0e9, allow_no_privacy: true, log_loss: true, "
                       f"expected_batch_size: {units}}}", run=run, ranks=ranks, expert=expert)
            self.assertLess(self.weight_difference("plain", run), 1e-9)
        self.assertEqual(self.lines("private"), [])  # nothing to charge

    def test_layouts_draw_the_same_units_and_noise(self):
        same = (*SHORT, "train.precision=float64", "privacy.noise_seed=3", "privacy.expected_batch_size=5")
        result = self.train(*same, run="one")
        self.assertIn("NOT PRIVATE", result.stdout + result.stderr)
        for ranks, expert in ((2, 1), (4, 2), (4, 4)):
            run = f"grid-{ranks}-{expert}"
            self.train(*same, run=run, ranks=ranks, expert=expert)
            self.assertLess(self.weight_difference("one", run), 1e-10)

    def test_steps_without_any_unit_train_on(self):
        self.train(*SHORT, "privacy.expected_batch_size=0.01", ranks=4, expert=2)
        self.assertEqual(self.ledger(self.folder / "run/ledger.json")["steps"], 4)

    def test_what_was_charged_is_never_refunded(self):
        long = ("train.max_steps=60", "checkpoint.every_steps=7", "eval.every_steps=0")
        process = subprocess.Popen([MOESAIC, "train", str(self.recipe), "-n", "2", *long], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while len(self.lines()) < 12 and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in ranks_of(self.recipe):
            os.kill(pid, signal.SIGKILL)
        process.wait(timeout=60)
        charged = self.ledger(self.folder / "run/ledger.json")["steps"]
        self.assertGreaterEqual(charged, 11)
        done = self.step_of("run")
        self.train("--resume", "auto", *long[1:], f"train.max_steps={done + 5}")
        says = self.ledger(self.folder / "run/ledger.json")
        self.assertEqual(says["steps"], charged + 5)
        self.assertTrue(says["whole"])

        # Once more, with a ledger that lost its end, and one that was edited.
        lines = self.lines()
        ledger = self.folder / "run/ledger.json"
        on = ("--resume", "auto", *long[1:], f"train.max_steps={done + 6}")
        for text in ("\n".join(lines[:-1]) + "\n", "\n".join([*lines[:3], lines[3].replace("1", "2", 1), *lines[4:]]) + "\n"):
            ledger.write_text(text)
            self.train(*on, expect=7)
            self.assertEqual(ledger.read_text(), text)
        ledger.unlink()
        self.train(*on, expect=7)

    def test_ledgers_are_of_one_data_set_and_unit(self):
        shared = f"privacy.ledger={self.folder}/shared.json"
        self.train(*SHORT, shared, run="a")
        self.train(*SHORT, shared, run="b")
        self.assertEqual(self.ledger(self.folder / "shared.json")["steps"], 8)
        before = (self.folder / "shared.json").read_text()
        self.train(*SHORT, shared, f"data.train=[{{path: {self.folder}/text/train-a.txt}}]", run="c", expect=3)
        self.train(*SHORT, shared, "privacy.unit=document", "data.packing=false", "train.micro_batch_size=2000",
                   "privacy.expected_batch_size=1", run="d", expect=3)
        self.assertEqual((self.folder / "shared.json").read_text(), before)

    def test_two_runs_cannot_overspend_one_ledger_together(self):
        self.train("train.max_steps=1", "eval.every_steps=0", run="one")
        step = json.loads(self.lines("one")[1])
        costs = [json.loads(self.moesaic("privacy", "epsilon", "--event", f"{step['noise_multiplier']},{step['sampling_rate']},{steps}",
                                         "--delta", 1e-6, "--json").stdout)["epsilon"] for steps in (40, 41)]
        shared = self.folder / "shared.json"
        command = [MOESAIC, "train", str(self.recipe), "-n", "1", "train.max_steps=100", "eval.every_steps=0", f"privacy.ledger={shared}",
                   f"privacy.budget={{epsilon: {sum(costs) / 2}, delta: 1.0e-6}}"]
        jobs = [subprocess.Popen([*command, f"run_dir={self.folder}/{run}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                for run in ("a", "b")]
        self.assertEqual([job.wait(timeout=300) for job in jobs], [9, 9])
        says = self.ledger(shared)
        self.assertEqual((says["steps"], says["whole"]), (40, True))
        self.assertLessEqual(says["epsilon"], says["budget"]["epsilon"])
        self.assertEqual(sum(self.step_of(run) for run in ("a", "b") if (self.folder / run / "checkpoints/latest").exists()), 40)

    def test_bad_input_charges_nothing(self):
        lines = [json.dumps({"text": "some words of a user", "user": f"u{i % 20}"}) for i in range(60)]
        lines[7] = json.dumps({"text": "nobody's words"})
        (self.folder / "users.jsonl").write_text("\n".join(lines))
        (self.folder / "text/link").symlink_to(self.folder / "text/train-a.txt")
        users = (f"data.train=[{{path: {self.folder}/users.jsonl}}]", "data.valid=[]", "privacy.unit=user",
                 "data.packing=best_fit")
        for index, (overrides, code, part) in enumerate((
                (("privacy.delta=0.01",), 3, "1 / units"),
                (("privacy.expected_batch_size=5000",), 3, "the data have"),
                (("privacy.max_batch_size=12",), 3, "that many units or more with probability"),
                ((f"data.train=[{{path: {self.folder}/text/train-a.txt}}, {{path: {self.folder}/text/link}}]",), 3,
                 "twice, by another name or as a copy"),
                (users, 4, 'users.jsonl:8: key "user" is missing'),
                ((f"data.valid=[{{path: {self.folder}/text/train-a.txt}}]", "eval.patience=2"), 3, "not private"))):
            self.assertIn(part, self.train(*SHORT, *overrides, run=f"bad-{index}", expect=code).stderr)
            self.assertEqual(self.lines(f"bad-{index}"), [])
        lines[7] = json.dumps({"text": "one user's words", "user": 12})
        (self.folder / "users.jsonl").write_text("\n".join(lines))
        result = self.train(*SHORT, *users, "train.micro_batch_size=1", "privacy.expected_batch_size=4", run="small", expect=3)
        self.assertIn("a unit must be whole in one micro-batch", result.stderr)
        self.train(*SHORT, *users, "train.micro_batch_size=8", "privacy.expected_batch_size=4", run="users")
        self.assertEqual(self.ledger(self.folder / "users/ledger.json")["unit"], "user")

    def test_adapters_a_penalty_and_privacy_in_one_run(self):
        self.train(*SHORT, "privacy=null", run="old")
        text = self.recipe.read_text()
        importances = self.folder / "old.h5"
        made = ("importance", "--model", self.folder / "old", "--output", importances, "--recipe")
        self.assertIn("under a ledger", self.moesaic(*made, self.recipe, expect=3).stderr)
        self.assertFalse(importances.exists())
        self.moesaic(*made, self.recipe, "--not-private")
        begin, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:begin]}  from: {self.folder}/old\n{text[end:]}")
        told = self.moesaic("validate", self.recipe, "adapt={lora: {r: 4}}")
        self.assertIn("train_a: false is better with privacy", told.stdout + told.stderr)
        learning = ("adapt={lora: {r: 4, train_a: false}}", f"continual={{method: ewc, lambda: 10, importance: [{importances}]}}")
        self.train(*SHORT, *learning, ranks=2, expert=2)
        self.assertEqual(self.ledger(self.folder / "run/ledger.json")["steps"], 4)
        self.moesaic("export", self.folder / "run", self.folder / "peft", "--adapter")
        self.assertIn("| unit | sequence", (self.folder / "peft/PRIVACY.md").read_text())

        # An audit of a run that goes on from adapters compares with these: a run that learns nothing shows nothing.
        self.moesaic("privacy", "audit", self.recipe, *SHORT, "--canaries", 10, "train.max_steps=1",
                     f"adapt={{from: {self.folder}/run}}", "optimizer={learning_rate: 1.0e-30, weight_decay: 0}")
        before, after = ((self.folder / f"run-audit/{name}.jsonl").read_text() for name in ("before", "after"))
        self.assertEqual(before, after)

        # And in silos, each with a ledger of its own.
        silos = ", ".join(f"{{name: {name}, train: [{{path: {self.folder}/text/train-{name}.txt}}]}}" for name in "ab")
        self.train(*SHORT, *learning, "train.max_steps=null", "data.train=[]", "data.valid=[]",
                   f"federated={{rounds: 2, local_steps: 2, silos: [{silos}]}}", run="silos", ranks=2)
        for name in "ab":
            self.assertEqual(self.ledger(self.folder / f"silos/silos/{name}/ledger.json")["steps"], 4)
        for row in self.rows("silos"):
            self.assertEqual([key for key in row if "loss" in key and row[key] is not None], [])
        self.moesaic("export", self.folder / "silos", self.folder / "of-silos", "--adapter")
        self.assertIn("| epsilon of b |", (self.folder / "of-silos/PRIVACY.md").read_text())

    def test_an_audit_has_a_ledger_of_its_own(self):
        result = self.moesaic("privacy", "audit", self.recipe, *SHORT, "--canaries", 40, "--json")
        says = json.loads(result.stdout)
        self.assertEqual(set(says), {"epsilon_lower", "confidence", "epsilon_claimed", "canaries", "guesses", "correct",
                                     "membership_auc"})
        self.assertEqual((says["canaries"], says["guesses"], says["confidence"]), (40, 8, 0.95))
        self.assertLessEqual(says["epsilon_lower"], says["epsilon_claimed"])
        self.assertTrue(0 <= says["membership_auc"] <= 1)
        self.assertFalse((self.folder / "run").exists())
        # Without noise and with many steps on each unit the canaries are known by heart.
        loud = self.moesaic("privacy", "audit", self.recipe, "train.max_steps=150", "eval.every_steps=0", self.small_text(40),
                            "schedule={type: constant, warmup_steps: 0}", "optimizer.learning_rate=0.01",
                            "privacy={noise_multiplier: 0, allow_no_privacy: true, expected_batch_size: 60}",
                            "train.micro_batch_size=30", "--canaries", 60, "--json")
        self.assertIsNone(json.loads(loud.stdout)["epsilon_claimed"])
        self.assertGreater(json.loads(loud.stdout)["membership_auc"], 0.8)


if __name__ == "__main__":
    unittest.main()
