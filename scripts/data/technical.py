#!/usr/bin/env python3
"""Technical text: the PostgreSQL manual that scripts/data/postgresql.sh made, in three parts, and the question under which title a
paragraph stands. Writes data/cache/technical (domain_corpus.py says what).

    scripts/data/technical.py
"""
import json

import domain_corpus
from titles import titled

SOURCE = domain_corpus.ROOT / "data/cache/postgresql"


def main():
    output = domain_corpus.ROOT / "data/cache/technical"
    if domain_corpus.is_current(output):
        return
    if not (SOURCE / "info.json").exists():
        raise SystemExit("data/cache/postgresql is not there: scripts/data/postgresql.sh makes it")
    rows = [json.loads(line) for split in ("train", "valid") for line in open(SOURCE / f"{split}.jsonl", encoding="utf-8")]
    about = json.loads((SOURCE / "info.json").read_text())
    sources = [{"package": about["source"], "sha256": about["package_sha256"]}]
    pages = [(row["id"], row["text"].strip().split("\n\n")) for row in rows]
    domain_corpus.report(output, domain_corpus.write(output, sources, titled(pages), least_characters=300))


if __name__ == "__main__":
    main()
