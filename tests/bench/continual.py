#!/usr/bin/env python3
"""What continual learning costs: a step with EWC against a plain one, the Fisher information of N examples against training on N,
and the memory of what is remembered. One rank of one thread; what is compared runs in turn.

    tests/bench/continual.py [--model moe mlp] [--pairs 3]

All times are CPU seconds of the whole process at `many` batches less those at `few`, so that starting and reading are not counted, nor what
others do on the machine; of a step the fastest by the clock, too. Given are the median ratio of the pairs, the smallest and the largest.
Memory: what `plan` says, and the difference of the runs' peaks. docs/results/continual.md has the figures."""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin"))
# recipe, images or sequences of a step, few and many steps, settings
MODELS = {"moe": ("recipes/smoke/quickstart.yaml", 16, 1, 6, ["parallel.ranks=1", "parallel.expert=1"]),
          "mlp": ("recipes/images/fashion_mnist.yaml", 128, 10, 410, ["train.epochs=null"])}
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--model", nargs="+", choices=MODELS, default=list(MODELS))
parser.add_argument("--pairs", type=int, default=3)
options = parser.parse_args()


def moesaic(*arguments):
    """(CPU seconds, stdout)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run([str(BIN / "moesaic"), *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{arguments}: {result.stdout[-500:]}{result.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, result.stdout


class Work:
    """One recipe and a trained start with its importances."""

    def __init__(self, name, folder):
        recipe, self.batch, self.few, self.many, own = MODELS[name]
        self.recipe, self.folder, self.start, self.old = recipe, folder, folder / "start", folder / "old.h5"
        self.base = [*own, "data.valid=[]", "eval.every_steps=0", "checkpoint.every_steps=0", "log.every_steps=1",
                     "log.tensorboard=false", "parallel.threads_per_rank=1", f"data.cache={folder}/cache"]
        self.train("start", 5)
        self.fisher(2)
        self.ewc = [f"model.from={self.start}", "continual.method=ewc", "continual.lambda=1", f"continual.importance=[{self.old}]"]
        self.plain = [f"model.from={self.start}"]

    def train(self, run, steps, *settings):
        """(CPU seconds, rows of the metrics)"""
        seconds, _ = moesaic("train", self.recipe, "--overwrite", f"run_dir={self.folder}/{run}", f"train.max_steps={steps}", *self.base,
                             *settings)
        return seconds, [json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]

    def fisher(self, batches):
        recipe = self.folder / "old.yaml"
        text = (ROOT / self.recipe).read_text().replace("parallel: {ranks: 2, expert: 2}\n", "")
        text += f"continual: {{fisher: {{examples: {batches * self.batch}}}}}\nparallel: {{threads_per_rank: 1}}\n"
        recipe.write_text(text.replace("data/cache/", f"{ROOT}/data/cache/"))
        return moesaic("importance", "--model", self.start, "--recipe", recipe, "--output", self.old, "-n", 1)[0]


def spread(values):
    return f"{statistics.median(values):.3f} [{min(values):.3f}..{max(values):.3f}]"


def step_cost(work):
    """Bytes that a run with EWC takes more at its peak."""
    fastest, ratios, memory = [], [], []
    for _ in range(options.pairs):
        seconds, least, peak = {}, {}, {}
        for name, settings in (("plain", work.plain), ("ewc", work.ewc)):
            few = work.train(name, work.few, *settings)[0]
            many, rows = work.train(name, work.many, *settings)
            seconds[name] = many - few
            least[name] = min(row["step_s"] for row in rows if "step_s" in row)
            peak[name] = max(row.get("memory_peak_mb", 0) for row in rows)
        ratios.append(seconds["ewc"] / seconds["plain"])
        fastest.append(least["ewc"] / least["plain"])
        memory.append((peak["ewc"] - peak["plain"]) * 2**20)
    print(f"  step with EWC against plain: CPU time {spread(ratios)}, fastest {spread(fastest)}", flush=True)
    return statistics.median(memory)


def fisher_cost(work):
    ratios = []
    for _ in range(options.pairs):
        fisher = work.fisher(work.many) - work.fisher(work.few)
        training = work.train("many", work.many, *work.plain)[0] - work.train("few", work.few, *work.plain)[0]
        ratios.append(fisher / training)
    print(f"  Fisher of {(work.many - work.few) * work.batch} examples against training on them, CPU time: {spread(ratios)}", flush=True)


def main():
    for name in options.model:
        print(name, flush=True)
        with tempfile.TemporaryDirectory(prefix="moesaic-bench-") as folder:
            work = Work(name, pathlib.Path(folder))
            measured = step_cost(work)
            plan = json.loads(moesaic("plan", work.recipe, "--json", "train.max_steps=1", *work.base, *work.ewc)[1])
            found = {key: value for key, value in plan.items() if "remembered" in key or "parameters" in key}
            print(f"  plan: {json.dumps(found)}; difference of the peaks: {measured / 1e6:.2f} MB", flush=True)
            fisher_cost(work)


if __name__ == "__main__":
    main()
