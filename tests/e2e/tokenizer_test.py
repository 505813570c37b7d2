#!/usr/bin/env python3
"""A recipe with a tokenizer.json: training on the ids that `moesaic tokenize` gives, and what a careless user would write."""
import json
import os
import subprocess
import unittest

from moesaic import MOESAIC, TINY, RunTest

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
        begins = json.loads(self.moesaic("data", "inspect", "--json", "--tokenizer", self.file, built).stdout)
        self.assertEqual(begins["ids"], len(ids) + 1)  # and the end of text
        self.assertTrue(text.startswith(begins["first_text"].rstrip("\ufffd")) and begins["first_text"])
        latin = self.folder / "latin.txt"
        latin.write_bytes(b"caf\xe9")
        refused = self.moesaic("eval", "--model", self.folder / "run", "--data", latin, expect=4)
        self.assertIn("latin.txt: the byte 0xe9 at offset 3 is not valid UTF-8", refused.stderr)
        refused = self.moesaic("generate", "--model", self.folder / "run", "--prompt", b"a\xff".decode("utf-8", "surrogateescape"),
                               expect=4)
        self.assertIn("the prompt: the byte 0xff at offset 1 is not valid UTF-8", refused.stderr)
        back = self.moesaic("tokenize", "--tokenizer", self.file, "--decode", input=json.dumps(ids)).stdout
        self.assertEqual(back, text)

    def test_lines_of_standard_input(self):
        lines = self.moesaic("tokenize", "--tokenizer", self.file, "--lines", input="the\r\n\r\nthe\n").stdout
        self.assertEqual(lines.splitlines(), [lines.splitlines()[0], "[]", lines.splitlines()[0]])
        command = [MOESAIC, "tokenize", "--tokenizer", self.file, "--lines"]
        bad = subprocess.run(command, input=b"the\ncaf\xe9\n", capture_output=True)
        self.assertEqual(bad.returncode, 4)
        self.assertIn(b"<stdin>:2: the byte 0xe9 at offset 3 is not valid UTF-8", bad.stderr)
        folder = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        nothing = subprocess.run(command[:-1], stdin=folder, capture_output=True)
        self.assertEqual(nothing.returncode, 4)
        self.assertIn(b"cannot read <stdin>", nothing.stderr)

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
