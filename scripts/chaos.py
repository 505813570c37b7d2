#!/usr/bin/env python3
"""Runs trainings under a drawn schedule of faults, and checks their end: `moesaic train` with train.restarts brings each to the
bits of a run without faults; no process is left, no checkpoint is lost, and each fault is seen in its time.

    scripts/chaos.py [--minutes 5 | --faults N] [--seed S] [--only kill,stop] [RECIPE [KEY=VALUE ...]]

Without RECIPE a tiny mixture of experts is trained on made-up text. With one, steps (train.max_steps), data and model are its own.
Exit status 1 if anything was wrong; the last lines are a table of the faults (Markdown). docs/reliability.md says more.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin"))
LAYOUTS = [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2)]  # ranks, expert
STEPS = 60
TINY = """
name: chaos
seed: 5
run_dir: {folder}/run
model:
  config: {{model_type: olmoe, vocab_size: 272, hidden_size: 32, intermediate_size: 24, num_hidden_layers: 2,
           num_attention_heads: 4, num_key_value_heads: 2, num_experts: 8, num_experts_per_tok: 2, max_position_embeddings: 512}}
data: {{train: [{{path: {folder}/text.txt}}], sequence_length: 24}}
train: {{max_steps: {steps}, global_batch_size: 8, micro_batch_size: 2}}
schedule: {{warmup_steps: 5}}
checkpoint: {{every_steps: 4, keep: 3}}
"""
MEASURED = ("_s", "_ms", "_mb", "_bytes", "straggler_rank")  # ends of names that do not repeat
CRASH_S = 5.0
AGAIN_S = 15.0

Rank = collections.namedtuple("Rank", "step pid")


class Wrong(Exception):
    """What must not be."""


def process_name(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


class Run:
    """One training under the launcher."""

    def __init__(self, folder, command):
        self.folder = folder
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.errors)
        self.seen = set()  # processes of ranks

    def is_over(self):
        return self.process.poll() is not None

    def said(self):
        self.errors.seek(0)
        return self.errors.read()

    def ranks(self):
        """Those that are there, by number (docs/reliability.md, "Progress files")."""
        ranks = {}
        for file in self.folder.glob("logs/rank-*.state"):
            words = file.read_text(errors="replace").split()
            number = file.name.removeprefix("rank-").removesuffix(".state")
            if number.isdigit() and len(words) > 5 and process_name(words[4]).startswith("moesaic-worker"):
                ranks[int(number)] = Rank(int(words[3]), int(words[4]))
        self.seen.update(rank.pid for rank in ranks.values())
        return ranks

    def restarts(self):
        with contextlib.suppress(OSError):
            return [json.loads(line) for line in (self.folder / "restarts.jsonl").read_text().splitlines()]
        return []

    def checkpoints(self):
        """Steps of the whole checkpoints, ascending."""
        return sorted(int(path.parent.name.removeprefix("step-")) for path in self.folder.glob("checkpoints/step-*/manifest.json")
                      if path.parent.name.removeprefix("step-").isdigit())

    def wait_for(self, condition, seconds, what):
        """The seconds until it holds; None when the run ends before."""
        begun = time.monotonic()
        while not condition():
            if self.is_over():
                return None
            if time.monotonic() - begun > seconds:
                raise Wrong(f"{what} not within {seconds:.0f} s")
            time.sleep(0.02)
        return time.monotonic() - begun

    def end(self):
        self.process.kill()
        self.process.wait()
        for pid in self.seen:
            if process_name(pid).startswith("moesaic-worker"):
                os.kill(pid, signal.SIGKILL)

    def left(self):
        """Processes of ranks that are still there, zombies too."""
        return [pid for pid in self.seen if process_name(pid).startswith("moesaic-worker")]


# Faults: each takes the run, its ranks and a source of chance; what it returns is told. Those of RESTARTS end in a restart.

def kill(run, ranks, chance):
    number, rank = chance.choice(sorted(ranks.items()))
    os.kill(rank.pid, signal.SIGKILL)
    return f"rank {number}"


def stop(run, ranks, chance):
    number, rank = chance.choice(sorted(ranks.items()))
    os.kill(rank.pid, signal.SIGSTOP)
    return f"rank {number}"


def slow(run, ranks, chance):
    """A rank sleeps now and then, for less than the time-out."""
    number, rank = chance.choice(sorted(ranks.items()))
    for _ in range(3):
        with contextlib.suppress(ProcessLookupError):
            os.kill(rank.pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0.1, 0.5))
            os.kill(rank.pid, signal.SIGCONT)
            time.sleep(0.1)
    return f"rank {number}"


def full(run, ranks, chance):
    """No file of the ranks grows beyond a size: what a full disk does to those that write."""
    size = chance.choice([1, 65536])
    for rank in ranks.values():
        resource.prlimit(rank.pid, resource.RLIMIT_FSIZE, (size, size))
    return f"files of {size} bytes"


def truncate(run, ranks, chance):
    """The newest checkpoint loses a part of a file, then a rank its life."""
    steps = run.checkpoints()
    if len(steps) < 2:
        return kill(run, ranks, chance)
    files = [path for path in (run.folder / f"checkpoints/step-{steps[-1]:08d}").glob("*") if path.is_file()]
    with contextlib.suppress(OSError):  # it may just have been pruned
        victim = chance.choice(sorted(files))
        os.truncate(victim, chance.randrange(victim.stat().st_size))
        return f"{victim.name}, {kill(run, ranks, chance)}"
    return kill(run, ranks, chance)


def clock(run, ranks, chance):
    """Files that seem to be of tomorrow or yesterday, as after a jump of the clock; then a rank is killed."""
    moved = time.time() + chance.choice([-86400, 86400])
    for path in run.folder.rglob("*"):
        with contextlib.suppress(OSError):
            os.utime(path, (moved, moved))
    return kill(run, ranks, chance)


FAULTS = {fault.__name__: fault for fault in (kill, stop, slow, full, truncate, clock)}
RESTARTS = {"kill", "stop", "full", "truncate", "clock"}


class Chaos:
    def __init__(self, arguments, work):
        self.arguments = arguments
        self.work = work
        self.recipe = arguments.recipe or self.tiny()
        self.wholes = {}   # layout -> folder of the run without faults
        self.seen = []     # (fault, seconds until it was seen, seconds until training again)
        self.wrong = []
        self.trials = 0

    def tiny(self):
        words = random.Random(1)
        text = " ".join("".join(words.choice("abcdefgh") for _ in range(words.randint(1, 7))) for _ in range(4000))
        (self.work / "text.txt").write_text(text)
        (self.work / "recipe.yaml").write_text(TINY.format(folder=self.work, steps=STEPS))
        return self.work / "recipe.yaml"

    def command(self, layout, folder, *more):
        ranks, expert = layout
        return [str(BIN / "moesaic"), "train", str(self.recipe), "-n", str(ranks), *self.arguments.overrides, f"parallel.expert={expert}",
                f"run_dir={folder}", "log.every_steps=1", f"parallel.timeout_s={self.arguments.timeout_s}", *more]

    def whole(self, layout):
        if layout not in self.wholes:
            folder = self.work / f"whole-{layout[0]}-{layout[1]}"
            subprocess.run(self.command(layout, folder), stdout=subprocess.DEVNULL, check=True)
            self.wholes[layout] = folder
        return self.wholes[layout]

    def trial(self, number):
        """One run with a few faults; True when all was right."""
        chance = random.Random(f"{self.arguments.seed} {number}")
        layout = chance.choice(LAYOUTS)
        steps = self.last_step(self.whole(layout))
        faults = sorted((chance.randint(3, max(3, steps - 2)), chance.choice(self.arguments.only)) for _ in range(chance.randint(1, 3)))
        background = chance.random() < 0.5
        folder = self.work / f"run-{number}"
        run = Run(folder, self.command(layout, folder, "train.restarts=1000000", f"checkpoint.async={str(background).lower()}"))
        told = f"trial {number}, {layout[0]} ranks, expert {layout[1]}{', async' if background else ''}:"
        try:
            for step, name in faults:
                told += f" {name} at {step}"
                if not self.disturb(run, step, name, chance):
                    told += " (the run was over)"
            self.check_end(run, layout)
        except Wrong as wrong:
            self.wrong.append(f"{told}: {wrong}")
            print(f"WRONG {told}: {wrong}\n{run.said()[-4000:]}", flush=True)
            return False
        finally:
            run.end()
        print(told, flush=True)
        shutil.rmtree(folder)
        return True

    def disturb(self, run, step, name, chance):
        """One fault, once the training is in that step, and what must follow it. False when the run was over before."""
        if run.wait_for(lambda: min((rank.step for rank in run.ranks().values()), default=0) >= step, 300, f"step {step}") is None:
            return False
        ranks, before, newest = run.ranks(), len(run.restarts()), max(run.checkpoints(), default=0)
        if not ranks:
            return False
        try:
            FAULTS[name](run, ranks, chance)
        except ProcessLookupError:  # it ended by itself meanwhile
            return False
        if name not in RESTARTS:
            return True
        bound = self.arguments.timeout_s if name == "stop" else CRASH_S
        late = 60 if name == "full" else 0  # nothing is seen of it before a file grows
        seconds = run.wait_for(lambda: len(run.restarts()) > before, bound + late + AGAIN_S, f"{name}: a restart")
        if seconds is None:
            return False
        old = {rank.pid for rank in ranks.values()}
        again = run.wait_for(lambda: any(rank.step > 0 and rank.pid not in old for rank in run.ranks().values()), 120, "training again")
        self.seen.append((name, seconds, again))
        self.check_restart(name, run.restarts()[before], newest, seconds - bound - late, again)
        return True

    def check_restart(self, name, line, newest, over, again):
        kind = "hang" if name == "stop" else "crash"
        if line["kind"] != kind:
            raise Wrong(f"{name} was taken for a {line['kind']}: {line['message']}")
        if over > (10 if kind == "hang" else 0):  # a hang's stacks are read before it is told
            raise Wrong(f"{name} was seen {over:.1f} s late")
        if again is not None and again > AGAIN_S * self.arguments.patience:
            raise Wrong(f"training again only {again:.1f} s after {name} was seen")
        found = int((line["checkpoint"] or "step-0").removeprefix("step-"))
        if found < newest and name != "truncate":
            raise Wrong(f"step {newest} was saved, and the run went on from {line['checkpoint']}")

    def check_end(self, run, layout):
        whole = self.whole(layout)
        run.wait_for(run.is_over, 600, "the end")
        if run.process.returncode != 0:
            raise Wrong(f"exit code {run.process.returncode}")
        if run.left():
            raise Wrong(f"processes are left: {run.left()}")
        latest = run.folder / "checkpoints/latest"
        inspected = subprocess.run([BIN / "moesaic", "inspect", latest, "--json"], capture_output=True, text=True)
        if inspected.returncode != 0:
            raise Wrong(f"the last checkpoint is not whole: {inspected.stderr}")
        if self.digests(run.folder) != self.digests(whole):
            raise Wrong("the last checkpoint has other bits than that of the run without faults")
        if self.rows(run.folder) != self.rows(whole):
            raise Wrong("the rows of metrics are not those of the run without faults")

    @staticmethod
    def digests(folder):
        return json.loads((folder / "checkpoints/latest/manifest.json").read_text())["datasets"]

    @staticmethod
    def rows(folder):
        return [{key: value for key, value in json.loads(line).items() if not key.endswith(MEASURED)}
                for line in (folder / "metrics.jsonl").read_text().splitlines()]

    def last_step(self, folder):
        return self.rows(folder)[-1]["step"]

    def run(self):
        begun = time.monotonic()
        while True:
            self.trials += 1
            self.trial(self.trials)
            done = len(self.seen) >= self.arguments.faults if self.arguments.faults else False
            if done or (not self.arguments.faults and time.monotonic() - begun > 60 * self.arguments.minutes):
                break
        print(self.table())
        return 1 if self.wrong else 0

    def table(self):
        lines = ["", f"Seed {self.arguments.seed}: {self.trials} runs, {len(self.seen)} faults with a restart, {len(self.wrong)} wrong.", "",
                 "| fault | times | seen after, median and most (s) | training again after, median and most (s) |", "| --- | --- | --- | --- |"]
        for name in FAULTS:
            times = [(seen, again) for fault, seen, again in self.seen if fault == name]
            if not times:
                continue
            columns = []
            for values in zip(*times):
                known = [value for value in values if value is not None]
                columns.append(f"{statistics.median(known):.1f}, {max(known):.1f}" if known else "-")
            lines.append(f"| {name} | {len(times)} | {columns[0]} | {columns[1]} |")
        return "\n".join(lines + [f"WRONG: {wrong}" for wrong in self.wrong])


def names_of_faults(text):
    names = text.split(",")
    for name in names:
        if name not in FAULTS:
            raise argparse.ArgumentTypeError(f"'{name}' is no fault (one of {', '.join(FAULTS)})")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", type=pathlib.Path)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--minutes", type=float, default=5, help="begin no new run after them")
    parser.add_argument("--faults", type=int, default=0, help="begin no new run after so many faults with a restart, whatever the time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=names_of_faults, default=list(FAULTS), help=f"of {','.join(FAULTS)}")
    parser.add_argument("--timeout-s", type=float, default=10, help="parallel.timeout_s of the runs: the bound of a hang")
    parser.add_argument("--patience", type=float, default=1, help="a slow machine has so many times the seconds to train again")
    parser.add_argument("--keep", action="store_true", help="leave the folder with the runs")
    arguments = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="moesaic-chaos-"))
    try:
        return Chaos(arguments, work).run()
    finally:
        if arguments.keep:
            print(f"runs: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
