"""Old knowledge kept through the shipped programs: penalties from files of importances, adapters, distillation and replay;
the same on every layout, resumed to the bit, and what does not fit refused before the first step."""
import json
import random
import shutil
import unittest

from moesaic import RunTest

OTHER = "zwölf dry boxes jog quickly past lazy kings who fix vexed hymns".split()
STEPS = ("train.max_steps=6", "train.precision=float64", "schedule={type: constant, warmup_steps: 0}", "checkpoint.every_steps=3")


class ContinualTest(RunTest):
    def setUp(self):
        super().setUp()
        words = random.Random(2)
        (self.folder / "text/new.txt").write_text(" ".join(words.choice(OTHER) for _ in range(2000)))
        self.train("train.max_steps=40", "train.precision=float64", run="old")
        self.importances = self.folder / "old.h5"
        text = self.recipe.read_text()
        (self.folder / "old.yaml").write_text(text.replace("float32", "float64") + "continual: {fisher: {examples: 12}}\n")
        self.moesaic("importance", "--model", self.folder / "old", "--recipe", self.folder / "old.yaml", "--output",
                     self.importances)
        begin, end = text.index("  config:"), text.index("data:")
        text = f"{text[:begin]}  from: {self.folder}/old\n{text[end:]}"
        self.recipe.write_text(text.replace("text/train-*.txt", "text/new.txt"))

    def continual(self, **keys):
        return "continual=" + json.dumps({"importance": [str(self.importances)], **keys})

    def losses(self, run, name="loss"):
        return [row[name] for row in self.rows(run)]

    def worst(self, a, b):
        self.assertEqual(len(a), len(b))
        return max(abs(x - y) / max(1, abs(x)) for x, y in zip(a, b))

    def test_a_penalty_keeps_what_was_known(self):
        self.train(*STEPS, run="plain")
        self.train(*STEPS, self.continual(method="ewc", **{"lambda": 3e4}), run="ewc")
        row = self.rows("ewc")[-1]
        self.assertGreater(row["loss_ewc"], 0)
        self.assertEqual(self.rows("ewc")[0]["loss_ewc"], 0)  # at the anchor
        parts = row["loss"] + row["loss_ewc"] + 0.02 * 2 * row["loss_balance"] + 0.01 * 2 * row["loss_router_z"]
        self.assertAlmostEqual(row["loss_total"], parts, delta=0.05 * row["loss_total"])
        self.assertLess(row["valid_loss"], self.rows("plain")[-1]["valid_loss"])  # data.valid is the old text
        self.assertLess(self.weight_difference("old", "ewc"), self.weight_difference("old", "plain"))

    def test_lambda_zero_is_the_run_without_a_penalty(self):
        keep = ("optimizer.weight_decay=0",)
        self.train(*STEPS, *keep, run="plain")
        self.train(*STEPS, *keep, self.continual(method="ewc", **{"lambda": 0}), run="none")
        self.assertEqual(self.losses("plain"), self.losses("none"))

    def test_layouts_give_the_same_weights(self):
        for method in ("ewc", "l2"):
            for run, ranks, expert, more in (("one", 1, 1, ()), ("grid", 4, 2, ()),
                                             ("shared", 4, 2, ("parallel.shard_optimizer=true",))):
                self.train(*STEPS, *more, self.continual(method=method, **{"lambda": 100}), run=f"{method}-{run}", ranks=ranks,
                           expert=expert)
                name = f"loss_{method}"
                self.assertLess(self.worst(self.losses(f"{method}-one", name), self.losses(f"{method}-{run}", name)), 1e-10)
                self.assertLess(self.weight_difference(f"{method}-one", f"{method}-{run}"), 1e-10)

    def test_goes_on_to_the_bit(self):
        for method in ("ewc", "lwf"):
            block = self.continual(method=method, **{"lambda": 10})
            self.train(*STEPS, block, run=f"{method}-whole")
            self.train(*STEPS, block, "train.max_steps=3", run=f"{method}-parts")
            self.train(*STEPS, block, "--resume", "auto", run=f"{method}-parts")
            self.assertEqual(self.digests(f"{method}-whole"), self.digests(f"{method}-parts"))

    def test_adapters_are_pulled_by_the_change_of_the_weight(self):
        lora = "adapt={lora: {r: 4}}"
        self.train(*STEPS, lora, run="plain")
        self.train(*STEPS, lora, self.continual(method="ewc", **{"lambda": 1e5}), run="ewc")
        self.train(*STEPS, lora, self.continual(method="ewc", **{"lambda": 1e5}), run="grid", ranks=4, expert=2)
        self.assertGreater(self.losses("ewc", "loss_ewc")[-1], 0)
        self.assertLess(self.worst(self.losses("ewc", "loss_ewc"), self.losses("grid", "loss_ewc")), 1e-10)
        self.assertLess(self.rows("ewc")[-1]["valid_loss"], self.rows("plain")[-1]["valid_loss"])

    def test_every_adapter_on_every_base_begins_where_it_is_pulled_to(self):
        for method, lora in (("ewc", "base: nf4"), ("ewc", "init_lora_weights: pissa"), ("ewc", "base: int8, init_lora_weights: pissa"),
                             ("l2", "init_lora_weights: pissa"), ("lwf", "base: nf4"), ("lwf", "use_dora: true")):
            arguments = (*STEPS, "train.max_steps=2", f"adapt={{lora: {{r: 4, {lora}}}}}", self.continual(method=method, **{"lambda": 100}))
            self.train(*arguments, "--overwrite", run="one")
            losses = self.losses("one", f"loss_{method}")
            self.assertLess(abs(losses[0]), 1e-6, (method, lora))
            self.assertGreater(losses[1], 0, (method, lora))
            if "nf4" in lora:
                self.train(*arguments, "--overwrite", run="split", ranks=2, expert=2)
                self.assertLess(self.worst(losses, self.losses("split", f"loss_{method}")), 1e-9, (method, lora))

    def test_a_run_that_goes_on_from_an_adapter_starts_at_the_model_with_it(self):
        self.train(*STEPS, "train.max_steps=2", "adapt={lora: {r: 4}}", run="first")
        self.moesaic("importance", "--model", self.folder / "old", "--adapter", self.folder / "first", "--recipe",
                     self.folder / "old.yaml", "--output", self.folder / "first.h5")
        arguments = (*STEPS, "train.max_steps=2", f"adapt={{from: {self.folder}/first}}")
        self.train(*arguments, self.continual(method="ewc", **{"lambda": 100, "importance": [str(self.folder / "first.h5")]}))
        losses = self.losses("run", "loss_ewc")
        self.assertLess(losses[0], 1e-9)
        self.assertGreater(losses[1], 0)
        wrong = self.train(*arguments, self.continual(method="ewc"), run="wrong", expect=3).stderr
        self.assertIn("are of another model", wrong)

    def test_experts_that_are_not_chosen_stay_as_they_are(self):
        self.train(*STEPS, "adapt={esft: {share: 0.3, sample_tokens: 200}}", self.continual(method="ewc", **{"lambda": 10}))
        manifest = json.loads((self.folder / "run/checkpoints/latest/manifest.json").read_text())
        before, after = self.digests("old"), manifest["datasets"]
        for layer, chosen in enumerate(manifest["training"]["esft"]):
            name = f"model.layers.{layer}.mlp.experts.up_proj.weight"
            moved = [expert for expert, (a, b) in enumerate(zip(before[name], after[name])) if a != b]
            self.assertEqual(moved, chosen)

    def test_distillation_begins_at_zero_and_is_the_same_on_every_layout(self):
        block = 'continual={"method": "lwf", "lambda": 2}'
        self.train(*STEPS, block, run="one")
        self.train(*STEPS, block, run="grid", ranks=4, expert=2)
        losses = self.losses("one", "loss_lwf")
        self.assertLess(losses[0], 1e-12)
        self.assertGreater(losses[-1], 1e-6)
        self.assertLess(self.worst(losses, self.losses("grid", "loss_lwf")), 1e-10)

    def test_replay_is_the_same_on_every_layout_and_keeps_the_old(self):
        block = "continual=" + json.dumps({"method": "none", "replay": {
            "share": 0.25, "sources": [{"path": str(self.folder / "text/train-a.txt")}]}})
        self.train(*STEPS, run="plain")
        self.train(*STEPS, block, run="one")
        self.train(*STEPS, block, run="two", ranks=2, expert=2)
        self.assertLess(self.worst(self.losses("one"), self.losses("two")), 1e-10)
        self.assertLess(self.rows("one")[-1]["valid_loss"], self.rows("plain")[-1]["valid_loss"])
        overlapping = block.replace("train-a", "valid")
        self.assertIn("validation data", self.train(*STEPS, overlapping, run="wrong", expect=3).stderr)

    def test_tasks_are_kept_one_after_the_other(self):
        for method in ("ewc", "online_ewc", "l2", "si", "mas", "lwf"):
            self.train(*self.two_tasks(method=method, **{"lambda": 10}), run=method)
            losses = self.losses(method, f"loss_{method}")
            self.assertEqual(len(losses), 8)
            self.assertGreater(losses[-1], 0, method)

    def two_tasks(self, **keys):
        old, new = (str(self.folder / f"text/{name}.txt") for name in ("train-a", "new"))
        tasks = [{"name": name, "train": [{"path": path}], "valid": [{"path": path}], "max_steps": 4}
                 for name, path in (("old", old), ("new", new))]
        return (*STEPS[1:], "data.train=null", "data.valid=null", "train.max_steps=null",
                "continual=" + json.dumps({"tasks": tasks, "fisher": {"examples": 8}, **keys}))

    def test_tasks_with_experts_that_move_are_those_with_experts_in_order(self):
        lora = ("adapt={lora: {r: 4}}",)
        for method, more in (("lwf", ()), ("lwf", ("train.precision=bfloat16",)), ("ewc", lora), ("si", lora)):
            arguments = (*self.two_tasks(method=method, **{"lambda": 10}), "checkpoint.every_steps=1", *more)
            for placement in ("in_order", "balanced"):
                self.train(*arguments, f"moe.placement={placement}", "--overwrite", run=placement, ranks=2, expert=2)
            moved = json.loads((self.folder / "balanced/checkpoints/latest/manifest.json").read_text())["training"]["placement"]
            self.assertNotEqual(moved, [sorted(slots) for slots in moved])
            losses = self.losses("in_order", f"loss_{method}")
            self.assertGreater(losses[-1], 0)
            close = 0.02 if "train.precision=bfloat16" in more else 1e-9
            self.assertLess(self.worst(losses, self.losses("balanced", f"loss_{method}")), close, (method, more))

    def test_the_path_of_adapters_is_the_same_on_every_layout_and_goes_on_to_the_bit(self):
        arguments = (*self.two_tasks(method="si", **{"lambda": 10}), "adapt={lora: {r: 4, modules_to_save: [lm_head]}}",
                     "checkpoint.every_steps=2", "checkpoint.keep=9")
        self.train(*arguments, run="one")
        losses = self.losses("one", "loss_si")
        self.assertEqual(losses[:4], [0] * 4)
        self.assertGreater(losses[-1], 0)
        for run, more in (("grid", ()), ("shared", ("parallel.shard_optimizer=true",))):
            self.train(*arguments, *more, run=run, ranks=4, expert=2)
            self.assertLess(self.worst(losses, self.losses(run, "loss_si")), 1e-9)
            self.assertLess(self.weight_difference("one", run), 1e-9)
        self.train(*arguments, run="parts")
        for step in (4, 6, 8):  # it goes on in the middle of the first task
            shutil.rmtree(self.folder / f"parts/checkpoints/step-{step:08d}")
        self.train(*arguments, "--resume", "auto", run="parts")
        self.assertEqual(self.digests("parts"), self.digests("one"))

    def test_a_lambda_that_is_too_large_is_named(self):
        result = self.train(*STEPS, "optimizer={type: sgd, learning_rate: 0.1}", "train.clip_norm=0", "train.max_steps=60",
                            self.continual(method="ewc", **{"lambda": 1e25}), run="far", expect=3)
        self.assertIn("is too large: times the largest importance", result.stderr)

    def test_what_does_not_fit_is_refused(self):
        for block, word in (({"lambda": -1}, "lambda"), ({"importance": [str(self.folder / "none.h5")]}, "there is no"),
                            ({"replay": {"share": 0.5}}, "needs continual.replay.sources"),
                            ({"replay": {"share": 1}}, "share"), ({"method": "ewk"}, "expected one of")):
            result = self.moesaic("validate", self.recipe, self.continual(**block), expect=3)
            self.assertIn(word, result.stdout + result.stderr, block)
        result = self.moesaic("validate", self.recipe, self.continual(temperature=3))
        self.assertIn("has no effect", result.stdout + result.stderr)

        self.assertIn("nothing to pull to", self.train(*STEPS, "continual={method: ewc}", expect=3, run="wrong").stderr)
        self.train("train.max_steps=2", run="another")
        result = self.train(*STEPS, f"model.from={self.folder}/another", self.continual(), expect=3, run="wrong")
        self.assertIn("model", result.stderr)
        damaged = bytearray(self.importances.read_bytes())
        for i in range(2048, len(damaged), 512):
            damaged[i] ^= 0xFF
        (self.folder / "damaged.h5").write_bytes(damaged)
        self.train(*STEPS, self.continual(importance=[str(self.folder / "damaged.h5")]), expect=7, run="damaged")


if __name__ == "__main__":
    unittest.main()
