"""What scripts/chaos.py has found: a line of JSON for each run in a file that grows from call to call, and tables of it."""
import collections
import dataclasses
import json
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "experiments"))
from experiment import machine, save, table  # noqa: E402


@dataclasses.dataclass
class Fault:
    kind: str
    seen_s: float | None = None   # until the launcher had started the run again, None = nothing was to follow, or nothing did
    again_s: float | None = None  # from then until a rank was in a step
    lost: int = 0                 # checkpoints that were whole before and not found after


@dataclasses.dataclass
class Trial:
    """One run under faults."""
    seed: int
    number: int
    ranks: int
    expert: int
    background: bool  # checkpoint.async
    timeout_s: float
    faults: list = dataclasses.field(default_factory=list)
    equal_bits: bool | None = None  # as the run without faults; None = it did not come to its end, or a batch was left out
    left: int = 0                   # processes
    wrong: str | None = None
    date: str = dataclasses.field(default_factory=lambda: time.strftime("%Y-%m-%d", time.gmtime()))
    machine: str = dataclasses.field(default_factory=machine)
    left_out: list = dataclasses.field(default_factory=list)  # batches, after a NaN

    def restarts(self):
        return sum(fault.seen_s is not None for fault in self.faults)


def read(path):
    """The trials of a file. A last line without an end is left out: its run was interrupted."""
    trials = []
    if path is None or not path.exists():
        return trials
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            values = json.loads(line)
            trials.append(Trial(**{**values, "faults": [Fault(**fault) for fault in values["faults"]]}))
    return trials


def append(path, trial):
    text = path.read_text() if path.exists() else ""
    if text and not text.endswith("\n"):  # the end of a call that was killed
        path.write_text(text[:text.rfind("\n") + 1])
    with open(path, "a") as file:
        file.write(json.dumps(dataclasses.asdict(trial)) + "\n")


def seconds(values):
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.1f}, {max(known):.1f}" if known else "-"


def row(layout, kind, found):
    """Of (trial, fault) pairs."""
    trials = {(trial.seed, trial.number): trial for trial, _ in found}.values()
    same_data = [trial for trial in trials if not trial.left_out]
    return [layout, kind, len(found), sum(trial.background for trial, _ in found), sum(fault.lost for _, fault in found),
            f"{sum(bool(trial.equal_bits) for trial in same_data)} of {len(same_data)}", seconds([fault.seen_s for _, fault in found]),
            seconds([fault.again_s for _, fault in found]), sum(trial.left for trial in trials)]


HEADER = ["layout", "fault", "times", "with async checkpoints", "lost checkpoints", "runs with equal bits", "seen after, s", "training again after, s",
          "processes left"]


def summary(trials):
    """What was found, by layout and kind of fault, then by kind alone."""
    groups = collections.defaultdict(list)
    for trial in trials:
        ranks = f"{trial.ranks} rank{'s' if trial.ranks > 1 else ''}, expert {trial.expert}"
        for fault in trial.faults:
            groups[(0, ranks), fault.kind].append((trial, fault))
            groups[(1, "**all**"), fault.kind].append((trial, fault))
            groups[(1, "**all**"), "~"].append((trial, fault))
    rows = [row(layout, "all" if kind == "~" else kind, groups[(order, layout), kind]) for (order, layout), kind in sorted(groups)]
    return table(HEADER, rows)


def span(values):
    """Values of which there are several."""
    return ", ".join(dict.fromkeys(map(str, sorted(values))))


def page(trials):
    """Writes the table into docs/results/reliability.md."""
    faults = [fault for trial in trials for fault in trial.faults]
    wrong = [trial for trial in trials if trial.wrong]
    words = (f"{len(trials)} runs with {len(faults)} faults, of which {sum(trial.restarts() for trial in trials)} made a restart necessary; "
             f"{len(wrong)} runs were wrong. Seeds {span({trial.seed for trial in trials})}; `parallel.timeout_s` "
             f"{span({f'{trial.timeout_s:g}' for trial in trials})}; {span({trial.machine for trial in trials})}; "
             f"{span({trial.date for trial in trials})}.")
    lines = [words, "", summary(trials), *(f"\nWrong: seed {trial.seed}, run {trial.number}: {trial.wrong}" for trial in wrong)]
    save("reliability", "\n".join(lines))
