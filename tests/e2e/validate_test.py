"""moesaic validate, plan, schema and recipes, through the shipped program."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ["MOESAIC_BIN"]).resolve() / "moesaic"

MISTAKES = """\
name: planted
modle: {from: elsewhere}
model:
  config: {model_type: olmoe, hidden_size: 100, num_attention_heads: 8, num_expert: 8}
data:
  train: [{path: a.txt, format: txt}]
train:
  max_steps: 1_000
  global_batch_size: 30
  micro_batch_size: 4
  max_steps: 5
optimizer: {learning_rate: .nan}
schedule: {clip_norm: 1.0}
"""

# (line, column, key, a part of the message)
PLANTED = [
    (2, 1, "modle", "did you mean 'model'"),
    (4, 49, "model.config.num_attention_heads", "8 heads do not divide hidden_size 100"),
    (4, 73, "model.config.num_expert", "did you mean 'num_experts'"),
    (6, 33, "data.train[0].format", "did you mean 'text'"),
    (8, 14, "train.max_steps", "expected an integer"),
    (9, 3, "train.global_batch_size", "30 is not a multiple of micro_batch_size 4"),
    (11, 3, "", "duplicate key 'max_steps'"),
    (12, 28, "optimizer.learning_rate", "expected a finite number"),
    (13, 12, "schedule.clip_norm", "the key is 'train.clip_norm'"),
]


class CliTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, text, name="recipe.yaml"):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def run_cli(self, *arguments, code=0):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, cwd=self.folder, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def shipped(self):
        return subprocess.run([PROGRAM, "recipes", "show", "smoke/quickstart"], capture_output=True, text=True).stdout

    def small(self):
        return self.write(self.shipped())


class Validate(CliTest):
    def test_reports_every_planted_mistake_with_its_place(self):
        path = self.write(MISTAKES)
        found = json.loads(self.run_cli("validate", path, "--json", code=3))
        self.assertFalse(found["valid"])
        self.assertEqual([(p["line"], p["column"], p["key"]) for p in found["problems"]], [p[:3] for p in PLANTED])
        for problem, planted in zip(found["problems"], PLANTED):
            self.assertEqual((problem["file"], problem["severity"]), (path, "error"))
            self.assertIn(planted[3], problem["message"])
        lines = self.run_cli("validate", path, code=3).splitlines()
        for line, planted in zip(lines, PLANTED):
            self.assertTrue(line.startswith(f"{path}:{planted[0]}:{planted[1]}: "), line)

    def test_accepts_every_shipped_recipe_as_it_is(self):
        """But for the models that they start from, which scripts fetch: a small one is in their place."""
        shipped = json.loads(self.run_cli("recipes", "ls", "--json"))
        self.assertGreaterEqual(len(shipped), 3)
        (self.folder / "model").mkdir()
        self.write(json.dumps({"model_type": "llama", "vocab_size": 272, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
                               "num_attention_heads": 2}), "model/config.json")
        for recipe in shipped:
            model = ["model.from=model"] if recipe["name"].startswith("finetune/") else []
            done = subprocess.run([PROGRAM, "validate", recipe["name"], *model, "--json"], capture_output=True, text=True, cwd=self.folder)
            found = [problem for problem in json.loads(done.stdout)["problems"]
                     if problem["key"] != "model.from" or "/data/cache/" not in problem["message"]]  # what a script fetches
            self.assertEqual(found, [], recipe["name"])
            self.assertTrue(recipe["title"], recipe["name"])

    def test_domains_have_a_recipe_that_also_trains_in_full(self):
        (self.folder / "model").mkdir()
        self.write(json.dumps({"model_type": "mixtral", "vocab_size": 272, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
                               "num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 4}), "model/config.json")
        for domain in ("legal", "medical", "finance", "technical"):
            trained = [json.loads(self.run_cli("plan", f"finetune/{domain}", "model.from=model", *more, "--json"))["trainable"]
                       for more in (["adapt.lora.router=full", "adapt.lora.r=8"], ["adapt.lora=null"])]
            self.assertTrue(0 < trained[0] < trained[1], trained)

    def test_overrides_go_before_the_file_and_are_named_in_problems(self):
        path = self.small()
        self.run_cli("validate", path, "train.max_steps=7", "model.config.num_experts=4")
        out = self.run_cli("validate", path, "train.max_stps=7", code=3)
        self.assertIn("command line: train.max_stps: unknown key (did you mean 'max_steps'?)", out)
        out = self.run_cli("validate", path, "parallel.expert=3", "-n", "6", code=3)
        self.assertIn("3 does not divide 8 experts; sizes that fit 6 ranks and 8 experts: 1, 2", out)

    def test_warnings_alone_are_no_failure(self):
        found = json.loads(self.run_cli("validate", self.small(), "optimizer.momentum=0.5", "--json"))
        self.assertEqual([p["severity"] for p in found["problems"]], ["warning"])

    def test_looks_whether_the_data_are_there_and_what_they_hold(self):
        path = self.write("extends: base.yaml\ndata:\n  train: [{path: a.jsonl}, {path: none-*.txt}]\n  valid: [{path: a.jsonl, format: text}]\n")
        self.write(self.shipped(), "base.yaml")
        (self.folder / "a.jsonl").write_text('{"text": "a"}\n')
        found = json.loads(self.run_cli("validate", path, "--json"))
        self.assertEqual((found["valid"], found["problems"]), (True, []))
        self.assertEqual([(p["line"], p["key"]) for p in found["data"]], [(3, "data.train[1].path"), (4, "data.valid[0].path")])
        self.assertIn("none-*.txt' matches no file", found["data"][0]["message"])
        self.assertIn("lines of JSON", found["data"][1]["message"])
        lines = self.run_cli("validate", path).splitlines()
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[0].startswith(f"{path}:3:"), lines[0])
        self.assertEqual(lines[2], f"{path}: valid, 2 doubts about the data")
        path = self.write("extends: base.yaml\ndata: {chat_template: none.jinja}\n")
        found = json.loads(self.run_cli("validate", path, "--json"))["data"]
        self.assertEqual([p["key"] for p in found if "none.jinja" in p["message"]], ["data.chat_template"])

    def test_the_resolved_recipe_is_complete_and_resolves_to_itself(self):
        resolved = self.run_cli("validate", self.small(), "--resolved")
        again = self.run_cli("validate", self.write(resolved, "resolved.yaml"), "--resolved")
        self.assertEqual(again, resolved)
        self.assertIn(f"run_dir: {self.folder.resolve()}/runs/quickstart", resolved)

    def test_extends_and_places_in_both_files(self):
        self.small()
        child = self.write("extends: recipe.yaml\nname: child\ntrain: {max_steps: 0}\n", "child.yaml")
        out = self.run_cli("validate", child, code=3)
        self.assertIn(f"{child}:3:20: train.max_steps", out)

    def test_wrong_command_lines_and_missing_files(self):
        self.run_cli("validate", code=2)
        self.run_cli("validate", self.small(), "no-value", code=2)
        self.run_cli("validate", "none.yaml", code=3)


class Plan(CliTest):
    def test_counts_what_the_recipe_says(self):
        plan = json.loads(self.run_cli("plan", self.small(), "-n", "2", "--json"))
        # embedding and head 2*272*128; a layer: attention 4*128^2, norms 4*128, router 8*128, experts 8*3*128^2
        self.assertEqual(plan["parameters"], 2 * 272 * 128 + 128 + 4 * (28 * 128**2 + 12 * 128))
        self.assertEqual(plan["rank_parameters"], plan["parameters"] - 4 * 12 * 128**2)
        self.assertEqual(plan["tokens_per_step"], 16 * 256)
        self.assertEqual((plan["micro_batches_per_step"], plan["rounds_per_step"]), (2, 1))

    def test_counts_the_devices_of_a_table(self):
        table = self.write("devices:\n" + "".join(
            f"  - {{name: {name}, memory_gb: {size}, float32_tflops: 10, memory_gb_per_s: 1000, node_gb_per_s: 100, "
            "network_gb_per_s: 10, per_node: 4}\n" for name, size in (("large", 10), ("small", 0.19), ("tiny", 0.01))), "devices.yaml")
        rows = json.loads(self.run_cli("plan", self.small(), "--matrix", "--devices", table, "--json"))["rows"]
        self.assertEqual([row["way"] for row in rows], ["full", "lora", "nf4", "inference"] * 3)
        for row in rows:
            self.assertEqual(row["fits"], row["rank_memory_bytes"] <= row["usable_memory_bytes"])
            self.assertEqual(row["devices"], row["data"] * row["expert"])
        self.assertEqual([row["devices"] for row in rows[:4]], [1] * 4)
        self.assertTrue(all(row["tokens_per_s"] > 0 for row in rows[:4]))
        self.assertTrue(all(row["missing_bytes"] > 0.1e9 for row in rows[8:]))
        text = self.run_cli("plan", self.small(), "--matrix", "--devices", table)
        self.assertIn("a device too much", text)
        shipped = self.run_cli("plan", self.small(), "--matrix")
        self.assertIn("h100-80gb", shipped)

    def test_names_the_place_of_a_mistake_in_a_table_of_devices(self):
        table = self.write("devices:\n  - {name: a, memory_gb: lots}\n", "devices.yaml")
        done = subprocess.run([PROGRAM, "plan", self.small(), "--matrix", "--devices", table], capture_output=True, text=True)
        self.assertEqual(done.returncode, 3)
        self.assertIn(f"{table}:2:26: devices[0].memory_gb: expected", done.stdout + done.stderr)
        self.run_cli("plan", self.small(), "--matrix", "-n", "2", code=2)
        self.run_cli("plan", self.small(), "--devices", table, code=2)

    def test_made_the_tables_of_the_page_on_hardware(self):
        done = subprocess.run([sys.executable, ROOT / "scripts/hardware_tables.py"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_refuses_what_validate_refuses(self):
        self.run_cli("plan", self.write(MISTAKES), code=3)


class Schema(CliTest):
    def test_the_reference_page_is_current(self):
        page = (ROOT / "docs" / "recipe-reference.md").read_text()
        self.assertEqual(self.run_cli("schema", "--markdown"), page)

    def test_lists_every_key_once(self):
        keys = [entry["key"] for entry in json.loads(self.run_cli("schema", "--json"))]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertIn("train.max_steps", keys)


class Recipes(CliTest):
    def test_copies_and_does_not_replace(self):
        self.run_cli("recipes", "cp", "smoke/quickstart", "mine.yaml")
        self.assertIn("name: quickstart", (self.folder / "mine.yaml").read_text())
        (self.folder / "mine.yaml").write_text("changed")
        self.run_cli("recipes", "cp", "smoke/quickstart", "mine.yaml", code=2)
        self.assertEqual((self.folder / "mine.yaml").read_text(), "changed")
        self.run_cli("recipes", "cp", "smoke/quickstart", "mine.yaml", "--force")
        self.run_cli("recipes", "cp", "smoke/quickstrat", code=2)


if __name__ == "__main__":
    unittest.main()
