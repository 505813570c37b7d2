"""What the experiments share: runs of a recipe with changes and seeds, side by side, each kept once it is done; tables
and pictures of them. The pictures need matplotlib (any Python that has it)."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs/results"
CORPORA = {"prose": "data/cache/postgresql", "code": "data/cache/python_code"}


# A part of each corpus's held-out documents: enough to compare models, and quick.
VALID = {"prose": ("prose", 50_000), "code": ("code", 50_000), "short": ("prose", 8_000)}


def prepare():
    """Held-out texts of VALID in data/cache/experiments."""
    for name, (corpus, size) in VALID.items():
        target = ROOT / f"data/cache/experiments/valid-{name}.jsonl"
        if target.exists():
            continue
        lines, length = [], 0
        for line in (ROOT / CORPORA[corpus] / "valid.jsonl").read_text(encoding="utf-8").splitlines(keepends=True):
            if length + len(line) <= size:
                lines.append(line)
                length += len(line)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(lines), encoding="utf-8")


class Run:
    """The metrics of one finished run."""

    def __init__(self, folder):
        self.folder = folder
        self.rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]

    def curve(self, key):
        return [(row["step"], row[key]) for row in self.rows if key in row]

    def last(self, key):
        return self.curve(key)[-1][1]

    def mean(self, key, first=2):
        """Over the logged steps, the first ones left out."""
        return statistics.mean(value for _, value in self.curve(key)[first:])

    def first_below(self, key, level, horizontal="tokens"):
        """Where a falling curve first crosses `level`, between two rows; None where it does not."""
        before = None
        for row in self.rows:
            if key not in row:
                continue
            if row[key] <= level:
                if before is None:
                    return row[horizontal]
                share = (before[key] - level) / (before[key] - row[key])
                return before[horizontal] + share * (row[horizontal] - before[horizontal])
            before = row
        return None


class Experiment:
    def __init__(self, name, recipe, doc):
        parser = argparse.ArgumentParser(description=doc)
        parser.add_argument("--seeds", type=int, default=3)
        parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side, one thread each")
        parser.add_argument("--steps", type=int, help="instead of the recipe's")
        self.options = parser.parse_args()
        self.name, self.recipe = name, ROOT / recipe
        self.folder = ROOT / "runs/experiments" / name
        prepare()
        self.bin = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin"))

    def step_times(self, variants):
        """{variant: [overrides]} -> {variant: seconds of its fastest step}: short runs, one at a time, variants in turn.
        What else a machine does can only add to a step's time, so the fastest says most about the program."""
        short = ["train.max_steps=40", "log.every_steps=1", "eval.every_steps=0", "data.valid=[]", "moe.diagnose_every=0"]
        runs = self.run_all({f"time-{name}": [*changes, *short] for name, changes in variants.items()}, jobs=1)
        return {name: min(seconds for run in runs[f"time-{name}"] for _, seconds in run.curve("step_s")[4:])
                for name in variants}

    def run_all(self, variants, jobs=None):
        """{variant: [overrides]} -> {variant: [Run of each seed]}. Seeds are the outer loop: variants that are compared
        run at the same time of day."""
        tasks = [(name, seed) for seed in range(1, self.options.seeds + 1) for name in variants]
        with concurrent.futures.ThreadPoolExecutor(jobs or self.options.jobs) as pool:
            done = dict(zip(tasks, pool.map(lambda task: self.run(task[0], task[1], variants[task[0]]), tasks)))
        return {name: [done[name, seed] for seed in range(1, self.options.seeds + 1)] for name in variants}

    def run(self, variant, seed, overrides):
        folder = self.folder / f"{variant}-{seed}"
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            steps = [f"train.max_steps={self.options.steps}"] if self.options.steps else []
            command = [self.bin / "moesaic", "train", self.recipe, f"run_dir={folder}", f"seed={seed}",
                       f"data.cache={self.folder}/tokens", "parallel.threads_per_rank=1", *steps, *overrides]
            folder.parent.mkdir(parents=True, exist_ok=True)
            with open(f"{folder}.log", "w") as log:
                subprocess.run(list(map(str, command)), cwd=ROOT, stdout=log, stderr=log, check=True)
            (folder / "done").touch()
        print(f"{variant} seed {seed}: done", flush=True)
        return Run(folder)


def spread(values, digits=4):
    """mean ± standard deviation"""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def picture(name, panels):
    """docs/results/<name>.svg: panels of (title, x label, y label, {line: [(x, y)]}, y scale)."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = name  # the same file from the same numbers
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 4), squeeze=False)
    for axis, (title, x_label, y_label, lines, scale) in zip(axes[0], panels):
        for label, points in lines.items():
            axis.plot(*zip(*points), label=label, linewidth=1)
        axis.set(title=title, xlabel=x_label, ylabel=y_label, yscale=scale)
        axis.grid(alpha=0.3)
    axes[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})


def mean_curve(runs, key, horizontal="step"):
    """The mean over the seeds of a curve."""
    curves = [[(row[horizontal], row[key]) for row in run.rows if key in row] for run in runs]
    return [(statistics.mean(p[0] for p in points), statistics.mean(p[1] for p in points)) for points in zip(*curves)]


def save(name, text):
    """Puts `text` between the marks of docs/results/<name>.md, or prints it where there is no such page."""
    page, begin, end = RESULTS / f"{name}.md", "<!-- figures -->", "<!-- end of figures -->"
    print(text)
    if page.exists() and begin in page.read_text():
        before, rest = page.read_text().split(begin)
        page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")
