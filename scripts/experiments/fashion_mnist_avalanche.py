#!/usr/bin/env python3
"""The work of fashion_mnist.py by Avalanche (avalanche-lib 0.6): the same images, network, batches, optimizer and number of epochs,
its own draws. Prints a JSON line a scenario: {"scenario", "lam", "naive": {"acc": [..], "forgetting": [..]}, "ewc": ...}.

    fashion_mnist_avalanche.py [--seeds 5] [--scenario task domain class permuted] >> FILE.json

ewc is EWCPlugin in its mode "separate"; its lambda is chosen as in fashion_mnist.py: on the last tenth of the training images, by a
run that learns the other nine, for a seed of its own. Run fashion_mnist.py first, which cuts the images. forgetting: from the best."""
import argparse
import json
import statistics
import warnings

import numpy
import torch

from fashion_mnist import FOLDER, ROOT, TUNING, views

warnings.filterwarnings("ignore")
from avalanche.benchmarks import tensors_benchmark  # noqa: E402
from avalanche.models import MultiTaskModule  # noqa: E402
from avalanche.training.plugins import EvaluationPlugin, EWCPlugin  # noqa: E402
from avalanche.training.supervised import Naive  # noqa: E402

STRENGTHS = (10.0, 100.0, 1000.0, 10_000.0)
EPOCHS = {"task": 10, "domain": 10, "class": 10, "permuted": 2}


def images(part):
    x = numpy.fromfile(ROOT / FOLDER / f"{part}-images-idx3-ubyte", numpy.uint8, offset=16).reshape(-1, 784)
    return x, numpy.fromfile(ROOT / FOLDER / f"{part}-labels-idx1-ubyte", numpy.uint8, offset=8)


def look(part, view):
    """A task's view of the images as tensors."""
    x, y = images(part)
    keep = numpy.isin(y, view.get("classes", range(10)))
    x, y = x[keep], y[keep]
    if "permutation" in view:
        x = x[:, numpy.random.RandomState(view["permutation"]).permutation(784)]
    return torch.from_numpy(x.astype(numpy.float32) / 255), torch.from_numpy((y % 2 if "map" in view else y).astype(numpy.int64))


class Network(MultiTaskModule):
    """Task-incremental: the outputs limited to the two classes of the task."""

    def __init__(self, scenario):
        super().__init__()
        self.masked = scenario == "task"
        self.net = torch.nn.Sequential(torch.nn.Linear(784, 400), torch.nn.ReLU(), torch.nn.Linear(400, 400), torch.nn.ReLU(),
                                       torch.nn.Linear(400, 2 if scenario == "domain" else 10))

    def forward(self, x, task_labels):
        y = self.net(x)
        return y.masked_fill(torch.arange(10) // 2 != task_labels[:, None], -1e9) if self.masked else y


def learn(scenario, plugins, seed, learned, judged):
    """(mean accuracy at the end, forgetting)"""
    train, test = ([look(part, view) for view in views(scenario)] for part in (learned, judged))
    bench = tensors_benchmark(train_tensors=train, test_tensors=test,
                              task_labels=list(range(len(train))) if scenario == "task" else [0] * len(train))
    torch.manual_seed(seed)
    model = Network(scenario)
    strategy = Naive(model=model, optimizer=torch.optim.SGD(model.parameters(), 0.05, momentum=0.9), train_mb_size=128,
                     train_epochs=EPOCHS[scenario], plugins=plugins, evaluator=EvaluationPlugin(loggers=[]))
    rows = []
    for experience in bench.train_stream:
        strategy.train(experience)
        model.eval()
        with torch.no_grad():
            rows.append([(model(x, torch.full_like(y, i)).argmax(1) == y).double().mean().item() for i, (x, y) in enumerate(test)])
        model.train()
    lost = [max(row[i] for row in rows[:-1]) - rows[-1][i] for i in range(len(rows) - 1)]
    return statistics.mean(rows[-1]), statistics.mean(lost)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scenario", nargs="+", choices=EPOCHS, default=list(EPOCHS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for scenario in options.scenario:
        tried = {strength: learn(scenario, [EWCPlugin(strength)], TUNING, "fit", "check")[0] for strength in STRENGTHS}
        best = max(tried, key=tried.get)
        line = {"scenario": scenario, "lam": best, "tried": tried}
        for name, plugins in (("naive", lambda: []), ("ewc", lambda: [EWCPlugin(best)])):
            found = [learn(scenario, plugins(), seed, "train", "test") for seed in range(1, options.seeds + 1)]
            line[name] = {"acc": [one[0] for one in found], "forgetting": [one[1] for one in found]}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
