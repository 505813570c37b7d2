"""Experts made from a dense model compute what it did, until they are told apart."""
import json
import unittest

from moesaic import RunTest

LLAMA = {"model_type": "llama", "vocab_size": 272, "hidden_size": 32, "intermediate_size": 24, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.2, "max_position_embeddings": 512}
QWEN = LLAMA | {"model_type": "qwen3", "head_dim": 8}
SHAPES = ((4, 2, 1), (8, 2, 2), (12, 6, 3), (4, 1, 1))  # experts, experts a token, granularity


class UpcyclingTest(RunTest):
    def dense(self, config):
        """A dense model that was trained for a few steps, as a Hugging Face folder."""
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:begin]}  config: {json.dumps(config)}\n{text[end:]}")
        self.train("train.max_steps=3", "train.precision=float64", run="dense")
        self.moesaic("export", self.folder / "dense", self.folder / "hub")
        lines = [json.dumps({"ids": [(7 * i + j * j) % 257 for j in range(30)]}) for i in range(5)]
        (self.folder / "lines.jsonl").write_text("\n".join(lines))
        return self.score("hub")

    def score(self, model, *arguments):
        result = self.moesaic("score", "--model", self.folder / model, "--input", self.folder / "lines.jsonl", "--precision",
                              "float64", *arguments)
        return [x for line in result.stdout.splitlines() for x in json.loads(line)["logprobs"]]

    def worst(self, wanted, got):
        self.assertEqual(len(wanted), len(got))
        return max(abs(a - b) for a, b in zip(wanted, got))

    def test_copies_compute_the_same(self):
        for config in (LLAMA, QWEN):
            with self.subTest(config["model_type"]):
                wanted = self.dense(config)
                for experts, chosen, pieces in SHAPES:
                    self.moesaic("import", self.folder / "hub", self.folder / "moe", "--overwrite", "--upcycle", experts,
                                 "--experts-per-tok", chosen, "--granularity", pieces)
                    for layout in ((), ("-n", 2, "--expert", 2)):
                        self.assertLess(self.worst(wanted, self.score("moe", *layout)), 1e-6, (experts, chosen, pieces))
                self.moesaic("export", self.folder / "moe", self.folder / "back", "--overwrite")
                self.assertLess(self.worst(wanted, self.score("back")), 1e-6)
                for path in ("dense", "hub", "moe", "back"):
                    self.moesaic("inspect", self.folder / path)
            self.setUp()

    def test_noise_and_new_units_tell_them_apart(self):
        wanted = self.dense(LLAMA)
        for change in (("--noise", 0.1), ("--reinit", 0.5)):
            self.moesaic("import", self.folder / "hub", self.folder / "moe", "--overwrite", "--upcycle", 4, *change)
            first = self.score("moe")
            self.assertGreater(self.worst(wanted, first), 1e-4)
            self.moesaic("import", self.folder / "hub", self.folder / "moe", "--overwrite", "--upcycle", 4, *change)
            self.assertEqual(first, self.score("moe"))

    def test_a_recipe_upcycles_on_any_layout(self):
        self.dense(LLAMA)
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        upcycle = "{num_experts: 8, num_experts_per_tok: 4, granularity: 2, noise: 0.01, reinit: 0.25}"
        self.recipe.write_text(f"{text[:begin]}  from: {self.folder}/hub\n  upcycle: {upcycle}\n{text[end:]}")
        for run, ranks, expert in (("one", 1, 1), ("two", 2, 2)):
            self.train("train.max_steps=4", "train.precision=float64", run=run, ranks=ranks, expert=expert)
        self.assertLess(self.weight_difference("one", "two"), 1e-10)
        self.train("train.max_steps=6", "train.precision=float64", "--resume", "auto", run="one")

    def test_routing_may_differ_from_that_of_the_weights(self):
        self.dense(LLAMA)
        self.moesaic("import", self.folder / "hub", self.folder / "moe", "--upcycle", 4)
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:begin]}  from: {self.folder}/moe\n{text[end:]}")
        own = ("model.config={use_expert_bias: true, router_top_p: 0.7}", "moe.balance.type=bias", "train.precision=float64")
        result = self.train("train.max_steps=4", *own, run="one")
        self.assertIn("begin anew", result.stderr)
        self.train("train.max_steps=4", *own, run="two", ranks=2, expert=2)
        self.assertLess(self.weight_difference("one", "two"), 1e-10)
        self.train("train.max_steps=5", *own, "--resume", "auto", run="one")
        self.assertIn("use_expert_bias", self.moesaic("export", self.folder / "one", self.folder / "back", expect=2).stderr)
        result = self.train("model.config={hidden_size: 64}", run="other", expect=3)
        self.assertIn("hidden_size", result.stderr)
        self.assertIn("differs from the weights'", result.stderr)

    def test_what_cannot_be_upcycled_is_named(self):
        self.dense(LLAMA)
        for arguments, word in ((("--upcycle", 5, "--granularity", 2), "multiple of granularity"),
                                (("--upcycle", 4, "--experts-per-tok", 9), "at most 4"),
                                (("--upcycle", 4, "--granularity", 7), "does not divide")):
            result = self.moesaic("import", self.folder / "hub", self.folder / "moe", *arguments, expect=3)
            self.assertIn(word, result.stderr)
        self.moesaic("import", self.folder / "hub", self.folder / "moe", "--upcycle", 4)
        self.moesaic("export", self.folder / "moe", self.folder / "again")
        result = self.moesaic("import", self.folder / "again", self.folder / "more", "--upcycle", 4, expect=3)
        self.assertIn("has experts already", result.stderr)


if __name__ == "__main__":
    unittest.main()
