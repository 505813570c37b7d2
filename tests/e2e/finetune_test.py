"""Adapters on attention and routed experts through the shipped programs: the same on every layout, checkpoints that hold
what is trained, resumed to the bit, and used by every verb."""
import json
import resource
import unittest

from moesaic import RunTest

LORA = """
adapt:
  lora: {r: 4, lora_alpha: 8, lora_dropout: 0.1, router: lora, rank_pattern: {gate: 2}, lora_plus_ratio: 4}
"""
STEPS = ("train.max_steps=6", "train.precision=float64", "schedule={type: constant, warmup_steps: 0}", "checkpoint.every_steps=3")


class FinetuneTest(RunTest):
    def setUp(self):
        super().setUp()
        self.train("train.max_steps=3", "train.precision=float64", run="base")
        self.moesaic("export", self.folder / "base", self.folder / "hub")
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:begin]}  from: {self.folder}/hub\n{text[end:]}{LORA}")
        lines = [json.dumps({"ids": [(7 * i + j * j) % 257 for j in range(30)]}) for i in range(5)]
        (self.folder / "lines.jsonl").write_text("\n".join(lines))

    def score(self, model, *arguments):
        result = self.moesaic("score", "--model", self.folder / model, "--input", self.folder / "lines.jsonl", "--precision",
                              "float64", *arguments)
        return [x for line in result.stdout.splitlines() for x in json.loads(line)["logprobs"]]

    def worst(self, a, b):
        self.assertEqual(len(a), len(b))
        return max(abs(x - y) for x, y in zip(a, b))

    def tensor(self, folder, name):
        """The bytes of a tensor in the safetensors files of a folder."""
        for path in sorted((self.folder / folder).glob("*.safetensors")):
            data = path.read_bytes()
            size = int.from_bytes(data[:8], "little")
            entry = json.loads(data[8:8 + size]).get(name)
            if entry:
                begin, end = entry["data_offsets"]
                return entry["dtype"], data[8 + size + begin:8 + size + end]
        self.fail(f"{name} is not in {folder}")

    def manifest(self, run):
        return json.loads((self.folder / run / "checkpoints/latest/manifest.json").read_text())

    def test_layouts_give_the_same_adapter(self):
        losses, scores = [], []
        for run, ranks, expert in (("one", 1, 1), ("split", 2, 2), ("grid", 4, 2)):
            log = self.train(*STEPS, run=run, ranks=ranks, expert=expert).stderr
            self.assertIn("trained", log)
            losses.append([row["loss"] for row in self.rows(run)])
            scores.append(self.score(run))
            self.assertLess(self.weight_difference("one", run), 1e-10, "the factors themselves")
            self.assertLess(self.worst(losses[0], losses[-1]), 1e-10, run)
            self.assertLess(self.worst(scores[0], scores[-1]), 1e-9, run)
        self.assertGreater(self.worst(scores[0], self.score("hub")), 1e-4)

    def test_a_checkpoint_is_what_is_trained_and_every_verb_takes_it(self):
        self.train(*STEPS)
        manifest = self.manifest("run")
        self.assertEqual(manifest["base"]["path"], str(self.folder / "hub"))
        names = [name for name in manifest["datasets"] if "/" not in name]
        self.assertTrue(all("lora_" in name for name in names), names)
        self.assertIn("model.layers.0.mlp.experts.up_proj.lora_B.weight", names)
        plan = json.loads(self.moesaic("plan", self.recipe, "--json").stdout)
        self.assertEqual(plan["trainable"], manifest["parameters"])
        self.assertEqual(sum(group["trainable"] for group in plan["groups"]), plan["trainable"])
        self.moesaic("export", self.folder / "run", self.folder / "merged")
        scores = self.score("run")
        self.assertLess(self.worst(scores, self.score("merged")), 1e-12)
        self.assertLess(self.worst(scores, self.score("run", "-n", 2, "--expert", 2)), 1e-10)
        for name, source, arguments in (("adapter", "run", ("--adapter",)), ("again", "imported", ("--adapter",))):
            if name == "again":
                self.moesaic("import", self.folder / "adapter", self.folder / "imported", "--base", self.folder / "hub")
            self.moesaic("export", self.folder / source, self.folder / name, *arguments)
        for file in ("adapter_model.safetensors", "adapter_config.json"):
            self.assertEqual((self.folder / "adapter" / file).read_bytes(), (self.folder / "again" / file).read_bytes(), file)
        self.assertLess(self.worst(scores, self.score("imported")), 1e-12)
        self.check_a_full_disk()
        self.moesaic("generate", "--model", self.folder / "run", "--prompt", "the rank", "--max-new-tokens", 4)

        (self.folder / "hub").rename(self.folder / "moved")
        arguments = ("score", "--model", self.folder / "run", "--input", self.folder / "lines.jsonl")
        self.assertIn("--base", self.moesaic(*arguments, expect=4).stderr)
        self.assertLess(self.worst(scores, self.score("run", "--base", self.folder / "moved")), 1e-12)
        wrong = self.moesaic(*arguments, "--base", self.folder / "merged", expect=4).stderr
        self.assertIn("is not the base of", wrong)
        self.train(*STEPS, "train.max_steps=7", "--resume", "auto", "--base", self.folder / "moved")

    def check_a_full_disk(self):
        """An adapter that cannot be written whole leaves what was there, and nothing of itself."""
        there = lambda: {path: path.read_bytes() for path in sorted(self.folder.glob("*adapter*/*"))}  # noqa: E731
        before, folders = there(), sorted(self.folder.iterdir())
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # noqa: E731
        for arguments in (("export", self.folder / "run", self.folder / "adapter", "--adapter", "--overwrite"),
                          ("export", self.folder / "run", self.folder / "other-adapter", "--adapter"),
                          ("import", self.folder / "adapter", self.folder / "other-import", "--base", self.folder / "hub")):
            error = self.moesaic(*arguments, expect=7, preexec_fn=limit, restore_signals=False).stderr
            self.assertRegex(error, "cannot (write|close) .*: File too large")
            self.assertEqual((there(), sorted(self.folder.iterdir())), (before, folders))

    def test_goes_on_to_the_bit(self):
        self.train(*STEPS, run="whole")
        self.train(*STEPS, "train.max_steps=3", run="parts")
        self.train(*STEPS, "--resume", "auto", run="parts")
        self.assertEqual(self.digests("whole"), self.digests("parts"))

    def test_magnitudes(self):
        self.train(*STEPS, "adapt.lora.use_dora=true")
        self.train(*STEPS, "train.max_steps=3", "adapt.lora.use_dora=true", run="parts", ranks=2, expert=2)
        self.train(*STEPS, "adapt.lora.use_dora=true", "--resume", "auto", run="parts", ranks=2, expert=2)
        self.moesaic("export", self.folder / "run", self.folder / "merged")
        scores = self.score("run")
        self.assertGreater(self.worst(scores, self.score("hub")), 1e-4)
        self.assertLess(self.worst(scores, self.score("merged")), 1e-12)
        self.assertLess(self.worst(scores, self.score("parts")), 1e-9)

    def test_principal_values_go_on_to_the_bit_and_are_written_against_the_base(self):
        pissa = "adapt.lora.init_lora_weights=pissa"
        self.train(*STEPS, pissa, run="whole")
        self.train(*STEPS, pissa, "train.max_steps=3", run="parts")
        self.train(*STEPS, pissa, "--resume", "auto", run="parts")
        self.assertEqual(self.digests("whole"), self.digests("parts"))
        self.train(*STEPS, pissa, run="split", ranks=2, expert=2)
        self.moesaic("export", self.folder / "whole", self.folder / "adapter", "--adapter")
        scores = self.score("whole")
        self.assertGreater(self.worst(scores, self.score("hub")), 1e-4)
        self.assertLess(self.worst(scores, self.score("split")), 1e-9)
        self.assertLess(self.worst(scores, self.score("hub", "--adapter", self.folder / "adapter")), 1e-9)

    def test_goes_on_from_an_adapter(self):
        still = ("train.max_steps=1", "train.precision=float64", "optimizer.learning_rate=1e-30")
        lora = self.recipe.read_text()
        for run, override in (("run", "seed=5"), ("principal", "adapt.lora.init_lora_weights=pissa")):
            self.recipe.write_text(lora)
            self.train(*STEPS, override, run=run)
            self.moesaic("export", self.folder / run, self.folder / f"{run}-adapter", "--adapter")
            scores = self.score(run)
            self.recipe.write_text(lora[:lora.index("adapt:")])
            for start in (run, f"{run}-adapter"):
                self.train(*still, f"adapt={{from: {self.folder / start}}}", run=f"from-{start}", ranks=2, expert=2)
                self.assertLess(self.worst(scores, self.score(f"from-{start}")), 1e-9, start)
        start = f"adapt={{from: {self.folder}/run-adapter, lora: {{r: 3}}}}"
        self.assertIn("is 3, and that of the adapter in", self.moesaic("validate", self.recipe, start, expect=3).stdout)
        start = f"adapt={{from: {self.folder}/text}}"
        self.assertIn("there is no adapter at", self.moesaic("validate", self.recipe, start, expect=3).stdout)
        self.moesaic("export", self.folder / "run", self.folder / "merged")
        wrong = self.train(*still, f"adapt={{from: {self.folder}/run}}", f"model.from={self.folder}/merged", run="wrong", expect=4)
        self.assertIn("belong to other weights", wrong.stderr)

    def test_a_quantised_base_is_the_same_on_every_layout_and_resumed_to_the_bit(self):
        losses = {}
        for base in ("master", "bfloat16", "int8", "nf4"):
            self.train(*STEPS, f"adapt.lora.base={base}", run=base)
            losses[base] = [row["loss"] for row in self.rows(base)]
            if base == "master":
                continue
            self.assertGreater(self.worst(losses["master"], losses[base]), 1e-7, base)
            self.assertLess(self.worst(losses["master"], losses[base]), 0.2, base)
        self.train(*STEPS, "adapt.lora.base=nf4", run="grid", ranks=4, expert=2)
        self.assertLess(self.worst(losses["nf4"], [row["loss"] for row in self.rows("grid")]), 1e-10)
        self.train(*STEPS, "adapt.lora.base=nf4", "train.max_steps=3", run="parts")
        self.train(*STEPS, "adapt.lora.base=nf4", "--resume", "auto", run="parts")
        self.assertEqual(self.digests("nf4"), self.digests("parts"))
        # What no adapter changes is the original file's, not what was made of its codes.
        self.train(*STEPS, "adapt.lora.base=nf4", "adapt.lora.target_modules=[q_proj]", run="query")
        self.moesaic("export", self.folder / "query", self.folder / "merged")
        self.assertEqual(self.tensor("merged", "model.layers.0.self_attn.k_proj.weight"),
                         self.tensor("hub", "model.layers.0.self_attn.k_proj.weight"))

    def test_a_quantised_base_under_magnitudes_and_beside_principal_values(self):
        for way in ("adapt.lora.use_dora=true", "adapt.lora.init_lora_weights=pissa"):
            losses = []
            for run, layout in (("one", {}), ("grid", {"ranks": 2, "expert": 2})):
                self.train(*STEPS, "--overwrite", "adapt.lora.base=nf4", way, run=run, **layout)
                losses.append([row["loss"] for row in self.rows(run)])
            self.assertLess(self.worst(*losses), 1e-10, way)
            self.train(*STEPS, "--overwrite", "adapt.lora.base=nf4", way, "train.max_steps=3", run="parts")
            self.train(*STEPS, "adapt.lora.base=nf4", way, "--resume", "auto", run="parts")
            self.assertEqual(self.digests("one"), self.digests("parts"), way)

    def test_experts_with_a_quantised_base_move(self):
        losses = []
        for placement in ("in_order", "balanced"):
            self.train(*STEPS, "adapt.lora.base=nf4", f"moe.placement={placement}", run=placement, ranks=2, expert=2)
            losses.append([row["loss"] for row in self.rows(placement)])
        self.assertLess(self.worst(*losses), 1e-10)

    def test_part_of_a_model_is_trained_in_full(self):
        text = self.recipe.read_text()
        self.recipe.write_text(text[:text.index("adapt:")] + "adapt: {train: ['lm_head.weight', '.*[.]k_proj[.]weight']}\n")
        self.train(*STEPS)
        changed = {name for name, digests in self.digests("run").items() if digests != self.digests("base").get(name)}
        weights = {name for name in changed if "/" not in name}
        self.assertEqual(weights, {"lm_head.weight", "model.layers.0.self_attn.k_proj.weight",
                                   "model.layers.1.self_attn.k_proj.weight"})

    def test_experts_that_the_data_go_to_are_trained(self):
        text = self.recipe.read_text()
        self.recipe.write_text(text[:text.index("adapt:")] + "adapt: {esft: {share: 0.4, sample_tokens: 300}}\n")
        log = self.train(*STEPS, run="whole").stderr
        self.assertIn("model.layers.1.mlp.experts: ", log)
        chosen = self.manifest("whole")["training"]["esft"]
        self.assertEqual(len(chosen), 2)
        begun, ended = self.digests("base"), self.digests("whole")
        for name in (name for name in begun if "/" not in name):
            changed = [i for i, digest in enumerate(ended[name]) if digest != begun[name][i]]
            layer = int(name.split(".")[2]) if ".experts." in name else None
            self.assertEqual(changed, [] if layer is None else chosen[layer], name)
        self.train(*STEPS, "train.max_steps=3", run="parts")
        self.train(*STEPS, "--resume", "auto", run="parts")
        self.assertEqual(self.digests("whole"), self.digests("parts"))
        self.train(*STEPS, "parallel.shard_optimizer=true", run="split", ranks=4, expert=2)
        self.assertEqual(self.manifest("split")["training"]["esft"], chosen)
        self.assertLess(self.worst(self.score("whole"), self.score("split")), 1e-9)
        plan = json.loads(self.moesaic("plan", self.recipe, "--json").stdout)
        groups = {group["group"]: group for group in plan["groups"]}
        self.assertEqual(groups["experts"]["trainable"], groups["experts"]["parameters"] * 4 // 8)  # at most 0.4 of 8
        self.assertGreaterEqual(4, max(map(len, chosen)))

    def test_what_does_not_fit_is_refused(self):
        for override, word in (("adapt.lora.r=17", "the largest rank"),
                               ("adapt.lora.target_modules=[query]", "matches no linear map"),
                               ("adapt.lora.exclude_modules=[query]", "matches no linear map"),
                               ("adapt.train=[query]", "matches the name of no parameter"),
                               ("adapt.lora.modules_to_save=[query]", "matches no module"),
                               ("adapt.lora.target_modules='(x'", "not a regular expression"),
                               ("moe.balance.type=bias", "correction bias"),
                               ("adapt.esft={}", "nothing else"),
                               ("adapt.lora.base=fp4", "master, bfloat16, int8, nf4"),
                               ("adapt.lora={base: nf4, modules_to_save: [q_proj]}", "q_proj.weight is trained in full")):
            result = self.moesaic("validate", self.recipe, override, expect=3)
            self.assertIn(word, result.stdout, override)


if __name__ == "__main__":
    unittest.main()
