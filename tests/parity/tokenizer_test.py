#!/usr/bin/env python3
"""Token ids and decoded text beside Hugging Face tokenizers (the Rust library): tokenizer.json files that are trained here,
with every pre-tokenizer, normaliser and decoder that Moesaic reads, over text that is hard to cut.
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import moesaic  # noqa: E402

try:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
except ImportError:
    print("skipped: tokenizers is not installed (scripts/setup.sh --parity)")
    sys.exit(77)

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [Regex(r"\p{N}{1,3}"), Regex("[一-龥぀-ゟ゠-ヿ]+"),
            Regex("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")]


def tokenize(path, *options, stdin):
    """What `moesaic tokenize` prints for these bytes."""
    done = subprocess.run([moesaic.MOESAIC, "tokenize", "--tokenizer", path, *options], input=stdin.encode(), capture_output=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return done.stdout.decode()


def text(seed, size):
    """Words of several scripts, code, digits, emoji, combining marks, runs of blanks, special tokens."""
    r = random.Random(seed)
    words = [line for path in ("/usr/share/common-licenses/GPL-3", "/usr/share/common-licenses/Apache-2.0") if os.path.exists(path)
             for line in open(path, encoding="utf-8").read().split(" ")] or ["the", "licence", "of\n"]
    code = pathlib.Path(random.__file__).read_text(encoding="utf-8").split("\n")
    pieces = [lambda: " ".join(r.choices(words, k=r.randrange(1, 40))),
              lambda: "\n".join(code[(i := r.randrange(len(code))):i + r.randrange(1, 12)]),
              lambda: "".join(chr(r.randrange(0x4E00, 0x9FA5)) for _ in range(r.randrange(1, 30))) + "，。",
              lambda: "".join(chr(r.randrange(0x3041, 0x30FF)) for _ in range(r.randrange(1, 20))),
              lambda: "".join(chr(r.randrange(0x410, 0x450)) for _ in range(r.randrange(1, 20))),
              lambda: "".join(chr(r.randrange(0x620, 0x64A)) for _ in range(r.randrange(1, 10))),
              lambda: "".join(chr(r.randrange(0xC0, 0x250)) for _ in range(r.randrange(1, 10))),
              lambda: "".join(chr(r.randrange(0x1F300, 0x1F650)) for _ in range(r.randrange(1, 6))) + "👩‍👩‍👧‍👦🇩🇪",
              lambda: "".join(c + chr(r.randrange(0x300, 0x36F)) for c in "aeiouAEIOU"),
              lambda: str(r.randrange(10 ** r.randrange(1, 40))), lambda: " " * r.randrange(1, 40), lambda: "\n" * r.randrange(1, 5),
              lambda: "\t\r\n \u00a0\u2003\u3000\u0085\u2028", lambda: "don't I'LL we've it's 'Tis", lambda: "x_y-z+=<|sep|>a@b.c/d\\e~`^$",
              lambda: " <|sep|> ", lambda: "<|end|>word<mask> <mask>s", lambda: "ﬁ ½ ² Ⅷ ｆｕｌｌ ① Å İ ẞ ς Σ", lambda: "a" * r.randrange(1, 200)]
    out = []
    while sum(map(len, out)) < size:
        out.append(r.choice(pieces)())
        if r.random() < 0.5:
            out.append(r.choice([" ", "\n", ", ", ""]))
    return "".join(out)


def trained(pre, normalizer=None, decoder=None, post=None, model=None, trainer=None, vocabulary=3000):
    tokenizer = Tokenizer(model or models.BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    if decoder:
        tokenizer.decoder = decoder
    byte_level = "ByteLevel" in str(pre)
    trainer = trainer or trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False, special_tokens=["<|end|>"],
                                             initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if byte_level else [])
    tokenizer.train_from_iterator([text(7, 200_000)], trainer)
    tokenizer.add_special_tokens([AddedToken("<|sep|>", rstrip=True)])
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, single_word=True, normalized=True)])
    if post:
        tokenizer.post_processor = post
    return tokenizer


def files():
    byte_level = pre_tokenizers.ByteLevel
    split = pre_tokenizers.Split
    sequence = pre_tokenizers.Sequence
    yield "ByteLevel", trained(byte_level(add_prefix_space=False), decoder=decoders.ByteLevel())
    yield "ByteLevel, prefix space, NFKC", trained(byte_level(add_prefix_space=True), normalizers.NFKC(), decoders.ByteLevel())
    yield "Llama 3", trained(sequence([split(Regex(LLAMA3), "isolated"), byte_level(add_prefix_space=False, use_regex=False)]), decoder=decoders.ByteLevel())
    yield "DeepSeek", trained(sequence([*(split(p, "isolated") for p in DEEPSEEK), byte_level(add_prefix_space=False, use_regex=False)]),
                              normalizers.Sequence([]), decoders.ByteLevel())
    yield "digits, NFC", trained(sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(add_prefix_space=False)]), normalizers.NFC(), decoders.ByteLevel())
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for pattern in ("e", Regex(r"\s+|[aeiou]{2}")):
            for invert in (False, True):
                yield (f"Split {behavior} {pattern} {invert}",
                       trained(sequence([pre_tokenizers.WhitespaceSplit(), split(pattern, behavior, invert)]), vocabulary=600))
    yield "Digits", trained(sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Digits()]), normalizers.NFD())
    yield "Punctuation", trained(sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]), normalizers.StripAccents())
    yield "Whitespace", trained(pre_tokenizers.Whitespace(), normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()]))
    for scheme in ("always", "first", "never"):
        yield (f"Metaspace {scheme}, byte fallback",
               trained(pre_tokenizers.Metaspace(prepend_scheme=scheme), decoder=decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=scheme)]),
                       model=models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True),
                       trainer=trainers.BpeTrainer(vocab_size=2000, show_progress=False, limit_alphabet=150,
                                                   special_tokens=["<unk>", "<|end|>", *(f"<0x{b:02X}>" for b in range(256))])))
    yield ("Llama 2", trained(pre_tokenizers.Split("▁", "merged_with_next"), normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
                              decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
                              model=models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True),
                              trainer=trainers.BpeTrainer(vocab_size=2000, show_progress=False, limit_alphabet=150, special_tokens=["<unk>", *(f"<0x{b:02X}>" for b in range(256))])))
    for fuse in (False, True):
        yield (f"unknown characters, fuse {fuse}",
               trained(pre_tokenizers.WhitespaceSplit(), model=models.BPE(unk_token="<unk>", fuse_unk=fuse, continuing_subword_prefix="##", end_of_word_suffix="</w>"),
                       trainer=trainers.BpeTrainer(vocab_size=1500, show_progress=False, limit_alphabet=80, special_tokens=["<unk>"],
                                                   continuing_subword_prefix="##", end_of_word_suffix="</w>")))
    yield ("WordPiece", trained(pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer(), decoders.WordPiece(), processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]), models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(vocab_size=2000, show_progress=False, special_tokens=["[UNK]", "[CLS]", "[SEP]"])))
    merged = json.loads(trained(byte_level(add_prefix_space=False), decoder=decoders.ByteLevel()).to_str())
    merged["model"]["ignore_merges"] = True
    merged["model"]["merges"] = [" ".join(pair) if isinstance(pair, list) else pair for pair in merged["model"]["merges"]][:500]
    yield "ignore_merges, merges as strings", Tokenizer.from_str(json.dumps(merged))


class TokenizerTest(unittest.TestCase):
    def test_ids_and_text_are_those_of_tokenizers(self):
        with tempfile.TemporaryDirectory() as folder:
            for number, (name, tokenizer) in enumerate(files()):
                with self.subTest(name):
                    path = os.path.join(folder, f"{number}.json")
                    tokenizer.save(path)
                    self.check(tokenizer, path, text(100 + number, 60_000))

    def check(self, tokenizer, path, document):
        for special in (False, True):
            wanted = tokenizer.encode(document, add_special_tokens=special).ids
            ids = json.loads(tokenize(path, *(["--special"] if special else []), stdin=document))
            if ids != wanted:
                at = next((i for i, pair in enumerate(zip(ids, wanted)) if pair[0] != pair[1]), min(len(ids), len(wanted)))
                near = slice(max(0, at - 3), at + 5)
                self.fail(f"id {at} of {len(ids)}, {len(wanted)}: {[tokenizer.id_to_token(i) for i in ids[near]]}, "
                          f"wanted {[tokenizer.id_to_token(i) for i in wanted[near]]}")
        for skip in (False, True):
            back = tokenize(path, "--decode", *(["--skip-special"] if skip else []), stdin=json.dumps(wanted))
            self.assertEqual(back, tokenizer.decode(wanted, skip_special_tokens=skip))


if __name__ == "__main__":
    unittest.main()
