#!/usr/bin/env python3
"""Writes libtrain/data/text/character_data.cpp: what the library tokenizers takes each character for, found by asking it.

    .venv-parity/bin/python scripts/unicode_tables.py        (some minutes)

Its parts go by several versions of Unicode: patterns by one, digits and lower case by another, punctuation, marks and
control characters by an old one. Nobody's tables are read: each set is what a pattern or a normaliser of the installed
library does with all characters.

Numbers are written in base 26, the last digit as a capital letter. A set is gap, length, gap, length ... from 0 on.
"""
import pathlib
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

VERSION = "0.23.3"
OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "libtrain/data/text/character_data.cpp"
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cn".split()
SCRIPTS = """Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo
Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Coptic
Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic
Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Gurung_Khema Han Hangul
Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inscriptional_Pahlavi Inscriptional_Parthian
Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao Latin
Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi
Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar
Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Ol_Onal Old_Hungarian
Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Old_Uyghur Oriya Osage Osmanya
Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian
Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le
Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Todhri Toto Tulu_Tigalari Ugaritic
Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square""".split()
PROPERTIES = ["Alphabetic", "Uppercase", "Lowercase", "Emoji", "Extended_Pictographic"]

END = 0x110000
SURROGATES = range(0xD800, 0xE000)
CHARACTERS = [c for c in range(END) if c not in SURROGATES]
ALL = "".join(map(chr, CHARACTERS))


def matched(pattern):
    """The characters that a pattern of one character matches."""
    pieces = pre_tokenizers.Split(Regex(f"(?:{pattern})+"), "removed", invert=True).pre_tokenize_str(ALL)
    return {ord(c) for piece, _ in pieces for c in piece}


def kept(pre_tokenizer):
    """The characters that a pre-tokenizer leaves in the text."""
    return {ord(c) for piece, _ in pre_tokenizer.pre_tokenize_str(ALL) for c in piece}


def cut_off(pre_tokenizer):
    """The characters that a pre-tokenizer cuts off from the letters around them."""
    pieces = pre_tokenizer.pre_tokenize_str("a" + "".join(c + "a" for c in ALL))
    return {ord(piece) for piece, _ in pieces if len(piece) == 1} - {ord("a")}


def changed(normalizer):
    """Character -> what it becomes, where that is another text."""
    became = ((c, normalizer.normalize_str(chr(c))) for c in CHARACTERS)
    return {c: text for c, text in became if text != chr(c)}


def removed(normalizer):
    return {c for c, text in changed(normalizer).items() if text == ""}


def composing():
    """Characters that a normal form changes, moves or joins with a neighbour."""
    canonical = changed(normalizers.NFD())
    found = set(canonical) | set(changed(normalizers.NFKD())) | {ord(c) for text in canonical.values() for c in text}
    order = normalizers.NFD()
    for c in CHARACTERS:
        low, high = chr(c) + "\u0334", "\u0301" + chr(c)  # marks of the classes 1 and 230
        if c not in found and (order.normalize_str(low) != low or order.normalize_str(high) != high):
            found.add(c)
    return found | set(range(0x1100, 0x1200))  # the letters that Hangul syllables are made of


def number(value):
    digits = chr(ord("A") + value % 26)
    while value >= 26:
        value //= 26
        digits = chr(ord("a") + value % 26) + digits
    return digits


def runs(characters):
    """[begin, end) of the stretches without gaps."""
    out = []
    for c in sorted(characters):
        if out and out[-1][1] == c:
            out[-1][1] = c + 1
        else:
            out.append([c, c + 1])
    return out


def set_text(characters):
    text, done = "", 0
    for begin, end in runs(characters):
        text += number(begin - done) + number(end - begin)
        done = end
    return text


def category_text(sets):
    """Length and name of each stretch of one category."""
    name = {c: category for category, characters in sets.items() for c in characters}
    name.update(dict.fromkeys(SURROGATES, "Cs"))
    assert len(name) == END
    text, begin = "", 0
    for c in range(1, END + 1):
        if c == END or name[c] != name[begin]:
            text += number(c - begin) + name[begin]
            begin = c
    return text


