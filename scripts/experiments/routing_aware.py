#!/usr/bin/env python3
"""Does it help that an expert's importances are means over the examples that reached it? A small MoE reads legal, then medical text,
byte by byte, with `fisher.routing_aware` off and on. -> docs/results/continual.md

    scripts/experiments/routing_aware.py [--seeds 3] [--jobs 2] [--steps 120]

--steps is of each task. Each arm has the lambda with the lowest average loss on the valid part, for a seed that reports nothing; the
table is of the test part."""
import json

from experiment import ROOT, Experiment, bootstrap, machine, need, save, spread, table

DOMAINS = ("legal", "medical")
ARMS = {"naive": None, "ewc": False, "ewc, routing_aware": True}
LAMBDAS = (1, 10, 100, 1000)
TUNING = 1000
NAMES = {"naive": "naive", "ewc": "plain", "ewc, routing_aware": "aware"}


class RoutingAware(Experiment):
    def __init__(self):
        super().__init__("routing-aware", "recipes/experiments/small-moe.yaml", __doc__, texts=())
        self.task_steps, self.options.steps = self.options.steps or 120, None
        for domain in DOMAINS:
            need(ROOT / f"data/cache/{domain}/train.jsonl", f"scripts/data/{domain}.py")

    def settings(self, aware, strength, judged):
        tasks = [{"name": domain, "max_steps": self.task_steps,
                  "train": [{"path": f"data/cache/{domain}/train.jsonl", "format": "jsonl"}],
                  "valid": [{"path": f"data/cache/{domain}/{judged}-short.jsonl", "format": "jsonl"}]} for domain in DOMAINS]
        block = {"method": "none", "tasks": tasks}
        if aware is not None:
            block |= {"method": "ewc", "lambda": strength, "fisher": {"examples": 256, "routing_aware": aware}}
        # The recipe's own text and steps give way to the tasks'.
        return ["data.train=[]", "data.valid=[]", "train.max_steps=null", "eval.every_steps=0", "continual=" + json.dumps(block)]

    def tuned(self, arm):
        if ARMS[arm] is None:
            return None
        tried = {strength: result(self.run(f"{NAMES[arm]}-{strength}", TUNING, self.settings(ARMS[arm], strength, "valid")))["average"]
                 for strength in LAMBDAS}
        print(arm, tried, flush=True)
        return min(tried, key=tried.get)


def result(run):
    return json.loads((run.folder / "tasks.json").read_text())


def main():
    work = RoutingAware()
    strengths = {arm: work.tuned(arm) for arm in ARMS}
    runs = work.run_all({NAMES[arm]: work.settings(ARMS[arm], strengths[arm], "test") for arm in ARMS})
    found = {arm: [result(run) for run in runs[NAMES[arm]]] for arm in ARMS}
    rows = [[arm, "" if strengths[arm] is None else strengths[arm], *(spread(values) for values in (
        [one["matrix"][1][0] for one in of], [one["matrix"][2][0] for one in of], [one["matrix"][2][1] for one in of],
        [one["average"] for one in of], [one["backward_transfer"] for one in of]))] for arm, of in found.items()]
    text = table(["arm", "lambda", "legal after legal", "legal at the end", "medical at the end", "average", "backward transfer"], rows)
    if work.options.seeds > 1:
        low, high = bootstrap({arm: [one["backward_transfer"] for one in of] for arm, of in found.items()},
                              lambda mean: mean["ewc, routing_aware"] - mean["ewc"])
        text += f"\n\nBackward transfer with `routing_aware` less that without: [{low:+.4f}, {high:+.4f}] nats (95 %, by drawing seeds)."
    save("continual", f"Machine: {machine()}; {work.options.seeds} seeds, mean ± standard deviation; loss in nats per byte; "
         f"{work.task_steps} steps for each task; lambda of {', '.join(map(str, LAMBDAS))}.\n\n{text}", mark="routing-aware")


if __name__ == "__main__":
    main()
