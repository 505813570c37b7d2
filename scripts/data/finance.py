#!/usr/bin/env python3
"""Accounting prose: the guide and the manual of GnuCash and the manual of Ledger, and the question under which title a paragraph
stands, from the Debian packages gnucash-docs (145 MB to fetch, most of it pictures; GFDL) and ledger (2 MB; BSD). Nothing is
installed. Writes data/cache/finance (domain_corpus.py says what).

    scripts/data/finance.py [--package gnucash-docs.deb --package ledger.deb]
"""
import re

import domain_corpus
import html_corpus
from titles import titled

PACKAGES = ["gnucash-docs", "ledger"]


def pages(folder):
    for manual in ("gnucash-guide-en", "gnucash-help-en"):
        for path in sorted((folder / "usr/share/doc/gnucash-docs" / manual).glob("*.html")):
            if path.stem not in html_corpus.SKIPPED_PAGES:
                yield f"{manual}/{path.stem}", [text for text, _ in html_corpus.read_page(path)]


def sections(path):
    """The sections of a manual that is one page; the lines that lead to other sections are left out."""
    for number, part in enumerate(re.split(r"<hr>\s*</div>", path.read_text(encoding="utf-8"))[1:]):
        heading = re.search(r"<h[2-5][^>]*>", part)
        if heading:
            page = html_corpus.Page()
            page.feed(part[heading.start():])
            page.close()
            yield f"ledger/{number}", [re.sub(r"^[\dA-Z.]+ (?=\w)", "", page.blocks[0][0]), *(t for t, _ in page.blocks[1:])]


def documents(gnucash, ledger):
    return titled([*pages(gnucash), *sections(ledger / "usr/share/doc/ledger/ledger3.html")])


if __name__ == "__main__":
    domain_corpus.main(__doc__, "finance", PACKAGES, documents, least_characters=300)
