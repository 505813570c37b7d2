#!/usr/bin/env python3
"""Split and Permuted FashionMNIST: what each method keeps, beside Avalanche. -> docs/results/continual.md, pictures beside it

    scripts/experiments/fashion_mnist.py [--seeds 5] [--only NAME ...] [--avalanche FILE.json]

NAME is a scenario (task, domain, class, permuted) or an arm (naive, ewc ...): the others are left out. FILE.json has what
fashion_mnist_avalanche.py prints for the same work. --steps is of each task. The images are the first 20,000 of the 60,000 and the
first 2,000 of the test set. Strengths are chosen on the last tenth of the training images by runs that learn the other nine; the
runs of the table learn all of them and are judged on the test images."""
import gzip
import json
import pathlib
import shutil
import struct

from experiment import RESULTS, ROOT, Experiment, machine, need, picture, save, spread, table

DATA = "data/cache/fashion-mnist"
RECIPES = {"task": "split_fashion_mnist_task", "domain": "split_fashion_mnist_domain", "class": "split_fashion_mnist_class",
           "permuted": "permuted_fashion_mnist"}
TRAIN, TEST = 20_000, 2_000
STEPS = {"task": 313, "domain": 313, "class": 313, "permuted": 313}  # 10 epochs of a pair of classes, 2 of all
METHODS = {"naive": "none", "l2": "l2", "ewc": "ewc", "ewc_clipped": "ewc", "online_ewc": "online_ewc", "si": "si",
           "mas": "mas", "lwf": "lwf"}
# Of a method the strength with the best average for TUNING is taken, a seed that reports nothing; online_ewc takes that of ewc.
# Where 10 terms add up, 100 diverges without clipping.
LAMBDAS = {"l2": (0.01, 0.1, 1.0), "ewc": (100, 1000, 10_000), "ewc_clipped": (100, 1000, 10_000), "si": (0.1, 1.0), "mas": (0.1, 1.0),
           "lwf": (0.3, 1.0)}
