#!/usr/bin/env python3
"""Every character of Unicode between letters, blanks, digits and signs: the ids are those of Hugging Face tokenizers, for five
tokenizers whose merges show where a text is cut. And patterns in the syntax of Oniguruma, with what they match.
"""
import json
import os
import tempfile
import unicodedata
import unittest

from tokenizer_test import DEEPSEEK, LLAMA3, tokenize
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

CHARACTERS = [c for c in map(chr, range(0x110000)) if not "\ud800" <= c <= "\udfff" and c != "\n"]  # a line is a text
NEIGHBOURS = "ab1! \r\u0301e"


def is_plain(c):
    """Ideographs and syllables, and planes where nothing is assigned: fewer places are enough."""
    return unicodedata.category(c) in ("Lo", "Co") or c >= "\U000e0200" or "\U00033480" <= c < "\U000e0000"


def all_texts():
    """Lines that have each character in several places."""
    for begin in range(0, len(CHARACTERS), 1024):
        yield "".join(f" {c}a" if is_plain(c) else f"a{c}b {c}{c}!{c}1{c}\r {c}\u0301e" for c in CHARACTERS[begin:begin + 1024])


def byte_pairs():
    """A byte-level model that joins each of the neighbours with any byte: ids tell where words begin and end."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = {c for character in NEIGHBOURS for c in pre_tokenizers.ByteLevel(False, use_regex=False).pre_tokenize_str(character)[0][0]}
    merges = [(a, b) for a in alphabet for b in alphabet if a in inner or b in inner]
    vocabulary = {token: i for i, token in enumerate([*alphabet, *dict.fromkeys(a + b for a, b in merges)])}
    return models.BPE(vocabulary, merges)


def words():
    """A model of words: it knows the neighbours and what letters become."""
    changed = {d for c in CHARACTERS if not is_plain(c) for d in unicodedata.normalize("NFD", c) + c.lower() if d != c or c.lower() != c}
    tokens = ["[UNK]", *sorted(set(NEIGHBOURS) | changed)]
    return models.WordPiece({token: i for i, token in enumerate([*tokens, *("##" + t for t in tokens[1:])])}, unk_token="[UNK]",
                            max_input_chars_per_word=1000)


def byte_level(pre_tokenizer, normalizer=None):
    tokenizer = Tokenizer(byte_pairs())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    return tokenizer


def tokenizers():
    split, last = pre_tokenizers.Split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    yield "DeepSeek", byte_level(pre_tokenizers.Sequence([*(split(p, "isolated") for p in DEEPSEEK), last]))
    yield "Llama 3", byte_level(pre_tokenizers.Sequence([split(Regex(LLAMA3), "isolated"), last]))
    yield "byte level", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    yield "OLMo", byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
                             normalizers.NFC())
    bert = Tokenizer(words())
    bert.normalizer, bert.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    yield "BERT", bert


PATTERNS = ["(?i:'s|'k)", "(?i:[à-ÿſ])", "a(?i)b|c", "(?m:.)+", ".+", "a{,2}", "a{2}?", "(?:a{1,2}+)b", "a++b", "a{2", "a{", "}", "]", "a**",
            r"\p{^L}+", r"\P{L}", r"\u0041", r"\x{1F600}", r"\x41", r"\101", r"[a-c&&b-d]", "[^a-c&&[b-d]]", "[[ab]c]", "[]a]", "[^]a]", "[a-]",
            r"[a\-c]", "[[:alpha:]]+", "[[:^alpha:]]", "[a[:digit:]]", "[[:word:]]+", "[[:punct:]]", r"[\p{L}&&[^a]]", r"\w+", "^a", "a$", "$", "^",
            r"\Aa", r"a\z", r"a\Z", r"\ba\b", r"\B", r"\h", r"\N+", r"\O", "(?<=a|bc)d", "(?>a+)b", "(?#c)a", "(?<n>a)b", "(?x: a b )", r"\-", r"\/",
            r"(?=\d{3})", r"\p{Han}+", r"\p{letter}", r"\p{Lower}", r"\p{alnum}", r"\p{LC}", r"\p{Script_Extensions}", "(a|b)+?c", r"\s+(?!\S)", "a|",
            r"(?i:[\p{Lu}])", r"(?i:\p{Lu})", r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+", r"[\p{Han}]+|[^\p{Han}]"]
SAMPLE = ("a ba\naab aaaab a{2 a{ } ] abcd bcd aBc C AB Ab ab 's 'S 'ſ 'K À ß é Å 中文a か 12345 1 ½² _-+$ \x08 😀 A \u0085\u00a0\u180e \U0001FAE8 \n\na/b\t"
          "XaBx Ǆǅ a\r\nb c\n")


class CharactersTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = os.path.join(self.folder.name, "tokenizer.json")

    def test_every_character(self):
        lines = list(all_texts())
        for name, tokenizer in tokenizers():
            with self.subTest(name):
                tokenizer.save(self.path)
                shown = tokenize(self.path, "--lines", stdin="\n".join(lines)).split("\n")
                for begin in range(0, len(lines), 32):  # a few at a time: their encodings are large
                    for i, wanted in enumerate(tokenizer.encode_batch(lines[begin:begin + 32], add_special_tokens=False), begin):
                        if json.loads(shown[i]) != wanted.ids:
                            self.fail(self.difference(tokenizer, lines[i], json.loads(shown[i]), wanted))

    def difference(self, tokenizer, line, ids, wanted):
        at = next((k for k, pair in enumerate(zip(ids, wanted.ids)) if pair[0] != pair[1]), min(len(ids), len(wanted.ids)) - 1)
        begin, end = wanted.offsets[at]
        return f"near {line[max(0, begin - 6):end + 6]!a}: {[tokenizer.id_to_token(k) for k in ids[at - 2:at + 4]]}"

    def test_patterns(self):
        for pattern in PATTERNS:
            with self.subTest(pattern):
                try:
                    split = pre_tokenizers.Split(Regex(pattern), "isolated")
                except Exception:  # the library has exceptions of no other kind
                    split = None
                data = json.loads(byte_level(pre_tokenizers.Sequence([pre_tokenizers.Split("\0", "isolated"),
                                                                      pre_tokenizers.ByteLevel(False, use_regex=False)])).to_str())
                data["pre_tokenizer"]["pretokenizers"][0]["pattern"] = {"Regex": pattern}
                with open(self.path, "w", encoding="utf-8") as file:
                    json.dump(data, file)
                if split is None:
                    with self.assertRaises(AssertionError):
                        tokenize(self.path, stdin=SAMPLE)
                else:
                    wanted = Tokenizer.from_file(self.path).encode(SAMPLE, add_special_tokens=False).ids
                    self.assertEqual(json.loads(tokenize(self.path, stdin=SAMPLE)), wanted)


if __name__ == "__main__":
    unittest.main()
