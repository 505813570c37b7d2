#!/usr/bin/env python3
"""General English, the yardstick of what fine-tuning forgets: the glosses of WordNet 3.0, from the Debian package wordnet-base
(6.5 MB to fetch, nothing is installed; WordNet licence). Writes data/cache/general (domain_corpus.py says what).

    scripts/data/general.py [--package wordnet-base.deb]
"""
import domain_corpus

PACKAGES = ["wordnet-base"]
PARTS = {"noun": "noun", "verb": "verb", "adj": "adjective", "adv": "adverb"}


def documents(package):
    """A line is: offset, file, part, number of words, the words (each with an id), pointers, '|', the gloss."""
    for part, name in PARTS.items():
        for line in (package / "usr/share/wordnet" / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if not line.startswith(" "):  # the licence
                head, gloss = line.split(" | ", 1)
                fields = head.split(" ")
                word = fields[4].replace("_", " ").split("(")[0]
                yield domain_corpus.Document(f"{part}-{fields[0]}", [f"{word} ({name}): {gloss.strip()}"])


if __name__ == "__main__":
    domain_corpus.main(__doc__, "general", PACKAGES, documents, least_characters=20)
