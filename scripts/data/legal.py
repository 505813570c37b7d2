#!/usr/bin/env python3
"""Legal text: 2,300 licences and terms of use, and the question which category one belongs to, from the Python package
licensedcode-data (27 MB to fetch, nothing is installed; CC-BY-4.0). Writes data/cache/legal (domain_corpus.py says what).

    scripts/data/legal.py [--package FILE.whl]
"""
import re

import domain_corpus

PACKAGES = ["licensedcode-data==32.1.0"]
CATEGORIES = ["Permissive", "Proprietary Free", "Copyleft Limited", "Copyleft"]  # the four with most texts
EXCERPT = 400  # characters of a text that a question shows


def question(category):
    """Nothing is asked of texts in the small categories."""
    def ask(text):
        if category not in CATEGORIES:
            return []
        excerpt = re.sub(r"\s+", " ", text)[:EXCERPT].rsplit(" ", 1)[0]
        return [(f"Licence: {excerpt}\nCategory:", [f" {name}" for name in CATEGORIES], CATEGORIES.index(category))]
    return ask


def documents(package):
    """A file has a head between two lines of dashes, then the text. Those in other languages than English are left out."""
    for path in sorted((package / "licensedcode/data/licenses").glob("*.LICENSE")):
        _, head, text = re.split(r"^---\s*$", path.read_text(encoding="utf-8"), maxsplit=2, flags=re.M)
        about = dict(re.findall(r"^(category|language): *(.*)$", head, flags=re.M))
        if about.get("language", "en") == "en":
            blocks = [re.sub(r"\s+", " ", block).strip() for block in re.split(r"\n\s*\n", text)]
            yield domain_corpus.Document(path.stem, [b for b in blocks if b], question(about.get("category")))


if __name__ == "__main__":
    domain_corpus.main(__doc__, "legal", PACKAGES, documents, least_characters=150)
