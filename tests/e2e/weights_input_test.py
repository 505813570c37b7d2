"""What is given as weights: files under other names, parts of files, links to nothing, names that are no UTF-8."""
import json
import os
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "parity"))
from make_gguf import METADATA, model  # noqa: E402
from moesaic import MOESAIC, RunTest, subprocess  # noqa: E402

MOE = [*METADATA, ("llama.expert_count", "u32", 4), ("llama.expert_used_count", "u32", 2)]
DENSE = [("token_embd.weight", [256, 4], "F32"), ("output_norm.weight", [256], "F32"), ("blk.0.attn_norm.weight", [256], "F32"),
         ("blk.0.ffn_norm.weight", [256], "F32"), ("blk.0.attn_q.weight", [256, 256], "F32"), ("blk.0.attn_k.weight", [256, 128], "F32"),
         ("blk.0.attn_v.weight", [256, 128], "F32"), ("blk.0.attn_output.weight", [256, 256], "F32"),
         ("blk.0.ffn_gate_inp.weight", [256, 4], "F32")]
EXPERTS = [("ffn_gate", [256, 32]), ("ffn_up", [256, 32]), ("ffn_down", [32, 256])]
TOGETHER = DENSE + [(f"blk.0.{name}_exps.weight", [*shape, 4], "F32") for name, shape in EXPERTS]
ONE_BY_ONE = DENSE + [(f"blk.0.{name}.{i}.weight", shape, "F32") for name, shape in EXPERTS for i in range(4)]


IDS = [3, 1, 2, 0, 3, 3, 1, 0, 2, 2, 1]


def of_type(tensors, kind):
    """Matrices of that type."""
    return [(name, shape, "F32" if len(shape) == 1 else kind) for name, shape, _ in tensors]