PERMUTED = {"ewc": (1, 10, 30), "ewc_clipped": (30, 100)}
TUNING = 1000
ARMS = [*METHODS, "replay", "joint"]
REPLAY = 0.1  # the share of a step's images that are of all the tasks
PARTS = {"fit": ("train", 0, TRAIN * 9 // 10), "check": ("train", TRAIN * 9 // 10, TRAIN), "train": ("train", 0, TRAIN),
         "test": ("t10k", 0, TEST)}
FOLDER = "runs/experiments/fashion-mnist/images"
KEYS = ("average", "backward_transfer", "forgetting", "forward_transfer")


def cut(split, kind, begin, end):
    """Images or labels [begin, end) of a file as an IDX file."""
    raw = gzip.open(ROOT / f"{DATA}/{split}-{kind}.gz").read()
    head, size = (16, 784) if kind.startswith("images") else (8, 1)
    return raw[:4] + struct.pack(">I", end - begin) + raw[8:head] + raw[head + begin * size:head + end * size]


def make_parts():
    folder = ROOT / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for part, range_ in PARTS.items():
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            target = folder / f"{part}-{kind}"
            if not target.exists():
                split, begin, end = range_
                target.write_bytes(cut(split, kind, begin, end))


def source(part, **more):
    return {"path": f"{FOLDER}/{part}-images-idx3-ubyte", "labels": f"{FOLDER}/{part}-labels-idx1-ubyte", "format": "idx", **more}


def views(scenario):
    """How each task looks at the images."""
    if scenario == "permuted":
        return [{}] + [{"permutation": number} for number in range(2, 11)]
    extra = {"map": "modulo 2"} if scenario == "domain" else {}
    return [{"classes": [first, first + 1], **extra} for first in range(0, 10, 2)]


def tasks(scenario, steps, together, learned="train", judged="test"):
    """The tasks as a setting. `together`: each has the training data of all, so that the last row is of a joint model."""
    every = [source(learned, **view) for view in views(scenario)]
    return "continual.tasks=" + json.dumps([
        {"name": f"task {i + 1}", "max_steps": steps, "train": every if together else [every[i]], "valid": [source(judged, **view)]}
        for i, view in enumerate(views(scenario))])


class Fashion(Experiment):
    def __init__(self):
        super().__init__("fashion-mnist", f"recipes/images/{RECIPES['task']}.yaml", __doc__, texts=(), seeds=5, arguments={
            "--only": {"nargs": "+", "default": [], "metavar": "NAME", "choices": [*RECIPES, *ARMS]},
            "--avalanche": {"type": pathlib.Path, "metavar": "FILE.json"}})
        need(ROOT / DATA / "train-images-idx3-ubyte.gz", "scripts/data/fashion_mnist.sh")
        make_parts()
        self.task_steps, self.options.steps = self.options.steps, None

    def wanted(self, of):
        return [name for name in of if name in self.options.only] or list(of)

    def settings(self, scenario, arm, strength, learned="train", judged="test"):
        own = [tasks(scenario, self.task_steps or STEPS[scenario], arm == "joint", learned, judged), "checkpoint.every_steps=0",
               "log.tensorboard=false", "log.every_steps=50", f"continual.method={METHODS.get(arm, 'none')}"]
        if arm == "ewc_clipped":
            own.append("train.clip_norm=1")
        if arm == "replay":
            old = [source(learned, **view) for view in views(scenario)]
            own.append("continual.replay=" + json.dumps({"share": REPLAY, "sources": old}))
        return own + ([] if strength is None else [f"continual.lambda={strength}"])

    def tuned(self, scenario, arm):
        arm = "ewc" if arm == "online_ewc" else arm
        strengths = LAMBDAS | (PERMUTED if scenario == "permuted" else {})
        found = {strength: self.tried(scenario, arm, strength) for strength in strengths.get(arm, ())}
        return max(found, key=found.get) if found else None

    def tried(self, scenario, arm, strength):
        """The average on held-out images; 0 where the run diverged."""
        try:
            run = self.run(f"{scenario}-{arm}-{strength}", TUNING, self.settings(scenario, arm, strength, "fit", "check"))
        except SystemExit as error:
            print(error, flush=True)
            return 0.0
        return result(run)["average"]

    def row(self, scenario, arm):
        strength = self.tuned(scenario, arm)
        name = f"{scenario}-{arm}"
        runs = self.run_all({name: self.settings(scenario, arm, strength)})[name]
        if arm in ("naive", "ewc"):
            shutil.copyfile(runs[0].folder / "tasks.png", RESULTS / f"fashion-mnist-{name}.png")
        found = [result(run) for run in runs]
        self.curves[arm] = learned(found)
        return [arm, "" if strength is None else strength, *(spread([one[key] for one in found]) for key in KEYS)]


def learned(found):
    """[(tasks learned, mean accuracy on them)], over the seeds."""
    count = len(found[0]["tasks"])
    return [(i, sum(sum(one["matrix"][i][:i]) / i for one in found) / len(found)) for i in range(1, count + 1)]


def result(run):
    return json.loads((run.folder / "tasks.json").read_text())


def avalanche_rows(path, scenario):
    """What the other program reports of that scenario: of each seed, or one number."""
    def shown(values):
        return spread(values if isinstance(values, list) else [values])

    lines = [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")] if path else []
    return [[f"Avalanche {name}", line.get("lam", ""), shown(of["acc"]), "", shown(of["forgetting"]), ""]
            for line in lines if line.get("scenario") == scenario
            for name, of in line.items() if isinstance(of, dict) and "acc" in of]


def main():
    fashion = Fashion()
    for scenario in fashion.wanted(RECIPES):
        fashion.recipe, fashion.curves = ROOT / f"recipes/images/{RECIPES[scenario]}.yaml", {}
        # No strength has been chosen for distillation under masks.
        arms = [arm for arm in fashion.wanted(ARMS) if (scenario, arm) != ("task", "lwf")]
        rows = [fashion.row(scenario, arm) for arm in arms] + avalanche_rows(fashion.options.avalanche, scenario)
        picture(f"fashion-mnist-{scenario}", [(scenario, "tasks learned", "accuracy on them", fashion.curves, "linear")])
        text = table(["arm", "lambda", "average accuracy", "backward transfer", "forgetting", "forward transfer"], rows)
        save("continual", f"Seeds: {fashion.options.seeds}, mean ± standard deviation; {fashion.task_steps or STEPS[scenario]} steps "
             f"for each task; {machine()}.\n\n{text}", mark=f"fashion-mnist-{scenario}")


if __name__ == "__main__":
    main()
