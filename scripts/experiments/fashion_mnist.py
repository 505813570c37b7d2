#!/usr/bin/env python3
"""Split and Permuted FashionMNIST: what each method keeps, beside Avalanche. -> docs/results/continual.md, pictures beside it

    scripts/experiments/fashion_mnist.py [--seeds 5] [--only NAME ...] [--avalanche FILE.json]

NAME is a scenario (task, domain, class, permuted) or an arm (naive, ewc ...): the others are left out. FILE.json has what a
program with Avalanche prints for the same work, one JSON object a line: {"scenario", NAME: {"acc", "forgetting"}}. --steps is of
each task."""
import json
import pathlib
import shutil

from experiment import RESULTS, ROOT, Experiment, machine, need, save, spread, table

DATA = "data/cache/fashion-mnist"
RECIPES = {"task": "split_fashion_mnist_task", "domain": "split_fashion_mnist_domain", "class": "split_fashion_mnist_class",
           "permuted": "permuted_fashion_mnist"}
STEPS = {"task": 470, "domain": 470, "class": 470, "permuted": 469}
METHODS = {"naive": "none", "l2": "l2", "ewc": "ewc", "online_ewc": "online_ewc", "si": "si", "mas": "mas", "lwf": "lwf"}
# Of a method the strength with the best average for TUNING is taken, a seed that reports nothing.
LAMBDAS = {"l2": (0.01, 0.1, 1.0), "ewc": (10, 100, 1000, 10_000), "online_ewc": (10, 100, 1000, 10_000),
           "si": (0.1, 1.0, 10.0), "mas": (0.1, 1.0, 10.0), "lwf": (0.3, 1.0, 3.0)}
TUNING = 1000
ARMS = [*METHODS, "joint"]
KEYS = ("average", "backward_transfer", "forgetting", "forward_transfer")


def source(split, **more):
    return {"path": f"{DATA}/{split}-images-idx3-ubyte.gz", "labels": f"{DATA}/{split}-labels-idx1-ubyte.gz", "format": "idx", **more}


def views(scenario):
    """How each task looks at the images."""
    if scenario == "permuted":
        return [{}] + [{"permutation": number} for number in range(2, 11)]
    extra = {"map": "modulo 2"} if scenario == "domain" else {}
    return [{"classes": [first, first + 1], **extra} for first in range(0, 10, 2)]


def tasks(scenario, steps, together):
    """The tasks as a setting. `together`: each has the training data of all, so that the last row is of a joint model."""
    every = [source("train", **view) for view in views(scenario)]
    return "continual.tasks=" + json.dumps([
        {"name": f"task {i + 1}", "max_steps": steps, "train": every if together else [every[i]], "valid": [source("t10k", **view)]}
        for i, view in enumerate(views(scenario))])


class Fashion(Experiment):
    def __init__(self):
        super().__init__("fashion-mnist", f"recipes/images/{RECIPES['task']}.yaml", __doc__, texts=(), seeds=5, arguments={
            "--only": {"nargs": "+", "default": [], "metavar": "NAME", "choices": [*RECIPES, *ARMS]},
            "--avalanche": {"type": pathlib.Path, "metavar": "FILE.json"}})
        need(ROOT / DATA / "train-images-idx3-ubyte.gz", "scripts/data/fashion_mnist.sh")
        self.task_steps, self.options.steps = self.options.steps, None

    def wanted(self, of):
        return [name for name in of if name in self.options.only] or list(of)

    def settings(self, scenario, arm, strength):
        own = [tasks(scenario, self.task_steps or STEPS[scenario], arm == "joint")]
        return own + [f"continual.method={METHODS.get(arm, 'none')}", *([] if strength is None else [f"continual.lambda={strength}"])]

    def tuned(self, scenario, arm):
        found = {strength: result(self.run(f"{scenario}-{arm}-{strength}", TUNING, self.settings(scenario, arm, strength)))["average"]
                 for strength in LAMBDAS.get(arm, ())}
        return max(found, key=found.get) if found else None

    def row(self, scenario, arm):
        strength = self.tuned(scenario, arm)
        name = f"{scenario}-{arm}"
        runs = self.run_all({name: self.settings(scenario, arm, strength)})[name]
        if arm in ("naive", "ewc"):
            shutil.copyfile(runs[0].folder / "tasks.png", RESULTS / f"fashion-mnist-{name}.png")
        found = [result(run) for run in runs]
        return [arm, "" if strength is None else strength, *(spread([one[key] for one in found]) for key in KEYS)]


def result(run):
    return json.loads((run.folder / "tasks.json").read_text())


def avalanche_rows(path, scenario):
    """What the other program reports of that scenario."""
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")] if path else []
    return [[f"Avalanche {name}", line.get("lam", ""), f"{of['acc']:.4f}", "", f"{of['forgetting']:.4f}", ""]
            for line in lines if line.get("scenario") == scenario
            for name, of in line.items() if isinstance(of, dict) and "acc" in of]


def main():
    fashion = Fashion()
    parts = [f"Machine: {machine()}; {fashion.options.seeds} seeds, mean ± standard deviation; lambda: the best of "
             f"{', '.join(map(str, LAMBDAS['ewc']))} (EWC) or of a few others, for a seed of its own."]
    for scenario in fashion.wanted(RECIPES):
        fashion.recipe = ROOT / f"recipes/images/{RECIPES[scenario]}.yaml"
        # Outputs of old tasks are masked on new data: nothing to distil.
        arms = [arm for arm in fashion.wanted(ARMS) if (scenario, arm) != ("task", "lwf")]
        rows = [fashion.row(scenario, arm) for arm in arms] + avalanche_rows(fashion.options.avalanche, scenario)
        parts.append(f"### {scenario}\n\n" + table(
            ["arm", "lambda", "average accuracy", "backward transfer", "forgetting", "forward transfer"], rows))
    save("continual", "\n\n".join(parts), mark="fashion-mnist")


if __name__ == "__main__":
    main()
