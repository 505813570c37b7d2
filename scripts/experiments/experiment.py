"""What the experiments share: runs of a recipe with changes and seeds, side by side, each kept once it is done and gone on
with where it was interrupted; tables and pictures of them. The pictures need matplotlib; without it there are none."""
import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import platform
import random
import shutil
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs/results"
CORPORA = {"prose": "data/cache/postgresql", "code": "data/cache/python_code"}
MADE_BY = {"prose": "scripts/data/postgresql.sh", "code": "python3 scripts/data/python_code.py"}
# A part of each corpus's held-out documents: enough to compare models, and quick.
VALID = {"prose": ("prose", 50_000), "code": ("code", 50_000), "short": ("prose", 8_000)}


def need(path, made_by):
    """Ends the program where `path` is not there."""
    if not path.exists():
        raise SystemExit(f"{shown(path)} is not there: {made_by} makes it")


def shown(path):
    return path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def prepare(name):
    """The held-out text `name` of VALID in data/cache/experiments."""
    target = ROOT / f"data/cache/experiments/valid-{name}.jsonl"
    corpus, size = VALID[name]
    source = ROOT / CORPORA[corpus] / "valid.jsonl"
    need(source, MADE_BY[corpus])
    if target.exists():
        return
    lines, length = [], 0
    for line in source.read_text(encoding="utf-8").splitlines(keepends=True):
        if length + len(line) <= size:
            lines.append(line)
            length += len(line)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(lines), encoding="utf-8")


def program(name="moesaic"):
    """A built program; MOESAIC_BIN names another folder."""
    path = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")) / name
    need(path, "scripts/build.sh --programs")
    return path


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
        """Over the logged steps, the first ones left out unless there are no others; not a number where there are none."""
        values = [value for _, value in self.curve(key)]
        return statistics.mean(values[first:] or values) if values else math.nan

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
    def __init__(self, name, recipe, doc, texts=("prose",), seeds=3, subsets=None, switches=None, arguments=None):
        """`texts`: the held-out texts of VALID that its runs read. `subsets`: {option: values}, of which --option names some.
        `switches`: {option: what it does}. `arguments`: more options of its own, {name: what argparse is to know}."""
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        for argument, about in (arguments or {}).items():
            parser.add_argument(argument, **about)
        parser.add_argument("--seeds", type=int, default=seeds, help=f"1 to this number (default: {seeds})")
        parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side, one thread each")
        parser.add_argument("--steps", type=int, help="instead of the recipe's")
        for option, values in (subsets or {}).items():
            parser.add_argument(f"--{option}", nargs="+", choices=values, default=values, help="default: all")
        for option, meaning in (switches or {}).items():
            parser.add_argument(f"--{option}", action="store_true", help=meaning)
        self.options = parser.parse_args()
        self.name, self.recipe = name, ROOT / recipe
        self.folder = ROOT / "runs/experiments" / name
        self.program = program()
        self.threads = max(1, os.cpu_count() // self.options.jobs)  # of an evaluation, so that those side by side share the cores
        for text in texts:
            prepare(text)

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

    def run(self, variant, seed, overrides, recipe=None):
        """A finished run with the same settings is read, an interrupted one goes on from its last checkpoint, if it has one.
        `recipe`: in place of the experiment's."""
        recipe = recipe or self.recipe
        folder = self.folder / f"{variant}-{seed}"
        steps = [f"train.max_steps={self.options.steps}"] if self.options.steps else []
        settings = [f"seed={seed}", *steps, *overrides]
        about, done = pathlib.Path(f"{folder}.json"), folder / "done"
        wanted = json.dumps({"recipe": recipe.read_text(), "settings": settings})
        if not about.exists() or about.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
        if not done.exists():
            self.train(folder, settings, about, wanted, recipe)
            done.touch()
        print(f"{variant} seed {seed}: done", flush=True)
        return Run(folder)

    def train(self, folder, settings, about, wanted, recipe):
        goes_on = (folder / "checkpoints/latest").exists()
        if not goes_on:
            shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        about.write_text(wanted)
        command = [self.program, "train", recipe, f"run_dir={folder}", f"data.cache={self.folder}/tokens",
                   "parallel.threads_per_rank=1", *settings, *(["--resume", "auto"] if goes_on else [])]
        log = pathlib.Path(f"{folder}.log")
        with log.open("w") as output:
            result = subprocess.run(list(map(str, command)), cwd=ROOT, stdout=output, stderr=output)
        if result.returncode != 0:
            end = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-5:])
            raise SystemExit(f"{shown(folder)}: the run ended with {result.returncode} (log: {shown(log)})\n{end}")


def spread(values, digits=4):
    """mean ± standard deviation"""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


def bootstrap(runs, statistic, samples=5_000, level=0.95):
    """The interval of `statistic` when seeds are drawn anew, with replacement: {variant: [value of each seed]}, seeds in the
    same order -> (low, high). A seed is drawn for all variants together. `statistic` takes {variant: mean}."""
    draws, count = random.Random(1), len(next(iter(runs.values())))
    found = []
    for _ in range(samples):
        chosen = draws.choices(range(count), k=count)
        found.append(statistic({name: sum(values[i] for i in chosen) / count for name, values in runs.items()}))
    found.sort()
    edge = (1 - level) / 2
    return found[int(edge * (samples - 1))], found[int((1 - edge) * (samples - 1) + 0.5)]


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine():
    names = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores"


def picture(name, panels):
    """docs/results/<name>.svg: panels of (title, x label, y label, {line: [(x, y)]}, y scale). None without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        print(f"docs/results/{name}.svg: not drawn, this Python has no matplotlib (scripts/setup.sh --pictures, then run this "
              "again with .venv-pictures/bin/python: finished runs are kept)", flush=True)
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = name  # the same file from the same numbers
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(1, len(panels), figsize=(5.5 * len(panels), 4), squeeze=False)
    for axis, (title, x_label, y_label, lines, scale) in zip(axes[0], panels):
        for label, points in lines.items():
            axis.plot(*zip(*points), label=label, linewidth=1, marker="o" if len(points) == 1 else "")
        axis.set(title=title, xlabel=x_label, ylabel=y_label, yscale=scale)
        axis.grid(alpha=0.3)
    axes[0][-1].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(RESULTS / f"{name}.svg", metadata={"Date": None})


def mean_curve(runs, key, horizontal="step"):
    """The mean over the seeds of a curve."""
    curves = [[(row[horizontal], row[key]) for row in run.rows if key in row] for run in runs]
    return [(statistics.mean(p[0] for p in points), statistics.mean(p[1] for p in points)) for points in zip(*curves)]


def save(name, text, mark="figures"):
    """Puts `text` between the marks of docs/results/<name>.md, or prints it where there is no such page."""
    page, begin, end = RESULTS / f"{name}.md", f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    print(text)
    if page.exists() and begin in page.read_text():
        before, rest = page.read_text().split(begin)
        page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}")
