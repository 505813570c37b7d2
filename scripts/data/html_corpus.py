#!/usr/bin/env python3
"""A folder of DocBook HTML pages to a training and a validation corpus (JSONL). Standard library only.

    html_corpus.py build FOLDER OUTPUT --source NAME --sha256 HEX
    html_corpus.py check OUTPUT          exit 0 when OUTPUT holds what this version would write

One page is one document. Navigation, tables of contents and index pages are left out, and so is every paragraph that
an earlier document has word for word. The split is by a hash of the page's name and concerns whole documents; training
documents are read first, so a validation document keeps no paragraph that training text has.
"""
import argparse
import hashlib
import html.parser
import json
import os
import pathlib
import re
import sys
import unicodedata

VERSION = 1  # raise it when the same pages give other text
VALID_SHARE = 0.05
MIN_DOCUMENT = 300  # characters; shorter pages are headings of chapters
MIN_DUPLICATE = 40  # characters; shorter blocks ("Description", "See Also") are structure, not text
SKIPPED_PAGES = {"index", "bookindex", "legalnotice", "biblio"}
SKIPPED_CLASSES = {"navheader", "navfooter", "toc", "list-of-tables", "list-of-figures", "list-of-examples", "index",
                   "legalnotice", "copyright"}
SKIPPED_TAGS = {"head", "script", "style", "object"}
VOID_TAGS = {"br", "hr", "img", "meta", "link", "col", "input"}
BLOCK_TAGS = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "li", "ul", "ol", "dl", "dt", "dd", "pre", "table",
              "thead", "tbody", "tr", "blockquote", "hr"}


class Page(html.parser.HTMLParser):
    """The blocks of text of one page: (text, whether it follows the block before it without an empty line)."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.blocks = []
        self._text = []
        self._skip_depth = 0
        self._pre_depth = 0
        self._row = None  # cells of the table row that is open: lists of lines
        self._bullet = ""

    def handle_starttag(self, tag, attributes):
        if self._skip_depth or tag in SKIPPED_TAGS or self._is_skipped(attributes):
            self._skip_depth += tag not in VOID_TAGS
            return
        if tag == "br":
            self._text.append("\n" if self._pre_depth else " ")
        if tag in BLOCK_TAGS:
            self._flush()
        if tag == "pre":
            self._pre_depth += 1
        if tag == "tr":
            self._row = []
        if tag in ("td", "th"):
            self._flush()
            if self._row is not None:
                self._row.append([])
        if tag == "li":
            self._bullet = "- "

    def handle_endtag(self, tag):
        if tag in VOID_TAGS:
            return
        if self._skip_depth:
            self._skip_depth -= 1
            return
        if tag in BLOCK_TAGS or tag in ("td", "th"):
            self._flush()
        if tag == "pre":
            self._pre_depth -= 1
        if tag == "tr" and self._row is not None:
            row = " | ".join("\n".join(cell) for cell in self._row if cell)
            self._row = None
            if row:
                self.blocks.append((row, bool(self.blocks) and self.blocks[-1][0].count(" | ") > 0))

    def handle_data(self, data):
        if not self._skip_depth:
            self._text.append(data)

    @staticmethod
    def _is_skipped(attributes):
        classes = (dict(attributes).get("class") or "").split()
        return any(name in SKIPPED_CLASSES for name in classes)

    def _flush(self):
        text = clean("".join(self._text), keep_lines=self._pre_depth > 0)
        self._text = []
        if not text.strip():
            return
        if self._row:
            self._row[-1].append(text)
        else:
            self.blocks.append((self._bullet + text, False))
            self._bullet = ""


def clean(text, keep_lines):
    text = unicodedata.normalize("NFC", text).replace("\u00a0", " ").replace("\u200b", "").replace("\u00ad", "")
    if keep_lines:
        return "\n".join(line.rstrip() for line in text.expandtabs(4).split("\n")).strip("\n")
    return re.sub(r"(\s*\u00a7)+$", "", re.sub(r"\s+", " ", text).strip())  # section signs: links of release notes


def read_page(path):
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page.blocks


def is_validation(name):
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return number < VALID_SHARE * 2**64


class Deduplicator:
    """Drops blocks that were seen before, whatever their case and spacing, and documents of which too little is left."""

    def __init__(self, least_characters=MIN_DOCUMENT):
        self.least_characters = least_characters
        self.seen = set()
        self.dropped_blocks = 0
        self.dropped_documents = 0

    def document(self, blocks):
        """The text that is new, or None when too little is."""
        kept = []
        for text, tight in blocks:
            key = re.sub(r"\s+", " ", text).casefold()
            if len(key) >= MIN_DUPLICATE:
                if key in self.seen:
                    self.dropped_blocks += 1
                    continue
                self.seen.add(key)
            kept.append(("\n" if tight else "\n\n") + text)
        whole = "".join(kept).strip()
        if len(whole) >= self.least_characters:
            return whole + "\n"
        self.dropped_documents += 1
        return None


def write_atomic(path, content):
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def build(folder, output, source, digest):
    names = sorted(path.stem for path in folder.glob("*.html") if path.stem not in SKIPPED_PAGES)
    if not names:
        raise SystemExit(f"html_corpus: no HTML page in {folder}")
    splits = {"train": [n for n in names if not is_validation(n)], "valid": [n for n in names if is_validation(n)]}
    deduplicator = Deduplicator()
    info = {"version": VERSION, "source": source, "package_sha256": digest, "pages": len(names)}
    output.mkdir(parents=True, exist_ok=True)
    for split, members in splits.items():  # training first
        texts = {name: deduplicator.document(read_page(folder / f"{name}.html")) for name in members}
        lines = [json.dumps({"id": name, "text": text}, ensure_ascii=False) for name, text in texts.items() if text]
        if not lines:
            raise SystemExit(f"html_corpus: {folder} gives no {split} document")
        content = "".join(line + "\n" for line in lines).encode()
        write_atomic(output / f"{split}.jsonl", content)
        info[split] = {"documents": len(lines), "text_bytes": sum(len(t.encode()) for t in texts.values() if t),
                       "file_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    info["dropped_documents"] = deduplicator.dropped_documents
    info["dropped_paragraphs"] = deduplicator.dropped_blocks
    write_atomic(output / "info.json", (json.dumps(info, indent=2) + "\n").encode())
    return info


def is_current(output):
    try:
        info = json.loads((output / "info.json").read_text())
        contents = {split: (output / f"{split}.jsonl").read_bytes() for split in ("train", "valid")}
        return info["version"] == VERSION and all(
            hashlib.sha256(content).hexdigest() == info[split]["sha256"] for split, content in contents.items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("build")
    verb.add_argument("folder", type=pathlib.Path)
    verb.add_argument("output", type=pathlib.Path)
    verb.add_argument("--source", required=True)
    verb.add_argument("--sha256", required=True)
    verbs.add_parser("check").add_argument("output", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.verb == "check":
        sys.exit(0 if is_current(arguments.output) else 1)
    info = build(arguments.folder, arguments.output, arguments.source, arguments.sha256)
    for split in ("train", "valid"):
        part = info[split]
        print(f"{arguments.output}/{split}.jsonl: {part['documents']} documents, {part['text_bytes'] / 1e6:.2f} MB of text, "
              f"sha256 {part['sha256'][:16]}", file=sys.stderr)


if __name__ == "__main__":
    main()
