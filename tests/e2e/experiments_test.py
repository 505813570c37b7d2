#!/usr/bin/env python3
"""What the scripts of scripts/experiments share: what is missing is named, finished runs are kept, intervals. The program that
trains is a stand-in."""
import contextlib
import importlib.util
import io
import json
import math
import pathlib
import sys
import tempfile
import unittest
from unittest import mock

SCRIPTS = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS / "experiments"))
import dense_vs_moe  # noqa: E402
import experiment  # noqa: E402
import finetune  # noqa: E402
import privacy  # noqa: E402

TRAINS = """#!/usr/bin/env python3
import json, pathlib, sys
verb, calls = sys.argv[1], pathlib.Path(sys.argv[0]).parent / "calls"
with calls.open("a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if verb == "eval":
    tuned = not sys.argv[3].endswith("gguf")
    print(json.dumps({"loss": 2.0 if tuned else 3.0, "metrics": {"accuracy": {"value": 0.75 if tuned else 0.25, "low": 0.2, "high": 0.8}}}))
    sys.exit()
if verb == "export":
    pathlib.Path(sys.argv[3]).mkdir()
    pathlib.Path(sys.argv[3], "weights").write_bytes(b"x" * 3000000)
    sys.exit()
settings = dict(a.split("=", 1) for a in sys.argv[2:] if "=" in a)
run = pathlib.Path(settings["run_dir"])
(run / "checkpoints/latest").mkdir(parents=True, exist_ok=True)
with open(run / "calls", "a") as calls:
    calls.write(" ".join(sys.argv[2:]) + "\\n")
if settings.get("fails") and "--resume" not in sys.argv:
    sys.exit("error: the machine went away")
(run / "metrics.jsonl").write_text(json.dumps({"step": 1, "valid_loss": 2.0, "loss": 2.5, "step_s": 4.0, "memory_peak_mb": 1500.0, "epsilon": 2.99}) + "\\n")
"""


