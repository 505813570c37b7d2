#!/usr/bin/env python3
"""Runs every command that README.md and docs/**/*.md print, from a clean clone of this checkout (what is committed), page after
page. A command is a line of a fenced block `sh` or `bash`, or what follows `$ ` in a block `console`. Long ones are run
shortened, and some not at all: SHORTENED and SKIPPED below say which, and why. Standard library only.

    scripts/check_docs.py                   all pages, in a temporary folder (half an hour on two cores)
    scripts/check_docs.py --only text.md    pages of this name
    scripts/check_docs.py --list            starts nothing: what would be done, and what no rule is for any longer
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIMEOUT = 1200  # seconds, of one command
PROGRAMS = ("moesaic", "moesaic-worker", "moesaic-site", "mpirun", "srun", "cmake", "ctest", "python3", "checkpoint_speed", "tensorboard")

# (page, start of the command): why it is not run.
SKIPPED = {
    ("README.md", "scripts/test.sh"): "runs all tests, which has a place of its own",
    ("README.md", "tensorboard"): "a server that runs until it is stopped",
    ("continual.md", "moesaic importance --model models/hospital"): "a model and text that a reader has",
    ("federated.md", "docker"): "a Docker daemon",
    ("federated.md", "moesaic federate coordinator"): "needs the silos' machines",
    ("federated.md", "moesaic federate silo"): "needs the coordinator's machine",
    ("federated.md", "moesaic federate simulate"): "a model and data that a reader has",
    ("federated.md", "python3 scripts/experiments/federated.py"): "only measures, for many hours",
    ("federated.md", ".venv-parity/bin/python tests/bench/federated_round.py"): "a peer's script, which is not part of this repository",
    ("federated.md", "tests/bench/federated_clients.py"): "only measures, for minutes",
    ("install.md", "python3 -m venv venv"): "downloads the torch wheel once more",
    ("install.md", "cmake --preset release -DMOESAIC_VENV"): "needs the environment of the line before",
    ("privacy.md", "moesaic privacy audit"): "a recipe and letters that a reader has",
    ("privacy.md", "python3 scripts/experiments/privacy.py"): "only measures, for many hours",
    ("privacy.md", "tests/bench/privacy.py"): "a peer's script, which is not part of this repository",
    ("reliability.md", "scripts/chaos.py"): "only measures, for an hour",
    ("reliability.md", "tests/bench/supervisor.py"): "only measures, for minutes",
    ("running.md", "#SBATCH"): "a cluster",
    ("running.md", "moesaic train recipe.yaml -n 16"): "a cluster",
    ("running.md", "trap"): "a cluster",
    ("running.md", "wait"): "a cluster",
    ("running.md", "if ["): "a cluster",
    ("running.md", "exit"): "a cluster",
    ("running.md", "mpirun -n 16"): "16 ranks",
    ("running.md", "srun"): "a cluster",
    ("hardware.md", "moesaic plan finetune/large"): "the config.json of a model that a reader has",
    ("monitoring.md", "prometheus"): "a server that runs until it is stopped",
    ("monitoring.md", "sudo"): "Grafana, which has a machine of its own",
    ("weights.md", "moesaic import OLMoE-1B-7B"): "weights of 13 GB",
    **{("weights.md", f"moesaic {start}"): "a model and an adapter that a reader has"
       for start in ("score --model base", "export base merged", "import adapter mine", "export mine again", "export adapter other")},
    ("continual.md", "python3 scripts/experiments/fashion_mnist_avalanche.py"): "a Python with avalanche-lib",
    ("finetune-speed.md", "tests/bench/finetune.py"): "a peer's script, which is not part of this repository",
    ("finetune.md", "python3 scripts/experiments/finetune.py"): "only measures, for many hours",
    ("checkpoint.md", "checkpoint_speed"): "only measures, with a build of its own",
    ("checkpoint.md", "mpirun -n 2"): "only measures, with a build of its own",
    ("gpu.md", "scripts/test_gpu.sh"): "a CUDA device",
    ("gpu.md", "scripts/gpu_packages.sh"): "downloads packages for another machine",
    ("scaling.md", "tests/bench/scaling.py"): "only measures, for half an hour",
    ("speed.md", "tests/bench/compare_peers.py"): "a peer's script, which is not part of this repository",
}
# (page, start of the command): (what stands in it, what is run in its place), "$" being its end.
FEW = ("$", " --seeds 1 --steps 60")
SHORTENED = {
    ("README.md", "scripts/quickstart.sh"): [("$", " train.max_steps=60")],
    ("README.md", "build/release/bin/moesaic train"): [("max_steps=600", "max_steps=70")],
    ("continual.md", "python3 scripts/experiments/fashion_mnist.py --avalanche"):  # the line that makes the file is skipped
        [(" --avalanche avalanche.json", " --seeds 1 --steps 20 --only task naive")],
    ("continual.md", "python3 scripts/experiments/fashion_mnist.py"): [("$", " --seeds 1 --steps 20 --only task naive")],
    ("continual.md", "python3 scripts/experiments/medical_update.py"): [("--jobs 1", "--help")],  # hours
    ("data.md", "echo '[984,308]'"): [("[984,308]", "[1]")],
    ("first-run.md", "moesaic train my.yaml -n 2 parallel.expert=2 --resume"): [("$", " train.max_steps=24")],
    ("first-run.md", "moesaic train my.yaml"): [("$", " train.max_steps=20")],
    ("images.md", "moesaic train images/fashion_mnist"): [("$", " train.epochs=1")],
    ("install.md", "cmake --preset release"): [("$", " -DMOESAIC_CUDA=OFF -DMOESAIC_TESTS=OFF")],
    ("install.md", "cmake --install"): [("~/moesaic", "$PWD/installed")],
    ("monitoring.md", "moesaic train smoke/quickstart"): [("$", " train.max_steps=20")],
    ("recipes.md", "moesaic train quickstart.yaml -n 2"): [("$", " train.max_steps=20")],
    ("recipes.md", "moesaic train quickstart.yaml train"): [("max_steps=1000", "max_steps=4"), ("$", " run_dir=runs/other")],
    ("text.md", "moesaic generate --model $model --prompt"): [("tokens 60", "tokens 8")],
    ("text.md", "moesaic generate --model $model --chat"): [("$", " --max-new-tokens 8")],
    ("text.md", "moesaic eval --model $model --data"): [("README.md", "docs/profiling.md")],
    ("text.md", "moesaic eval --model $model --task"): [("--limit 500", "--limit 4")],
    ("balance.md", "scripts/data"): [FEW],
    ("dense-vs-moe.md", "scripts/data"): [FEW],
    ("dynamic-sparsity.md", "scripts/data"): [FEW],
    ("gate-gradient.md", "scripts/data"): [("--seeds 8", ""), FEW],
    ("imbalance.md", "scripts/data"): [("$", " --steps 5")],
    ("upcycling.md", "scripts/data"): [("--jobs 1", "--help")],  # a run needs 12 GB and minutes
}
PLACEHOLDERS = {"<name>": "quickstart"}
# What a page takes for granted.
NO_RUNS = "rm -rf runs/quickstart"
BEFORE = {
    "data.md": "mkdir -p corpus && cp README.md corpus/a.txt && cp tests/fuzz/corpus/tokenizer/bpe tokenizer.json && "
               "cp recipes/smoke/quickstart.yaml recipe.yaml",
    "first-run.md": NO_RUNS,
    "monitoring.md": NO_RUNS,
    "recipes.md": f"""{NO_RUNS} && echo '{{"text": "{"to be or not to be " * 60}"}}' | tee a.jsonl > b.jsonl""",
    "weights.md": "cp -a runs/quickstart runs/demo",
}


class Command:
    def __init__(self, page, line, text):
        self.page, self.line, self.text = page, line, text

    def rule_of(self, rules):
        """The longest start that fits."""
        fitting = [key for key in rules if key[0] == self.page.name and self.text.startswith(key[1])]
        return max(fitting, key=lambda key: len(key[1]), default=None)

    @property
    def skipped(self):
        return SKIPPED.get(self.rule_of(SKIPPED))

    @property
    def changes_shell(self):
        return re.match(r"(export )?\w+=\S+$", self.text) is not None

    @property
    def to_run(self):
        text = self.text
        for name, value in PLACEHOLDERS.items():
            text = text.replace(name, value)
        for old, new in SHORTENED.get(self.rule_of(SHORTENED), []):
            text = text + new if old == "$" else text.replace(old, new)
        return text

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}: {self.text}"


def without_comment(line):
    return re.sub(r"\s+# .*$", "", line).strip()


def commands_of(page):
    """The commands of a page, and the lines that look like one outside of a block for them."""
    commands, strays, language, pending = [], [], None, ""
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if line.lstrip().startswith("```"):
            language = None if language is not None else line.strip()[3:]
        elif language in ("sh", "bash", "console"):
            if language == "console":
                line = line[2:] if line.startswith("$ ") else ""
            text = pending + without_comment(line)
            pending = text[:-1] if text.endswith("\\") else ""
            if text and not pending and not text.startswith("#!"):
                commands.append(Command(page, number, text))
        elif language == "" or (language is None and line.startswith("    ")):
            first = line.strip().removeprefix("$ ").split(" ")[0]
            if first in PROGRAMS or re.match(r"(scripts|tests|build/release/bin)/", first):
                strays.append(f"{page.relative_to(ROOT)}:{number}: a command outside of a block sh, bash or console "
                              f"(text: none): {line.strip()}")
    return commands, strays


def pages(only):
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if not only or page.name in only]


def stale_rules(commands):
    used = {command.rule_of(rules) for command in commands for rules in (SKIPPED, SHORTENED)}
    return [f"scripts/check_docs.py: a rule for a command that no page has: {key}"
            for rules in (SKIPPED, SHORTENED) for key in rules if key not in used]


def clone(folder):
    checkout = pathlib.Path(folder, "moesaic")
    subprocess.run(["git", "clone", "-q", str(ROOT), str(checkout)], check=True)
    for environment in (".venv", ".venv-parity"):  # what setup.sh would download
        if (ROOT / environment).exists():
            (checkout / environment).symlink_to((ROOT / environment).resolve())
    return checkout


def shell(text, checkout):
    """None, or what went wrong."""
    path = f"{checkout}/build/release/bin:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("MOESAIC_BIN", None)
    try:
        result = subprocess.run(["bash", "-c", text], cwd=checkout, env=environment, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT, errors="replace")
    except subprocess.TimeoutExpired:
        return f"not done after {TIMEOUT} s"
    return None if result.returncode == 0 else f"ended with {result.returncode}\n{result.stdout[-2000:]}"


def run_page(page, commands, checkout):
    """The commands that failed."""
    failed, kept = 0, ["set -eo pipefail"]
    if page.name in BEFORE and shell(f"set -e; {BEFORE[page.name]}", checkout):
        print(f"FAILED   {page.relative_to(ROOT)}: what the page takes for granted is not there: {BEFORE[page.name]}", flush=True)
        return 1
    for command in commands:
        if command.skipped:
            print(f"skipped  {command}  ({command.skipped})", flush=True)
            continue
        begun = time.monotonic()
        problem = shell("; ".join([*kept, command.to_run]), checkout)
        if command.changes_shell:
            kept.append(command.to_run)
        failed += problem is not None
        print(f"{'FAILED ' if problem else 'ok     '}  {command}  ({time.monotonic() - begun:.0f} s)", flush=True)
        if problem:
            print(f"         run as: {command.to_run}\n         {problem}", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="PAGE", help="name of a page; may be repeated")
    parser.add_argument("--list", action="store_true", help="start nothing")
    parser.add_argument("--in", dest="checkout", type=pathlib.Path, help="a checkout to run in, in place of a new clone")
    options = parser.parse_args()
    found = {page: commands_of(page) for page in pages(options.only)}
    everything = [command for commands, _ in found.values() for command in commands]
    mistakes = [stray for _, strays in found.values() for stray in strays]
    mistakes += [] if options.only else stale_rules(everything)
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    if options.list:
        for command in everything:
            print(f"{'skip' if command.skipped else 'run '}  {command}")
        return 1 if mistakes else 0
    folder = None if options.checkout else tempfile.mkdtemp(prefix="moesaic-docs-")
    try:
        checkout = options.checkout.resolve() if options.checkout else clone(folder)
        failed = sum(run_page(page, commands, checkout) for page, (commands, _) in found.items())
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"check_docs: {len(everything)} commands, {failed} failed")
    return 1 if failed or mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
