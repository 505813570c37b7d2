"""Greedy generation with a KV cache against Transformers' generate, for every family and on two ranks."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import WORDS, RunTest  # noqa: E402

try:
    import tokenizers
    import torch
    import transformers_oracle as oracle
    from tiny_checkpoints import VARIANTS, make
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --parity installs it)")
    sys.exit(77)

PROMPT = "the expert that waits without work learns"
NEW_TOKENS = 24
NEAR_TIE = 2e-3  # between the best two logits: float32 may choose either


def train_tokenizer(folder):
    """A byte-level BPE of at most 100 ids, as small as the models."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=100, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS)], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def greedy(model, prompt):
    """Transformers' own choice, up to the end of text as the tokenizer has it, and the logits that it was picked from."""
    out = model.generate(torch.tensor([prompt]), max_new_tokens=NEW_TOKENS, do_sample=False, output_logits=True,
                         return_dict_in_generate=True, eos_token_id=0, pad_token_id=0)
    return out.sequences[0, len(prompt):].tolist(), [logits[0] for logits in out.logits]


class Generate(RunTest):
    def ask(self, hub, *arguments):
        shown = self.moesaic("generate", "--model", hub, "--prompt", PROMPT, "--max-new-tokens", NEW_TOKENS, "--json",
                             *arguments)
        return json.loads(shown.stdout)

    def check_same(self, answer, ids, logits):
        """Equal up to the first near tie, after which texts go apart."""
        for step, (ours, theirs) in enumerate(zip(answer["ids"], ids)):
            if ours != theirs:
                self.assertLess((logits[step][theirs] - logits[step][ours]).item(), NEAR_TIE, f"token {step}")
                return
        self.assertEqual(len(answer["ids"]), len(ids))

    def test_families(self):
        different = set()
        for variant in VARIANTS.values():
            with self.subTest(variant.name):
                hub = make(variant, self.folder / variant.name)
                tokenizer = train_tokenizer(hub)
                model = oracle.load(hub)
                prompt = tokenizer.encode(PROMPT).ids
                ids, logits = greedy(model, prompt)
                one = self.ask(hub)
                self.assertEqual(one["prompt_ids"], prompt)
                self.check_same(one, ids, logits)
                self.assertEqual(one["text"], tokenizer.decode([i for i in one["ids"] if i < 100]))
                different.add(tuple(one["ids"]))
                if variant.name == variant.model_type:
                    self.check_same(self.ask(hub, "-n", "2"), ids, logits)
        self.assertGreater(len(different), len(VARIANTS) // 2, "the models must not all say the same")


if __name__ == "__main__":
    unittest.main()
