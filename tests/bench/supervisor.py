#!/usr/bin/env python3
"""What the supervisor costs: a training with train.restarts: 3 beside the same with 0, alternately, in ratios of one call.

    tests/bench/supervisor.py [--pairs 5] [--steps 30] [--ranks 2] [RECIPE [KEY=VALUE ...]]

The recipe is recipes/smoke/quickstart.yaml where none is given (scripts/quickstart.sh prepares its text). Both sides of a pair
run one after the other, and the next pair turns them round. A row has the median of the pairs' ratios, and the least and the
most: of the median step (its first steps left out), of the processor's time of the whole job, which other work on the machine
disturbs little, and the processor's time of the launcher alone, without its children, for each minute of steps.
"""
import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import typing

from side_by_side import row, spread

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOESAIC = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")) / "moesaic"
WARMUP = 3  # steps
SETTINGS = ["checkpoint.every_steps=0", "checkpoint.final=false", "data.valid=[]", "log.every_steps=1", "log.tensorboard=false"]


class Costs(typing.NamedTuple):
    step_s: float               # median
    processor_s: float          # of the job and its launcher
    launcher_s_per_minute: float


def own_seconds(pid):
    """Of the processor, by all threads of a process and none of its children."""
    seconds = 0.0
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            seconds += int(task.read_text().split()[0]) / 1e9
    return seconds


def wait_for(process, metrics):
    """The processor's seconds of a job when it has ended, and of its launcher for a minute of steps."""
    readings = []
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        if metrics.exists() and metrics.stat().st_size > 0:
            readings.append((time.monotonic(), own_seconds(process.pid)))
        time.sleep(0.2)
    process.returncode = os.waitstatus_to_exitcode(status)
    if len(readings) < 2:
        sys.exit("the steps are too short to measure the launcher: give more by --steps")
    (begin, before), (end, after) = readings[0], readings[-1]
    return usage.ru_utime + usage.ru_stime, 60 * (after - before) / (end - begin)


def train(folder, options, restarts):
    folder.mkdir()
    command = [MOESAIC, "train", options.recipe, *options.settings, *SETTINGS, f"run_dir={folder}/run",
               f"train.max_steps={options.steps + WARMUP}", f"train.restarts={restarts}"]
    if options.ranks:
        command += ["-n", options.ranks]
    with open(folder / "said", "w") as said:
        process = subprocess.Popen([str(word) for word in command], stdout=said, stderr=said)
        try:
            processor_s, launcher_s = wait_for(process, folder / "run/metrics.jsonl")
        finally:
            if process.returncode is None:  # this program is asked to end
                process.terminate()
                process.wait()
    if process.returncode != 0:
        sys.exit((folder / "said").read_text())
    rows = [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]
    return Costs(statistics.median(row["step_s"] for row in rows[WARMUP:]), processor_s, launcher_s)


def pairs(work, options):
    """(supervised, plain) of each pair."""
    for pair in range(options.pairs):
        found = {}
        for restarts in ((3, 0), (0, 3))[pair % 2]:
            found[restarts] = train(work / f"{pair}-{restarts}", options, restarts)
        print(f"  pair {pair + 1}: step {found[3].step_s:.4f} / {found[0].step_s:.4f} s, processor {found[3].processor_s:.1f} / "
              f"{found[0].processor_s:.1f} s", flush=True)
        yield found[3], found[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", type=pathlib.Path, default=ROOT / "recipes/smoke/quickstart.yaml")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=30, help="that are measured, of each run")
    parser.add_argument("--ranks", type=int, default=0, help="instead of the recipe's")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="moesaic-supervisor-") as work:
        found = list(pairs(pathlib.Path(work), options))
    print("| what | goal | result |\n| --- | --- | --- |", flush=True)
    row("step with a supervisor over one without", "< 1.005", spread([new.step_s / old.step_s for new, old in found], 4))
    row("processor's time of the job, likewise", "< 1.005", spread([new.processor_s / old.processor_s for new, old in found], 4))
    row("processor's seconds of the launcher a minute, with a supervisor", "< 0.3", spread([new.launcher_s_per_minute for new, _ in found], 3))
    row("the same without", "", spread([old.launcher_s_per_minute for _, old in found], 3))


if __name__ == "__main__":
    main()
