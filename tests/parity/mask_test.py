#!/usr/bin/env python3
"""Ids and targets of instruction data beside Transformers: `moesaic data build` of 200 conversations against apply_chat_template with its
mask of what the assistant says, and of prompts with completions against the ids that Transformers gives. Where the package trl is there its
own functions give the same, and so do the training templates of DeepSeek and Qwen, which it holds."""
import __future__
import ast
import importlib.util
import itertools
import json
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import types
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import chat_template_test  # noqa: E402  (its talks and its probe)
import moesaic  # noqa: E402

try:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, ProcessorMixin
except ImportError:
    print("skipped: transformers is not installed (scripts/setup.sh --parity)")
    sys.exit(77)

PLAIN = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
         "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
MARKED = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>"
          "{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}{{ '\\n' }}{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
BLANKS = ("{% for m in messages %}### {{ m.role }}:\n\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}\n\n{% endgeneration %}"
          "{% else %}{{ m.content }}\n\n{% endif %}{% endfor %}{% if add_generation_prompt %}### assistant:\n\n{% endif %}")
FAMILIES = ("deepseek", "qwen")
CLOSING = ("gptoss", "phi3")
WORDS = ["the", "law", "of", "a", "dose", "42", "\n", "\n\n", "don't", "Zürich", "é", "(b)", "{x}", "  ", "profit", "<b>", "😀", "tax,",
         "cafe\u0301", "👩\u200d👧", "\u200b", "\u3000", "\r\n", "\ufeff", "\u2028", "שלום", "日本", "\t"]


def trl_templates(families=FAMILIES):
    """{name: text} of the chat templates of `families` in the package trl, which is not imported; empty without it."""
    package = importlib.util.find_spec("trl")
    if package is None:
        return {}
    folder = pathlib.Path(package.submodule_search_locations[0], "chat_templates")
    return {path.stem: path.read_text() for path in sorted(folder.glob("*.jinja")) if path.stem.startswith(families)}


def trl_functions():
    """The functions by which TRL's SFTTrainer makes ids and masks of an example; empty without the package. They are taken out of its files:
    to import these needs packages that have no part in it."""
    package = importlib.util.find_spec("trl")
    if package is None:
        return {}
    folder = pathlib.Path(package.submodule_search_locations[0])
    names = {"data_utils.py": ("is_conversational", "_tokenize", "common_prefix_length"), "trainer/sft_trainer.py": ("add_eos", "tokenize_fn")}
    found = {"json": json, "ProcessorMixin": ProcessorMixin, "logger": types.SimpleNamespace(warning_once=lambda text: None)}
    for file, wanted in names.items():
        nodes = [node for node in ast.walk(ast.parse((folder / file).read_text()))
                 if isinstance(node, ast.FunctionDef) and node.name in wanted]
        assert sorted(node.name for node in nodes) == sorted(wanted), (file, [node.name for node in nodes])
        exec(compile(ast.Module(nodes, []), file, "exec", flags=__future__.annotations.compiler_flag), found)
    return found