def lower_case_text(lower):
    """Gap, count, step and (twice the distance, plus one where it is negative) of series that move by one distance."""
    moves = {c: ord(text) - c for c, text in lower.items() if len(text) == 1}
    text, done = "", 0
    while moves:
        first = min(moves)
        step = 1 if moves.get(first + 1) == moves[first] else 2
        count = 1
        while moves.get(first + count * step) == moves[first] and (step == 1 or first + count * step - 1 not in moves):
            count += 1
        distance = moves[first]
        text += number(first - done) + number(count) + number(step) + number(2 * abs(distance) + (distance < 0))
        done = first + (count - 1) * step
        for i in range(count):
            del moves[first + i * step]
    return text


def literal(text, indent):
    width = 100 - len(indent) - 3
    return "\n".join(f'{indent}"{text[i:i + width]}"' for i in range(0, max(1, len(text)), width))


def source(texts, named):
    """The file, of texts by their names."""
    out = [f"// Made by scripts/unicode_tables.py, which asks tokenizers {VERSION}; do not edit.", '#include "data/text/character_data.h"', "",
           "namespace moesaic::character_data {", ""]
    for name, text in texts.items():
        out += [f"const std::string_view {name} =", literal(text, "    ") + ";", ""]
    out += ["const std::vector<NamedSet>& named_sets() {", "  static const std::vector<NamedSet> kSets = {"]
    for name, text in named.items():
        line = f'      {{"{name}", "{text}"}},'
        out += [line] if len(line) <= 100 else [f'      {{"{name}",', literal(text, "       ") + "},"]
    return "\n".join([*out, "  };", "  return kSets;", "}", "", "}  // namespace moesaic::character_data", ""])


def check(categories, properties):
    """What the program derives instead of holding it."""
    of = lambda *names: set().union(*(categories[name] for name in names))  # noqa: E731
    letters = of("Lu", "Ll", "Lt", "Lm", "Lo")
    word = properties["Alphabetic"] | of("Mn", "Mc", "Me", "Nd", "Pc")
    assert matched(r"\w") == word | {0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE}
    assert cut_off(pre_tokenizers.Whitespace()) | word | {0x200C, 0x200D} | set(CHARACTERS) - kept(pre_tokenizers.Whitespace()) == set(CHARACTERS)
    assert cut_off(pre_tokenizers.Whitespace()) & (word | {0x200C, 0x200D}) == set()
    blanks = of("Zs", "Zl", "Zp") | set(range(9, 14)) | {0x85}
    assert matched(r"\s") == blanks == set(CHARACTERS) - kept(pre_tokenizers.WhitespaceSplit())
    assert matched(r"\d") == of("Nd") and matched(r"\p{L}") == letters
    assert matched("[[:punct:]]") == of(*(c for c in CATEGORIES if c[0] in "PS"))


def main():
    if tokenizers.__version__ != VERSION:
        sys.exit(f"tokenizers {tokenizers.__version__} is installed; the tables are those of {VERSION}")
    categories = {name: matched(rf"\p{{{name}}}") for name in CATEGORIES}
    named = {name: matched(rf"\p{{{name}}}") for name in PROPERTIES}
    check(categories, named)
    lower = changed(normalizers.Lowercase())
    assert {c for c, text in lower.items() if len(text) != 1} == {0x130}
    named |= {name: matched(rf"\p{{{name}}}") for name in SCRIPTS}
    bert = dict(handle_chinese_chars=False, lowercase=False)
    texts = {
        "kCategories": category_text(categories),
        "kNumeric": set_text(cut_off(pre_tokenizers.Digits(individual_digits=True))),
        "kPunctuation": set_text(cut_off(pre_tokenizers.Punctuation(behavior="isolated"))),
        "kMark": set_text(removed(normalizers.StripAccents())),
        "kNonspacingMark": set_text(removed(normalizers.BertNormalizer(clean_text=False, strip_accents=True, **bert))),
        "kControl": set_text(removed(normalizers.BertNormalizer(clean_text=True, strip_accents=False, **bert))),
        "kComposing": set_text(composing()),
        "kLowerCase": lower_case_text(lower)}
    names = {name.replace("_", "").lower(): set_text(characters) for name, characters in named.items()}
    OUTPUT.write_text(source(texts, names))


if __name__ == "__main__":
    main()