class StandIn(unittest.TestCase):
    """A root of its own with a program that only says what it was asked."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = pathlib.Path(temporary.name)
        self.enterContext(mock.patch.object(experiment, "ROOT", self.root))
        self.enterContext(mock.patch.object(experiment, "RESULTS", self.root))
        self.enterContext(mock.patch.dict("os.environ", MOESAIC_BIN=str(self.root / "bin")))
        self.output = self.enterContext(contextlib.redirect_stdout(io.StringIO()))

    def make_program(self):
        program = self.root / "bin/moesaic"
        program.parent.mkdir()
        program.write_text(TRAINS)
        program.chmod(0o755)


class ExperimentTest(StandIn):
    def make_corpus(self, name="prose"):
        corpus = self.root / experiment.CORPORA[name]
        corpus.mkdir(parents=True)
        (corpus / "valid.jsonl").write_text('{"text": "to be"}\n')

    def experiment(self, *arguments, **options):
        (self.root / "recipe.yaml").write_text("name: some\n")
        with mock.patch.object(sys, "argv", ["experiment", "--jobs", "1", *arguments]):
            return experiment.Experiment("some", "recipe.yaml", "", **options)

    def test_what_is_missing_is_named_with_what_makes_it(self):
        with self.assertRaisesRegex(SystemExit, "moesaic is not there: scripts/build.sh --programs"):
            self.experiment()
        self.make_program()
        with self.assertRaisesRegex(SystemExit, "postgresql/valid.jsonl is not there: scripts/data/postgresql.sh"):
            self.experiment()
        self.make_corpus()
        self.experiment()  # which reads no other corpus
        with self.assertRaisesRegex(SystemExit, "python_code/valid.jsonl is not there: python3 scripts/data/python_code.py"):
            self.experiment(texts=("prose", "code"))

    def test_finished_runs_with_the_same_settings_are_kept(self):
        self.make_program(), self.make_corpus()
        calls = self.root / "runs/experiments/some/a-1/calls"
        self.experiment("--seeds", "1").run_all({"a": ["x=1"]})
        self.assertEqual(len(self.experiment("--seeds", "2").run_all({"a": ["x=1"]})["a"]), 2)
        self.assertEqual(len(calls.read_text().splitlines()), 1)
        self.experiment("--seeds", "1", "--steps", "7").run_all({"a": ["x=1"]})
        self.assertEqual(len(calls.read_text().splitlines()), 1)  # of a new folder
        self.assertIn("train.max_steps=7", calls.read_text())

    def test_an_interrupted_run_goes_on_and_says_where_its_log_is(self):
        self.make_program(), self.make_corpus()
        with self.assertRaisesRegex(SystemExit, r"(?s)a-1: the run ended with 1 \(log: .*a-1.log\).*went away"):
            self.experiment("--seeds", "1").run_all({"a": ["fails=yes"]})
        self.experiment("--seeds", "1").run_all({"a": ["fails=yes"]})
        calls = (self.root / "runs/experiments/some/a-1/calls").read_text().splitlines()
        self.assertEqual(["--resume auto" in call for call in calls], [False, True])

    def test_a_picture_is_left_out_without_matplotlib(self):
        with mock.patch.dict(sys.modules, matplotlib=None):
            experiment.picture("some", [])
        self.assertIn("scripts/setup.sh --pictures", self.output.getvalue())
        self.assertFalse((self.root / "some.svg").exists())

    def test_a_curve_too_short_to_leave_rows_out_has_a_mean(self):
        folder = self.root / "run"
        folder.mkdir()
        (folder / "metrics.jsonl").write_text("".join(json.dumps({"step": i, "x": i}) + "\n" for i in (1, 2)))
        self.assertEqual(experiment.Run(folder).mean("x"), 1.5)
        self.assertTrue(math.isnan(experiment.Run(folder).mean("y")))


class FinetuneTest(StandIn):
    """The whole way with a stand-in for the program."""

    def setUp(self):
        super().setUp()
        self.make_program()
        for name, value in {"ROOT": self.root, "RESULTS": self.root, "DENSE": self.root / "base.gguf"}.items():
            self.enterContext(mock.patch.object(finetune, name, value))
        self.enterContext(mock.patch.dict(finetune.BASES, {"dense": self.root / "base.gguf"}))
        self.enterContext(mock.patch.dict(sys.modules, matplotlib=None))
        (self.root / "recipes/finetune").mkdir(parents=True)
        (self.root / "recipes/finetune/legal.yaml").write_text("name: legal\n")
        (self.root / "finetune.md").write_text("# Page\n<!-- figures -->\n<!-- end of figures -->\nAfter.\n")

    def finetune(self, *arguments):
        with mock.patch.object(sys, "argv", ["finetune", "--jobs", "1", *arguments]):
            finetune.main()

    def calls(self, verb):
        return [line for line in (self.root / "bin/calls").read_text().splitlines() if line.startswith(verb)]

    def test_each_model_is_trained_and_measured_once_and_the_page_written_from_what_is_there(self):
        part = ("--domains", "legal", "--bases", "dense")
        with self.assertRaisesRegex(SystemExit, "legal/info.json is not there: scripts/data/legal.py"):
            self.finetune(*part)
        for name in ("legal", "general"):
            (self.root / f"data/cache/{name}").mkdir(parents=True)
            (self.root / f"data/cache/{name}/info.json").write_text("{}")
        (self.root / "base.gguf").write_text("GGUF")
        self.finetune(*part, "--seeds", "1", "--methods", "lora")
        self.assertEqual((len(self.calls("train")), len(self.calls("eval")), len(self.calls("export"))), (1, 6, 1))
        self.assertIn("| legal | dense | lora | 1 | 3.000 | 2.000 | 3.000 | 2.000 | 25 [20, 80] | 75 [20, 80] | 1.5 | 4.0 | 3 |",
                      (self.root / "finetune.md").read_text())
        self.finetune(*part, "--seeds", "2")
        self.assertEqual((len(self.calls("train")), len(self.calls("eval")), len(self.calls("export"))), (4, 15, 4))
        self.assertFalse(list(self.root.rglob("checkpoints")))
        self.assertIn("| legal | dense | 2 | +0.0 [+0.0, +0.0] | yes |", (self.root / "finetune.md").read_text())
        (self.root / "finetune.md").write_text("<!-- figures --><!-- end of figures -->")
        self.finetune("--page")
        self.assertIn("| legal | dense | full | 2 |", (self.root / "finetune.md").read_text())
        self.assertEqual([("adapt.lora=null" in call, "seed=2" in call) for call in self.calls("train")],
                         [(False, False), (True, False), (False, True), (True, True)])


class PrivacyTest(StandIn):
    def setUp(self):
        super().setUp()
        self.make_program()
        for module, name, value in ((finetune, "DENSE", self.root / "base.gguf"), (privacy, "ROOT", self.root), (privacy, "RESULTS", self.root),
                                    (privacy, "QUESTIONS", self.root / "medical")):
            self.enterContext(mock.patch.object(module, name, value))
        self.enterContext(mock.patch.dict(finetune.BASES, {"dense": self.root / "base.gguf"}))
        self.enterContext(mock.patch.dict(sys.modules, matplotlib=None))
        (self.root / "recipes/privacy").mkdir(parents=True)
        (self.root / "recipes/privacy/medical.yaml").write_text("name: medical\n")
        (self.root / "privacy.md").write_text("# Page\n<!-- figures -->\n<!-- end of figures -->\n")

    def privacy(self, *arguments):
        with mock.patch.object(sys, "argv", ["privacy", "--jobs", "1", *arguments]):
            privacy.main()

    def test_what_is_lost_is_of_the_seeds_that_both_have(self):
        part = ("--bases", "dense", "--seeds", "1", "--epsilons")
        with self.assertRaisesRegex(SystemExit, "medical/info.json is not there: scripts/data/medical.py"):
            self.privacy(*part, "3")
        (self.root / "medical").mkdir()
        (self.root / "medical/info.json").write_text("{}")
        (self.root / "base.gguf").write_text("GGUF")
        self.privacy(*part, "3")
        self.assertIn("| dense | 3 | 2.990 | 1 | 25.0 | 75.0 | [20.0, 80.0] |  |  | 4.0 | 1.5 |", (self.root / "privacy.md").read_text())
        self.privacy(*part, "inf", "3")
        text = (self.root / "privacy.md").read_text()
        self.assertIn("| dense | inf | inf | 1 | 25.0 | 75.0 | [20.0, 80.0] |  |  | 4.0 | 1.5 |", text)
        self.assertIn("| 0.0 (one seed) | <= 6: yes |", text)
        calls = [line for line in (self.root / "bin/calls").read_text().splitlines() if line.startswith("train")]
        self.assertEqual([("privacy.target_epsilon=3" in call, "allow_no_privacy" in call) for call in calls], [(True, False), (False, True)])


class RatioTest(unittest.TestCase):
    def losses(self, moe, *dense):
        return dict(zip(dense_vs_moe.VARIANTS, (moe, *dense)))

    def test_the_ratio_is_read_between_the_dense_models(self):
        ratio = dense_vs_moe.parameter_ratio
        self.assertAlmostEqual(ratio(self.losses(1.5, 1.6, 1.5, 1.4, 1.3)), 2)
        self.assertAlmostEqual(ratio(self.losses(1.45, 1.6, 1.5, 1.4, 1.3)), 2 * math.sqrt(2))
        self.assertEqual(ratio(self.losses(1.7, 1.6, 1.5, 1.4, 1.3)), 1)
        self.assertEqual(ratio(self.losses(1.2, 1.6, 1.5, 1.4, 1.3)), math.inf)

    def test_the_interval_holds_the_seeds_apart_and_comes_back(self):
        same = {"a": [1.0] * 8, "b": [2.0] * 8}
        difference = lambda means: means["b"] - means["a"]  # noqa: E731
        self.assertEqual(experiment.bootstrap(same, difference, samples=100), (1.0, 1.0))
        # What a seed does to both models cancels, since it is drawn for both.
        together = {"a": [float(i) for i in range(8)], "b": [float(i) + 1 for i in range(8)]}
        low, high = experiment.bootstrap(together, difference, samples=100)
        self.assertAlmostEqual(low, 1), self.assertAlmostEqual(high, 1)
        apart = {"a": [0.0] * 8, "b": [0.0] * 4 + [2.0] * 4}
        low, high = experiment.bootstrap(apart, difference, samples=1000)
        self.assertTrue(0.2 < low < 0.6 and 1.4 < high < 1.8, (low, high))
        self.assertEqual((low, high), experiment.bootstrap(apart, difference, samples=1000))

    def test_the_sentence_has_the_interval_from_two_seeds_on(self):
        one = self.losses([1.5], [1.6], [1.5], [1.4], [1.3])
        self.assertTrue(dense_vs_moe.sentence(one).endswith("with experts."))
        many = {name: values * 8 for name, values in one.items()}
        self.assertIn("95 % of draws of the seeds: 2.0 to 2.0", dense_vs_moe.sentence(many))
        none = self.losses([1.2, 1.2], [1.6, 1.6], [1.5, 1.5], [1.4, 1.4], [1.3, 1.3])
        self.assertIn("more than 8.0 times", dense_vs_moe.sentence(none))


class PagesTest(unittest.TestCase):
    def test_every_rule_of_check_docs_is_for_a_command_and_every_command_in_a_block(self):
        spec = importlib.util.spec_from_file_location("check_docs", SCRIPTS / "check_docs.py")
        check_docs = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(check_docs)
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(check_docs, "ROOT", pathlib.Path(folder)):
            page = pathlib.Path(folder, "page.md")
            page.write_text("```sh\nmoesaic plan a \\\n  b   # why\nexport A=1\n```\n```console\n$ moesaic x\nresult\n```\n"
                            "    scripts/a.sh\n```text\nmoesaic RECIPE\n```\n```\nmoesaic y\n```\n")
            commands, strays = check_docs.commands_of(page)
        self.assertEqual([c.text for c in commands], ["moesaic plan a b", "export A=1", "moesaic x"])
        self.assertEqual([c.changes_shell for c in commands], [False, True, False])
        self.assertEqual(len(strays), 2)
        with mock.patch.object(sys, "argv", ["check_docs", "--list"]), contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(check_docs.main(), 0)


if __name__ == "__main__":
    unittest.main()