def read_tokens(path):
    """[(ids, bits)] of the documents of a token file (docs/data.md)."""
    raw = pathlib.Path(path).read_bytes()
    id_bytes, = struct.unpack_from("<I", raw, 12)
    ids, documents = struct.unpack_from("<QQ", raw, 16)
    sections, = struct.unpack_from("<I", raw, 72)
    padded = lambda n: (n + 7) // 8 * 8  # noqa: E731
    all_ids = struct.unpack_from(f"<{ids}{'H' if id_bytes == 2 else 'I'}", raw, 128)
    starts_at = 128 + padded(ids * id_bytes)
    starts = struct.unpack_from(f"<{documents + 1}Q", raw, starts_at)
    bits_at = starts_at + 8 * (documents + 1)
    bits = [raw[bits_at + i // 8] >> (i % 8) & 1 if sections & 1 else 1 for i in range(ids)]
    return [(list(all_ids[a:b]), bits[a:b]) for a, b in zip(starts, starts[1:])]


def make_tokenizer(folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    r = random.Random(1)
    text = [" ".join(r.choices(WORDS, k=30)) for _ in range(200)]
    special = [AddedToken(t, special=True, normalized=False) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
    tokenizer.train_from_iterator(text, trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False,
                                                            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.save(f"{folder}/tokenizer.json")
    pathlib.Path(folder, "tokenizer_config.json").write_text(json.dumps(
        {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|endoftext|>", "chat_template": PLAIN}))
    return PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json", eos_token="<|endoftext|>")


def conversations():
    r = random.Random(2)
    say = lambda: " ".join(r.choices(WORDS, k=r.randrange(1, 30))).strip() + "."  # noqa: E731
    for _ in range(200):
        messages = [{"role": "system", "content": say()}] if r.random() < 0.4 else []
        for _ in range(r.randrange(1, 5)):
            messages += [{"role": "user", "content": say()}, {"role": "assistant", "content": say()}]
        yield messages


class MaskTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.folder = cls.scratch.name
        cls.tokenizer = make_tokenizer(cls.folder)

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def build(self, lines, *options):
        source, made = pathlib.Path(self.folder, "lines.jsonl"), f"{self.folder}/made.tokens"
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        subprocess.run([moesaic.MOESAIC, "data", "build", "--tokenizer", self.folder, "-o", made, *options, str(source)], check=True,
                       capture_output=True)
        return read_tokens(made)

    def masked(self, messages, template=MARKED):
        made = self.tokenizer.apply_chat_template(messages, chat_template=template, return_dict=True, return_assistant_tokens_mask=True)
        return list(made["input_ids"]), list(made["assistant_masks"])

    def check_same(self, made, wanted):
        """Without unittest's own account of the difference, which takes minutes."""
        self.assertEqual(len(made), len(wanted))
        for number, (one, other) in enumerate(zip(made, wanted)):
            self.assertTrue(one == other, f"document {number}: {one} instead of {other}")

    def test_chat(self):
        talks = list(conversations())
        wanted = [self.masked(messages) for messages in talks]
        marked = pathlib.Path(self.folder, "marked.jinja")
        marked.write_text(MARKED)
        self.check_same(self.build([{"messages": m} for m in talks], "--chat-template", str(marked)), wanted)
        self.check_same(self.build([{"messages": m} for m in talks]), wanted)
        names = {"system": "system", "user": "human", "assistant": "gpt"}
        shared = [{"conversations": [{"from": names[m["role"]], "value": m["content"]} for m in messages]} for messages in talks]
        self.check_same(self.build(shared), wanted)

    def test_trl_has_the_same_ids_and_targets(self):
        trl = trl_functions()
        if not trl:
            self.skipTest("trl is not installed (scripts/setup.sh --peers)")

        def made(line, template, mask):
            example = dict(line) if trl["is_conversational"](line) else trl["add_eos"](dict(line), "<|endoftext|>", "text")
            found = trl["tokenize_fn"](example, self.tokenizer, "text", mask == "assistant_masks", template)
            return list(found["input_ids"]), list(found[mask])

        chats = [{"messages": messages} for messages in conversations()]
        self.check_same([made(line, MARKED, "assistant_masks") for line in chats], self.build(chats))
        path = pathlib.Path(self.folder, "blanks.jinja")  # two line feeds are a token at the end of a text, and two before a word
        path.write_text(BLANKS)
        self.check_same([made(line, BLANKS, "assistant_masks") for line in chats], self.build(chats, "--chat-template", str(path)))
        for lines in (self.prompts(), self.prompts_of_messages()):
            self.check_same([made(line, PLAIN, "completion_mask") for line in lines], self.build(lines))

    def test_templates_of_trl_mark_the_same(self):
        training = {name: text for name, text in trl_templates().items() if name.endswith("_training")}
        if not training:
            self.skipTest("trl is not installed (scripts/setup.sh --peers)")
        talks = list(conversations())[:50]
        path = pathlib.Path(self.folder, "training.jinja")
        for name, template in training.items():
            with self.subTest(name):
                path.write_text(template)
                wanted = [self.masked(messages, template) for messages in talks]
                self.assertTrue(all(1 in mask and 0 in mask for _, mask in wanted))
                self.check_same(self.build([{"messages": m} for m in talks], "--chat-template", str(path)), wanted)

    def test_plain_templates_of_trl_have_the_same_answers(self):
        """Those that close the last turn in another way than those before: less the generation prompt and blanks between turns."""
        plain = {name: text for name, text in trl_templates(CLOSING).items() if not name.endswith("_training")}
        if not plain:
            self.skipTest("trl is not installed (scripts/setup.sh --peers)")
        talks, path = list(conversations())[:20], pathlib.Path(self.folder, "plain.jinja")
        for name, template in plain.items():
            path.write_text(template)
            made = self.build([{"messages": m} for m in talks], "--chat-template", str(path))
            for messages, (ids, bits) in zip(talks, made):
                with self.subTest(name, messages=messages):
                    wanted_ids, wanted = self.masked(messages, trl_templates(CLOSING)[f"{name}_training"])
                    self.assertTrue(ids == wanted_ids)
                    self.assertTrue(all(theirs >= ours for ours, theirs in zip(bits, wanted)))
                    left_out = self.tokenizer.decode([i for i, ours, theirs in zip(ids, bits, wanted) if theirs > ours])
                    self.assertEqual(left_out.replace("<|start|>assistant", "").strip(), "")

    def test_templates_of_trl_write_the_same(self):
        """Also what the training does not use: tools, thoughts, the prompt for an answer. None where Jinja raises."""
        templates = trl_templates()
        if not templates:
            self.skipTest("trl is not installed (scripts/setup.sh --peers)")
        questions = [chat_template_test.ask(template, talk, prompt, bos_token="<s>", eos_token="</s>", **more)
                     for template, talk, prompt in itertools.product(templates.values(), chat_template_test.TALKS, (False, True))
                     for more in ({}, {"tools": chat_template_test.TOOLS, "enable_thinking": False})]
        answers, texts = chat_template_test.answers(self, questions), [chat_template_test.wanted(q) for q in questions]
        for question, answer, text in zip(questions, answers, texts):
            self.assertEqual(answer.get("text"), text, (question["template"][:80], question["messages"], answer))
        self.assertGreater(sum(text is not None for text in texts), len(texts) // 2)

    @staticmethod
    def prompts():
        r = random.Random(3)
        return [{"prompt": messages[-2]["content"] + r.choice(["", " ", "\n"]), "completion": messages[-1]["content"]}
                for messages in conversations()]

    @staticmethod
    def prompts_of_messages():
        return [{"prompt": messages[:-1], "completion": messages[-1:]} for messages in conversations()]

    def test_prompts_and_completions(self):
        wanted = []
        for line in self.prompts():
            prompt, completion = line["prompt"], line["completion"]
            before, ids = self.tokenizer(prompt)["input_ids"], self.tokenizer(prompt + completion + "<|endoftext|>")["input_ids"]
            wanted.append(self.after(before, ids))
        self.check_same(self.build(self.prompts()), wanted)
        wanted = []
        for messages in conversations():
            ids = [self.tokenizer.apply_chat_template(m, chat_template=PLAIN, add_generation_prompt=ask, return_dict=True)["input_ids"]
                   for m, ask in ((messages[:-1], True), (messages, False))]
            wanted.append(self.after(*map(list, ids)))
        self.check_same(self.build(self.prompts_of_messages()), wanted)

    @staticmethod
    def after(before, ids):
        shared = next((i for i, (a, b) in enumerate(zip(before, ids)) if a != b), min(len(before), len(ids)))
        return ids, [0] * shared + [1] * (len(ids) - shared)


if __name__ == "__main__":
    unittest.main()
