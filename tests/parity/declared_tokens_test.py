#!/usr/bin/env python3
"""Tokens that only the files beside a tokenizer.json declare: the ids are those of Transformers."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import RunTest  # noqa: E402

try:
    from transformers import AutoTokenizer
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --parity installs it)")
    sys.exit(77)

VOCABULARY = {token: i for i, token in enumerate([*"abcdefgs<>/|xyĠ", "</s>", "<s>"])}
FILE = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "post_processor": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False, "ignore_merges": False, "vocab": VOCABULARY, "merges": []}}
CONFIG = {"tokenizer_class": "PreTrainedTokenizerFast"}
TEXTS = ["a</s>b", "a<x>b <s>", "a <x> b<y>", " <x> <x><y> <y> "]


def token(content, **properties):
    return {"content": content, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True, **properties}


def named(content, **properties):
    return {key: value for key, value in token(content, **properties).items() if key != "special"}


def decoder(**tokens):
    return {**CONFIG, "added_tokens_decoder": {key[1:]: value for key, value in tokens.items()}}


# name: (config, special_tokens_map, added_tokens, the file's own tokens)
CASES = {
    "none": (CONFIG,), "no config": (None, {"eos_token": "</s>", "bos_token": "<s>"}), "map": (CONFIG, {"eos_token": "</s>", "bos_token": named("<s>", lstrip=True)}),
    "map before config": ({**CONFIG, "eos_token": "<s>"}, {"eos_token": "</s>"}), "config": ({**CONFIG, "eos_token": "</s>"},),
    "map is not read": (decoder(), {"eos_token": "</s>"}), "added": (CONFIG, None, {"<x>": 17, "<y>": 18}), "gaps": (CONFIG, None, {"<x>": 30, "<y>": 20}),
    "added and named": ({**CONFIG, "pad_token": "<y>"}, None, {"<x>": 17, "<y>": 18}), "beside the file's": (CONFIG, None, {"<x>": 18}, [{"id": 17, **token("<y>")}]),
    "the file's id": (CONFIG, None, {"<x>": 17}, [{"id": 17, **token("<y>")}]), "decoder": (decoder(_17=token("<x>"), _18=token("<y>", lstrip=True, special=False)),),
    "decoder with gaps": (decoder(_25=token("<x>"), _18=token("<y>")),), "decoder of the vocabulary": (decoder(_15=token("</s>")),),
    "other id": (decoder(_3=token("</s>")),), "other properties": (decoder(_17=token("<x>", lstrip=True)), None, None, [{"id": 17, **token("<x>")}]),
    "no longer special": (decoder(_17=token("<x>", special=False, rstrip=True)), None, None, [{"id": 17, **token("<x>")}]),
    "few properties": (decoder(_17={"content": "<x>"}),), "special": ({**CONFIG, "additional_special_tokens": ["<x>"]},),
    "special in the map": (CONFIG, {"additional_special_tokens": ["<x>", "<y>"]}), "extra": ({**CONFIG, "extra_special_tokens": {"image_token": "<x>"}},),
    "extra list": ({**CONFIG, "extra_special_tokens": ["<x>"]},), "another name": ({**CONFIG, "image_token": "<x>"},),
    "typed": ({**CONFIG, "eos_token": {"__type": "AddedToken", **named("</s>", lstrip=True, normalized=True)}},),
    "split": ({**CONFIG, "eos_token": "</s>", "split_special_tokens": True},), "null": ({**CONFIG, "eos_token": None},)}


class DeclaredTokens(RunTest):
    def test_ids_are_those_of_transformers(self):
        for name, (config, special_map, added, own) in {name: (*case, *[None] * (4 - len(case))) for name, case in CASES.items()}.items():
            with self.subTest(name):
                folder = self.folder / name.replace(" ", "-")
                folder.mkdir()
                for file, content in (("tokenizer.json", {**FILE, "added_tokens": own or []}), ("tokenizer_config.json", config),
                                      ("special_tokens_map.json", special_map), ("added_tokens.json", added)):
                    if content is not None:
                        (folder / file).write_text(json.dumps(content))
                peer = AutoTokenizer.from_pretrained(folder)
                shown = self.moesaic("tokenize", "--tokenizer", folder, "--lines", input="\n".join(TEXTS)).stdout
                self.assertEqual([json.loads(line) for line in shown.splitlines()], [peer(text).input_ids for text in TEXTS])


if __name__ == "__main__":
    unittest.main()
