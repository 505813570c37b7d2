#!/usr/bin/env python3
"""A recipe with a tokenizer.json: training on the ids that `moesaic tokenize` gives, and what a careless user would write."""
import json
import unittest

from moesaic import TINY, RunTest

LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)] + [".", "Ġ", "Ċ"]
MERGES = ["t h", "th e", "Ġ the", "e r", "a n", "Ġ a", "o u"]


def tokenizer():
    tokens = LETTERS + ["".join(merge.split(" ")) for merge in MERGES]
    return {"added_tokens": [{"id": len(tokens), "content": "<|endoftext|>", "special": True}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "merges": MERGES}}


class TokenizerTest(RunTest):
    recipe_text = TINY.replace("seed: 5", "seed: 5\ntokenizer: {folder}/tokenizer.json")

    def setUp(self):
        super().setUp()
        self.file = self.folder / "tokenizer.json"
        self.file.write_text(json.dumps(tokenizer()))

    def test_a_run_trains_on_its_ids(self):
        self.moesaic("train", self.recipe, "train.max_steps=3")
        text = (self.folder / "text/valid.txt").read_text()
        ids = json.loads(self.moesaic("tokenize", "--tokenizer", self.file, input=text).stdout)
        built = self.folder / "valid.tokens"
        self.moesaic("data", "build", "--tokenizer", self.file, "--format", "text", "--output", built, self.folder / "text/valid.txt")
        begins = json.loads(self.moesaic("data", "inspect", "--json", built).stdout)
        self.assertEqual(begins["ids"], len(ids) + 1)  # and the end of text
        back = self.moesaic("tokenize", "--tokenizer", self.file, "--decode", input=json.dumps(ids)).stdout
        self.assertEqual(back, text)

    def test_mistakes_are_named(self):
        missing = self.moesaic("train", self.recipe, "tokenizer=nowhere.json", expect=3)
        self.assertIn("nowhere.json' is neither byte nor a tokenizer.json", missing.stderr)
        small = self.moesaic("train", self.recipe, "model.config.vocab_size=30", expect=None)
        self.assertNotEqual(small.returncode, 0)
        self.assertIn("vocab_size", small.stderr)
        self.file.write_text(self.file.read_text().replace("ByteLevel", "ByteLevels"))
        unknown = self.moesaic("train", self.recipe, expect=4)
        self.assertIn("'ByteLevels' is not supported", unknown.stderr)
        self.file.write_text("[" * 1000)
        self.moesaic("train", self.recipe, expect=4)


if __name__ == "__main__":
    unittest.main()