class WeightsInput(RunTest):
    def logprobs(self, file, *arguments):
        lines = "".join(json.dumps({"ids": IDS[:count]}) + "\n" for count in (len(IDS), 3))
        shown = self.moesaic("score", "--model", file, *arguments, input=lines)
        return [value for line in shown.stdout.splitlines() for value in json.loads(line)["logprobs"]], shown.stderr

    def check_same(self, file, *arguments):
        numbers, _ = self.logprobs(file, *arguments)
        kept, shown = self.logprobs(file, "--weights", "file", *arguments)
        self.assertEqual(len(kept), len(IDS) - 1 + 2)
        for a, b in zip(numbers, kept, strict=True):
            self.assertAlmostEqual(a, b, delta=1e-5 * max(1, abs(a)))
        return shown

    def test_weights_in_the_types_of_a_gguf_file(self):
        mixed = self.folder / "mixed.gguf"
        mixed.write_bytes(model())  # a matrix or two of every type that is read
        self.assertIn("as in the file: F16 (1), Q4_0 (1), Q4_1 (2), Q4_K (1), Q6_K (1), Q8_0 (1)", self.check_same(mixed))
        self.check_same(mixed, "--precision", "float64")
        said = [json.loads(self.moesaic("generate", "--model", mixed, "--prompt", "ab", "--max-new-tokens", "12", "--json", *weights).stdout)
                for weights in ((), ("--weights", "file"))]
        self.assertEqual(said[0]["ids"], said[1]["ids"])
        experts = self.folder / "experts.gguf"
        experts.write_bytes(model(MOE, of_type(TOGETHER, "Q4_1")))
        self.check_same(experts, "-n", "2")

    def test_weights_that_cannot_stay_as_their_file_has_them(self):
        one_by_one = self.folder / "one-by-one.gguf"
        one_by_one.write_bytes(model(MOE, of_type(ONE_BY_ONE, "Q4_0")))
        self.check_same(one_by_one)
        changed = [(name, shape, "Q8_0" if name == "blk.0.ffn_up.2.weight" else kind) for name, shape, kind in of_type(ONE_BY_ONE, "Q4_0")]
        one_by_one.write_bytes(model(MOE, changed))
        refused = self.moesaic("score", "--model", one_by_one, "--weights", "file", input='{"ids": [1, 2]}\n', expect=7)
        self.assertIn("blk.0.ffn_up.0.weight is Q4_0 and blk.0.ffn_up.2.weight is Q8_0", refused.stderr)
        hub = self.folder / "as-hub"
        self.moesaic("export", one_by_one, hub)
        for verb in (("score",), ("generate", "--prompt", "a"), ("eval", "--data", self.recipe)):
            refused = self.moesaic(*verb, "--model", hub, "--weights", "file", input='{"ids": [1, 2]}\n', expect=2)
            self.assertIn("is no GGUF file", refused.stderr)

    def test_gguf_files_by_their_first_bytes_with_a_tensor_for_each_expert_and_in_parts(self):
        (self.folder / "together.gguf").write_bytes(model(MOE, TOGETHER))
        (self.folder / "one-by-one").write_bytes(model(MOE, ONE_BY_ONE))
        for name in ("together.gguf", "one-by-one"):
            self.moesaic("export", self.folder / name, self.folder / f"{name}-hub")
        weights = [(self.folder / f"{name}-hub/model.safetensors").read_bytes() for name in ("together.gguf", "one-by-one")]
        self.assertEqual(*weights)
        for missing in (9, 12):
            (self.folder / "torn.gguf").write_bytes(model(MOE, ONE_BY_ONE[:missing] + ONE_BY_ONE[missing + 1:]))
            torn = self.moesaic("export", self.folder / "torn.gguf", self.folder / "out", expect=7)
            self.assertIn("1 missing from the file", torn.stderr)
        part = self.folder / "model-00002-of-00003.gguf"
        part.write_bytes(model([("split.no", "u32", 1), ("split.count", "u32", 3)], DENSE))
        refused = self.moesaic("export", part, self.folder / "out", expect=7)
        self.assertIn("is part 2 of 3", refused.stderr)
        self.assertIn("gguf-split --merge", refused.stderr)

    def test_a_gguf_file_is_the_base_of_adapters(self):
        file, text = self.folder / "base.gguf", self.folder / "ab.txt"
        file.write_bytes(model())
        text.write_text("ababbaab" * 100)
        lines = self.folder / "lines.jsonl"
        lines.write_text('{"ids": [1, 2, 3, 1, 2]}\n')
        recipe = self.folder / "adapters.yaml"
        recipe.write_text(f"name: adapters\nmodel: {{from: {file}}}\ntokenizer: {file}\ndata: {{train: [{{path: {text}}}], sequence_length: 16}}\n"
                          "train: {max_steps: 3, global_batch_size: 2, micro_batch_size: 1}\noptimizer: {learning_rate: 0.03}\nschedule: {warmup_steps: 0}\n"
                          f"adapt: {{lora: {{r: 4}}}}\nlog: {{tensorboard: false}}\nrun_dir: {self.folder}/adapters\n")
        self.moesaic("train", recipe)
        run, merged, adapter = self.folder / "adapters", self.folder / "merged", self.folder / "adapter"
        self.assertEqual(json.loads((run / "checkpoints/latest/manifest.json").read_text())["base"]["path"], str(file))
        self.moesaic("export", run, merged, "--dtype", "float32")
        self.moesaic("export", run, adapter, "--adapter")
        self.moesaic("import", adapter, self.folder / "imported", "--base", file)

        def score(*arguments):
            return json.loads(self.moesaic("score", "--input", lines, "--model", *arguments).stdout)["logprobs"]
        right = score(run)
        for arguments in ((merged,), (file, "--adapter", adapter), (file, "--adapter", run), (self.folder / "imported",)):
            for a, b in zip(right, score(*arguments), strict=True):
                self.assertAlmostEqual(a, b, places=4)
        self.assertGreater(max(abs(a - b) for a, b in zip(right, score(file))), 1e-3)

    def test_paths_that_no_system_takes_and_names_that_are_no_utf8(self):
        too_long = str(self.folder / ("x" * 300))
        for code, *arguments in ((7, "inspect", too_long), (7, "score", "--model", too_long), (7, "export", too_long, self.folder / "out"),
                                 (7, "import", too_long, self.folder / "out"), (3, "tokenize", "--tokenizer", too_long),
                                 (4, "data", "inspect", too_long), (3, "validate", too_long), (7, "train", self.recipe, f"run_dir={too_long}"),
                                 (3, "validate", self.recipe, f"tokenizer={too_long}"), (3, "validate", self.recipe, f"model.from={too_long}")):
            result = self.moesaic(*arguments, expect=code, stdin=subprocess.DEVNULL)
            self.assertNotIn("filesystem error", result.stderr)
            self.assertIn("xxxx", result.stderr + result.stdout)
        file = self.folder / "model.gguf"
        file.write_bytes(model(MOE, TOGETHER))
        self.assertIn("too long", self.moesaic("export", file, too_long, expect=2).stderr)
        strange = os.fsencode(self.folder) + b"/\xff"
        os.mkdir(strange)
        os.rename(file, strange + b"/\xfe")
        for arguments in ((b"inspect", strange + b"/\xfe", b"--json"), (b"export", strange + b"/\xfe", strange + b"/hub", b"--json"),
                          (b"import", strange + b"/hub", strange + b"/in", b"--json"), (b"inspect", strange + b"/in", b"--json"),
                          (b"export", strange + b"/in", strange + b"/hub", b"--overwrite")):
            result = subprocess.run([os.fsencode(MOESAIC), *arguments], capture_output=True)
            self.assertEqual(result.returncode, 0, result.stderr)
            if arguments[-1] == b"--json":
                json.loads(result.stdout.decode())

    def test_links_to_nothing_and_pickled_weights_are_named(self):
        hub = self.folder / "hub"
        hub.mkdir()
        (hub / "config.json").write_text(json.dumps({"model_type": "llama"}))
        (hub / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
        for arguments in (("import", hub, self.folder / "out"), ("export", hub, self.folder / "out"), ("score", "--model", hub)):
            self.assertIn("only as pytorch_model.bin", self.moesaic(*arguments, expect=7, stdin=subprocess.DEVNULL).stderr)
        (hub / "model.safetensors").symlink_to("../../blobs/1234")
        self.assertIn("a link to ../../blobs/1234, which is not there", self.moesaic("export", hub, self.folder / "out", expect=7).stderr)
        (self.folder / "link").symlink_to("gone")
        self.assertIn("a link to gone, which is not there", self.moesaic("inspect", self.folder / "link", expect=7).stderr)


if __name__ == "__main__":
    unittest.main()
