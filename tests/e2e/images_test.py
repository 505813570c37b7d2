"""A classifier of images from IDX files: trained on any layout, resumed, evaluated, exported; and what is refused."""
import json
import math
import unittest

from image_files import RECIPE, idx, write_images
from moesaic import RunTest


class Images(RunTest):
    recipe_text = RECIPE

    def setUp(self):
        super().setUp()
        write_images(self.folder, "train", 200, seed=1)  # an epoch is no multiple of a step
        self.pixels, self.labels = write_images(self.folder, "valid", 50, seed=2)

    def evaluate(self, model, *options):
        """What `eval --task images` says of the validation images."""
        job = self.moesaic("eval", "--task", "images", "--model", self.folder / model, "--precision", "float64", "--json",
                           "--data", self.folder / "valid.idx.gz", "--labels", self.folder / "valid-labels.idx", *options)
        return json.loads(job.stdout)

    def test_learns_alike_on_one_and_two_ranks(self):
        self.train(run="one")
        self.train(run="two", ranks=2)
        self.assertLess(self.weight_difference("one", "two"), 1e-10)
        one, two = self.rows("one"), self.rows("two")
        self.assertEqual(len(one), 40)
        for a, b in zip(one, two):
            self.assertAlmostEqual(a["loss"], b["loss"], delta=1e-10)
        self.assertEqual(one[-1]["tokens"], 40 * 24)
        self.assertEqual([row["step"] for row in one if "valid_accuracy" in row], [20, 40])
        self.assertAlmostEqual(one[-1]["valid_loss"], two[-1]["valid_loss"], delta=1e-10)
        self.assertEqual(one[-1]["valid_accuracy"], two[-1]["valid_accuracy"])
        self.assertGreater(one[-1]["valid_accuracy"], 0.9)

    def test_goes_on_to_the_bit(self):
        self.train(run="whole")
        self.train("train.max_steps=20", run="parts", ranks=2)
        self.train("--resume", "auto", run="parts", ranks=2)
        self.train(run="two", ranks=2)
        self.assertEqual(self.digests("parts"), self.digests("two"))
        self.assertLess(self.weight_difference("parts", "whole"), 1e-10)

    def test_is_evaluated_exported_and_trained_on(self):
        self.train()
        last = self.rows()[-1]
        found = self.evaluate("run")
        self.assertEqual((found["task"], found["images"]), ("images", 50))
        self.assertAlmostEqual(found["loss"], last["valid_loss"], delta=1e-12)
        self.assertAlmostEqual(found["accuracy"], last["valid_accuracy"], delta=1e-12)
        self.moesaic("export", self.folder / "run", self.folder / "exported")
        config = json.loads((self.folder / "exported/config.json").read_text())
        self.assertEqual((config["model_type"], config["hidden_sizes"]), ("mlp", [16, 12]))
        self.assertEqual(self.evaluate("exported"), found)
        still = ("optimizer.learning_rate=1e-30", "train.max_steps=1", f"model.from={self.folder}/exported")
        self.train(*still, run="on")
        self.assertAlmostEqual(self.rows("on")[-1]["valid_loss"], found["loss"], delta=1e-12)

    def test_limits_the_outputs_to_the_classes(self):
        still = ("optimizer.learning_rate=1e-30", "train.max_steps=1", "model.config.hidden_sizes=[]")
        source = f"path: {self.folder}/train.idx.gz, labels: {self.folder}/train-labels.idx, format: idx"
        for classes, extra, outputs in (("[1, 3]", "", 2), ("[0, 1, 3]", ", map: modulo 2", 2), ("[2, 0, 3]", ", map: index", 3)):
            data = f"data.train=[{{{source}, classes: {classes}{extra}}}]"
            self.train(*still, data, "continual={method: none, mask_classes: true}", "--overwrite")
            self.assertAlmostEqual(self.rows()[0]["loss"], math.log(outputs), delta=0.3)
        narrow = self.evaluate("run", "--classes", "1,3", "--mask-classes")
        self.assertEqual(narrow["images"], sum(label in (1, 3) for label in self.labels))
        self.assertLess(narrow["loss"], self.evaluate("run", "--classes", "1,3")["loss"] - 0.3)

    def test_orders_pixels_as_numpy_does(self):
        try:
            from numpy.random import RandomState
        except ImportError:
            self.skipTest("NumPy is not installed")
        order = RandomState(3).permutation(36).tolist()
        moved = [self.pixels[36 * image + pixel] for image in range(50) for pixel in order]
        (self.folder / "moved.idx").write_bytes(idx((50, 6, 6), moved))
        self.train("train.max_steps=5")
        plain = self.moesaic("eval", "--task", "images", "--model", self.folder / "run", "--precision", "float64", "--json",
                             "--data", self.folder / "moved.idx", "--labels", self.folder / "valid-labels.idx")
        self.assertEqual(json.loads(plain.stdout), self.evaluate("run", "--permutation", "3"))

    def test_learns_tasks_whose_outputs_are_their_own(self):
        """The matrix is of accuracies; a task has its two outputs alone, so that guessing finds half of them."""
        def source(part, classes):
            return f"{{path: {self.folder}/{part}.idx.gz, labels: {self.folder}/{part}-labels.idx, format: idx, classes: {classes}}}"
        tasks = ", ".join(f"{{name: '{classes}', max_steps: 30, train: [{source('train', classes)}], valid: [{source('valid', classes)}]}}"
                          for classes in ("[0, 1]", "[2, 3]"))
        text = self.recipe.read_text().replace("max_steps: 40, ", "")
        self.recipe.write_text("\n".join(line for line in text.splitlines() if not line.startswith(("data:", "  train:", "  valid:")))
                               + f"\ncontinual: {{method: none, mask_classes: true, tasks: [{tasks}]}}\n")
        for run, options, ranks in (("naive", [], 1), ("ewc", ["continual.method=ewc", "continual.lambda=10"], 1),
                                    ("two", ["continual.method=ewc", "continual.lambda=10"], 2)):
            self.train(*options, run=run, ranks=ranks)
            told = json.loads((self.folder / run / "tasks.json").read_text())
            self.assertEqual((told["metric"], told["tasks"]), ("accuracy", ["[0, 1]", "[2, 3]"]))
            before, first, second = told["matrix"]
            self.assertGreater(first[0], 0.9)
            self.assertGreater(second[1], 0.9)
            self.assertLess(max(before), 0.9)
        self.assertLess(self.weight_difference("ewc", "two"), 1e-9)
        self.assertGreater(self.weight_difference("ewc", "naive"), 1e-6)

    def test_plans_rows_of_features(self):
        plan = json.loads(self.moesaic("plan", self.recipe, "--json").stdout)
        weights = 36 * 16 + 16 * 12 + 12 * 4
        self.assertEqual(plan["parameters"], weights + 16 + 12 + 4)
        self.assertEqual(plan["tokens_per_step"], 24)
        self.assertEqual(plan["flops_per_token"], 6 * weights - 2 * 36 * 16)  # without the gradient of the images

    def test_refuses_what_does_not_fit(self):
        source = f"path: {self.folder}/train.idx.gz, labels: {self.folder}/train-labels.idx, format: idx"
        cut = (self.folder / "train.idx.gz").read_bytes()
        (self.folder / "cut.idx.gz").write_bytes(cut[:len(cut) // 2])
        (self.folder / "few.idx").write_bytes(idx((3,), [0, 1, 2]))
        (self.folder / "no.idx").write_bytes(b"no images are in here")
        refusals = (
                ("model.config.input_size=49", 4, "the model's input_size is 49"),
                ("model.config.num_labels=3", 4, "label 3 (map none) of image"),
                (f"data.train=[{{{source}, classes: [1, 7]}}]", 4, "no image has the class 7"),
                (f"data.train=[{{{source.replace('train-labels', 'few')}}}]", 4, "200 images, and"),
                (f"data.train=[{{{source.replace('train.idx.gz', 'no.idx')}}}]", 4, "is no IDX file"),
                (f"data.train=[{{{source.replace('train.idx.gz', 'cut.idx.gz')}}}]", 4, "is cut off"),
                (f"data.train=[{{{source.replace('train.idx.gz', 'none.gz')}}}]", 4, "there is no such file"),
                (f"data.train=[{{{source}, map: modulo 0}}]", 3, "modulo N (N from 1)"),
                (f"data.train=[{{{source}, map: index}}]", 3, "there are none"),
                (f"data.train=[{{path: {self.folder}/train.idx.gz, format: idx}}]", 3, "labels: is missing"),
                (f"data.train=[{{path: {self.folder}/text/valid.txt, format: text}}]", 3, "reads images: idx"))
        for number, (override, code, part) in enumerate(refusals):
            with self.subTest(override):
                refused = self.train(override, run=f"run{number}", expect=code)
                self.assertIn(part, refused.stdout + refused.stderr)
        doubts = self.moesaic("validate", self.recipe, "model.config.input_size=49")
        self.assertIn("the model's input_size is 49", doubts.stdout)

    def test_has_no_tokens_to_write_or_score(self):
        self.train("train.max_steps=1")
        for verb in (("generate", "--prompt", "a"), ("eval", "--data", self.folder / "text/valid.txt")):
            refused = self.moesaic(verb[0], "--model", self.folder / "run", *verb[1:], expect=2)
            self.assertIn("classifies images", refused.stderr)


if __name__ == "__main__":
    unittest.main()
