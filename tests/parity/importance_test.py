"""moesaic importance against Transformers: the gradient of each line's summed loss, squared, mean over the lines."""
import json
import pathlib
import sys
import unittest

try:
    import h5py
    import numpy as np
    import torch
    import transformers_oracle as oracle
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --parity installs it)")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import RunTest  # noqa: E402

LINES = [[(7 * line + place * (place + line)) % 250 + 3 for place in range(4 + 5 * line)] for line in range(7)]
USED = 5  # of them
DENSE = {"model_type": "llama", "vocab_size": 272, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True, "initializer_range": 0.1,
         "max_position_embeddings": 512}


class ImportanceTest(RunTest):
    def model(self, config=None):
        """A model that is trained a little, as a Hugging Face folder."""
        if config:
            text = self.recipe.read_text()
            begin, end = text.index("  config:"), text.index("data:")
            text = f"{text[:begin]}  config: {json.dumps(config)}\n{text[end:]}"
            self.recipe.write_text("\n".join(line for line in text.splitlines() if not line.startswith("moe:")))
        self.train("train.max_steps=5")
        self.moesaic("export", self.folder / "run", self.folder / "hub", "--dtype", "float32")
        return self.folder / "hub"

    def old_data(self, **fisher):
        """A recipe whose data are the lines."""
        lines = self.folder / "lines.jsonl"
        lines.write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in LINES))
        path = self.folder / "old.yaml"
        path.write_text(
            f"name: old\nrun_dir: {self.folder}/old\nmodel: {{from: {self.folder}/hub}}\n"
            f"data: {{train: [{{path: {lines}, format: tokens}}], sequence_length: 64, packing: false, shuffle: false}}\n"
            "train: {max_steps: 1, global_batch_size: 4, micro_batch_size: 2, precision: float64}\n"
            f"continual: {{fisher: {json.dumps({'examples': USED} | fisher)}}}\n")
        return path

    def importances(self, model, *arguments, name="importance.h5", ranks=1, **fisher):
        path = self.folder / name
        result = self.moesaic("importance", "--model", model, "--recipe", self.old_data(**fisher), "--output", path,
                              "-n", ranks, "--json", *arguments)
        with h5py.File(path) as file:
            values = {}
            file.visititems(lambda key, item: values.__setitem__(key, item[()]) if isinstance(item, h5py.Dataset) else None)
            return json.loads(result.stdout), dict(file.attrs), values

    def expected(self, folder):
        """{parameter: mean of squares}, experts one by one under the hub's names."""
        model = oracle.load(folder, torch.float64)
        total = {}
        for ids in LINES[:USED]:
            for name, gradient in oracle.gradients(model, [ids]).items():
                square = (gradient * (len(ids) - 1)).square() / USED
                total[name] = total[name] + square if name in total else square
        return {name: value.numpy() for name, value in total.items()}

    def check(self, values, expected):
        def here(name):
            before, experts, after = name.partition(".experts.")
            if not experts:
                return values[f"fisher/{name}"]
            number, _, rest = after.partition(".")
            return values[f"fisher/{before}.experts.{rest}"][int(number)]
        for name, value in expected.items():
            np.testing.assert_allclose(here(name), value, rtol=1e-4, atol=1e-6 * value.max() + 1e-30, err_msg=name)

    def test_experts_on_several_layouts(self):
        folder = self.model()
        expected = self.expected(folder)
        summary, attributes, values = self.importances(folder, labels="empirical")
        self.check(values, expected)
        self.assertEqual((attributes["labels"], int(attributes["examples"])), ("empirical", USED))
        self.assertEqual(attributes["model_digest"], summary["model_digest"])
        self.assertEqual(summary["examples"], USED)
        weights = oracle.load(folder, torch.float64).state_dict()
        np.testing.assert_array_equal(values["anchor/model.norm.weight"], weights["model.norm.weight"].numpy())
        for ranks, expert in ((2, 1), (2, 2)):
            _, _, other = self.importances(folder, "--expert", expert, name="other.h5", ranks=ranks, labels="empirical")
            self.assertEqual(values.keys(), other.keys())
            for name in values:
                np.testing.assert_allclose(other[name], values[name], rtol=1e-8, atol=1e-18, err_msg=name)

    def test_tied_weights(self):
        folder = self.model(DENSE)
        self.check(self.importances(folder, labels="empirical")[2], self.expected(folder))

    def test_sampled_labels_and_fewer_lines_than_asked_for(self):
        folder = self.model()
        one = self.importances(folder, examples=1000)
        two = self.importances(folder, "--expert", 2, name="other.h5", ranks=2, examples=1000)
        self.assertEqual((one[0]["labels"], one[0]["examples"]), ("sampled", len(LINES)))
        for name in one[2]:
            np.testing.assert_allclose(two[2][name], one[2][name], rtol=1e-8, atol=1e-18, err_msg=name)

    def test_mas(self):
        folder = self.model(DENSE)
        summary, attributes, values = self.importances(folder, "--method", "mas")
        self.assertEqual(attributes["labels"], "mas")
        model = oracle.load(folder, torch.float64)
        total = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
        for ids in LINES[:USED]:
            model.zero_grad()
            model(torch.tensor([ids[:-1]])).logits.square().sum().backward()
            for name, parameter in model.named_parameters():
                total[name] += parameter.grad.abs() / USED
        self.check(values, {name: value.numpy() for name, value in total.items()})

    def test_errors(self):
        folder = self.model()
        output = self.folder / "importance.h5"

        def refused(expect, part, recipe, *arguments, model=folder, output=output):
            result = self.moesaic("importance", "--model", model, "--recipe", recipe, "--output", output, *arguments,
                                  expect=expect)
            self.assertIn(part, result.stderr)
            self.assertFalse((self.folder / "importance.h5").exists())
        refused(3, "are for classifiers", self.old_data(labels="exact"))
        refused(7, "is a folder", self.old_data(), output=self.folder)
        refused(7, "there is no folder", self.old_data(), output=self.folder / "none" / "importance.h5")
        refused(2, "--expert is 3", self.old_data(), "--expert", 3)
        self.assertNotEqual(self.moesaic("importance", "--model", self.folder / "none", "--recipe", self.old_data(),
                                         "--output", output, expect=None).returncode, 0)


if __name__ == "__main__":
    unittest.main()
