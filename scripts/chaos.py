#!/usr/bin/env python3
"""Runs trainings under a drawn schedule of faults, and checks their end: `moesaic train` with train.restarts brings each to the
bits of a run without faults; no process is left, no checkpoint is lost, and each fault is seen in its time. After a NaN the run goes
on without a batch, so its bits are others.

    scripts/chaos.py [--minutes 5 | --faults N] [--seed S] [--only kill,stop] [--results FILE] [RECIPE [KEY=VALUE ...]]
    scripts/chaos.py --results FILE --page

Without RECIPE a tiny mixture of experts is trained on made-up text. With one, steps (train.max_steps), data and model are its own.
Exit status 1 if anything was wrong; the last lines are a table of the faults (Markdown). Many faults can be had in parts: each
call appends its runs to the file of --results, and goes on after those that are there with the same seed; --page runs nothing
and writes the table of all into docs/results/reliability.md. docs/reliability.md says more.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import chaos_results
from chaos_faults import BIN, FAULTS, RESTARTS
from chaos_results import Fault, Trial

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
OVER = " (the run was over)"

Rank = collections.namedtuple("Rank", "step pid")


class Wrong(Exception):
    """What must not be."""


def process_name(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def is_whole(checkpoint):
    """By the sizes of its files."""
    with contextlib.suppress(OSError, ValueError):
        files = json.loads((checkpoint / "manifest.json").read_text()).get("files", {})
        return all((checkpoint / name).stat().st_size == file["size"] for name, file in files.items())
    return False


class Run:
    """One training under the launcher."""

    def __init__(self, folder, command, every):
        self.folder = folder
        self.every = every  # steps from checkpoint to checkpoint, where a fault wants to know
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
        return sorted(int(path.name.removeprefix("step-")) for path in self.folder.glob("checkpoints/step-*")
                      if path.name.removeprefix("step-").isdigit() and is_whole(path))

    def begun_after(self):
        """The step that each restart went on from, 0 where it began anew, by the log of the chief."""
        steps = re.findall(r"resumed from .* after step (\d+)|no checkpoint in .*: starting anew", (self.folder / "logs/rank-0.log").read_text())
        return [int(step or 0) for step in steps]

    def rewinds(self):
        return (self.folder / "logs/rank-0.log").read_text().count(", and on without batch ")

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


class Chaos:
    def __init__(self, arguments, work):
        self.arguments = arguments
        self.work = work
        self.recipe = arguments.recipe or self.tiny()
        self.wholes = {}  # layout -> folder of the run without faults
        self.trials = []  # of this call

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
        """One run with a few faults."""
        chance = random.Random(f"{self.arguments.seed} {number}")
        layout = chance.choice(LAYOUTS)
        steps = self.last_step(self.whole(layout))
        faults = sorted((chance.randint(3, max(3, steps - 2)), chance.choice(self.arguments.only)) for _ in range(chance.randint(1, 3)))
        nans = [fault for fault in faults if fault[1] == "nan"]
        for more in nans[1:]:  # a second one in the same step would rightly end the run
            faults.remove(more)
        every = max(5, steps // 5)
        options = ["train.on_nonfinite=rewind", f"checkpoint.every_steps={every}"] if nans else []
        trial = Trial(self.arguments.seed, number, *layout, chance.random() < 0.5, self.arguments.timeout_s)
        folder = self.work / f"run-{number}"
        command = self.command(layout, folder, "train.restarts=1000000", f"checkpoint.async={str(trial.background).lower()}", *options)
        run = Run(folder, command, every)
        told = f"trial {number}, {trial.ranks} ranks, expert {trial.expert}{', async' if trial.background else ''}:"
        try:
            for step, name in faults:
                told += f" {name} at {step}"
                told += self.disturb(run, step, name, chance, trial)
            self.check_end(run, layout, trial)
            print(told, flush=True)
        except Wrong as wrong:
            trial.wrong = f"{told}: {wrong}"
            print(f"WRONG {trial.wrong}\n{run.said()[-4000:]}", flush=True)
        finally:
            run.end()
        if not trial.wrong:
            shutil.rmtree(folder)
        return trial

    def disturb(self, run, step, name, chance, trial):
        """One fault, once the training is in that step, and what must follow it. Returns "", or why there was none."""
        if run.wait_for(lambda: min((rank.step for rank in run.ranks().values()), default=0) >= step, 300, f"step {step}") is None:
            return OVER
        ranks, before, newest = run.ranks(), len(run.restarts()), max(run.checkpoints(), default=0)
        begun, rewinds = len(run.begun_after()), run.rewinds()
        if not ranks:
            return OVER
        try:
            FAULTS[name](run, ranks, chance)
        except ProcessLookupError:  # it ended by itself meanwhile
            return OVER
        except PermissionError as error:
            return f" ({error.strerror})"
        fault = Fault(name)
        trial.faults.append(fault)
        if name == "nan":
            run.wait_for(lambda: run.rewinds() > rewinds, CRASH_S * self.arguments.patience, "nan: on without a batch")
        if name not in RESTARTS:
            return ""
        if name == "truncate":  # the one that was cut is none
            newest = max(run.checkpoints(), default=0)
        bound = self.arguments.timeout_s if name == "stop" else CRASH_S
        late = 60 if name == "full" else 0  # nothing is seen of it before a file grows
        fault.seen_s = run.wait_for(lambda: len(run.restarts()) > before, bound + late + AGAIN_S, f"{name}: a restart")
        if fault.seen_s is None:
            trial.faults.pop()
            return OVER
        old = {rank.pid for rank in ranks.values()}
        fault.again_s = run.wait_for(lambda: any(rank.step > 0 and rank.pid not in old for rank in run.ranks().values()), 120, "training again")
        self.check_restart(fault, run, run.restarts()[before], newest, begun, fault.seen_s - bound - late)
        return ""

    def check_restart(self, fault, run, line, newest, begun, over):
        name, kind = fault.kind, "hang" if fault.kind == "stop" else "crash"
        if line["kind"] != kind:
            raise Wrong(f"{name} was taken for a {line['kind']}: {line['message']}")
        if over > (10 if kind == "hang" else 0):  # a hang's stacks are read before it is told
            raise Wrong(f"{name} was seen {over:.1f} s late")
        if fault.again_s is None:  # the last step was saved before: the run was over at once
            return
        if fault.again_s > AGAIN_S * self.arguments.patience:
            raise Wrong(f"training again only {fault.again_s:.1f} s after {name} was seen")
        if run.wait_for(lambda: len(run.begun_after()) > begun, 30, "the step that it goes on from") is None:
            return
        found = run.begun_after()[-1]
        if found < newest:
            fault.lost = 1
            raise Wrong(f"step {newest} was saved, and the run went on from step {found}")

    def check_end(self, run, layout, trial):
        whole = self.whole(layout)
        run.wait_for(run.is_over, 600, "the end")
        trial.left = len(run.left())
        if run.process.returncode != 0:
            raise Wrong(f"exit code {run.process.returncode}")
        if trial.left:
            raise Wrong(f"processes are left: {run.left()}")
        latest = run.folder / "checkpoints/latest"
        inspected = subprocess.run([BIN / "moesaic", "inspect", latest, "--json"], capture_output=True, text=True)
        if inspected.returncode != 0:
            raise Wrong(f"the last checkpoint is not whole: {inspected.stderr}")
        self.check_numbers(run, layout, trial)
        if trial.left_out:  # other data, other bits
            return
        same_bits, same_rows = self.digests(run.folder) == self.digests(whole), self.rows(run.folder) == self.rows(whole)
        trial.equal_bits = same_bits and same_rows
        if not same_bits:
            raise Wrong("the last checkpoint has other bits than that of the run without faults")
        if not same_rows:
            raise Wrong("the rows of metrics are not those of the run without faults")

    def check_numbers(self, run, layout, trial):
        """All steps are there, and no number that is not one. A batch was left out only after a NaN, and is in the manifest."""
        trial.left_out = json.loads((run.folder / "checkpoints/latest/manifest.json").read_text())["training"].get("left_out", [])
        if trial.left_out and not any(fault.kind == "nan" for fault in trial.faults):
            raise Wrong(f"batches {trial.left_out} were left out for nothing")
        rows = self.rows(run.folder)
        if [row["step"] for row in rows] != [row["step"] for row in self.rows(self.whole(layout))]:
            raise Wrong("the metrics have other steps than those of the run without faults")
        if any(value is None for row in rows for value in row.values()):
            raise Wrong("the metrics have a value that is not finite")
        only_nan = {fault.kind for fault in trial.faults} <= {"nan", "slow"}  # else a restart may have gone back before it
        if trial.faults and only_nan and len(trial.left_out) != run.rewinds():
            raise Wrong(f"{run.rewinds()} batches were to be left out, and the manifest has {trial.left_out}")

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
        begun, path = time.monotonic(), self.arguments.results
        first = 1 + max((trial.number for trial in chaos_results.read(path) if trial.seed == self.arguments.seed), default=0)
        while not self.is_enough(time.monotonic() - begun):
            self.trials.append(self.trial(first + len(self.trials)))
            if path:
                chaos_results.append(path, self.trials[-1])
        wrong = [trial.wrong for trial in self.trials if trial.wrong]
        print(f"\nSeed {self.arguments.seed}: {len(self.trials)} runs, {self.restarts()} faults with a restart, {len(wrong)} wrong.\n")
        print("\n".join([chaos_results.summary(self.trials), *(f"WRONG: {words}" for words in wrong)]))
        return 1 if wrong else 0

    def restarts(self):
        return sum(trial.restarts() for trial in self.trials)

    def is_enough(self, seconds):
        if not self.trials:
            return False
        return self.restarts() >= self.arguments.faults if self.arguments.faults else seconds > 60 * self.arguments.minutes


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
    parser.add_argument("--results", type=pathlib.Path, help="a file (JSON lines) that the runs of this call are added to")
    parser.add_argument("--page", action="store_true", help="run nothing, write the page of results from --results")
    parser.add_argument("--keep", action="store_true", help="leave the folder with the runs")
    arguments = parser.parse_args()
    if arguments.page:
        trials = chaos_results.read(arguments.results)
        if not trials:
            parser.error("--page needs the file of --results, with runs in it")
        return chaos_results.page(trials)
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
