"""EWC against Avalanche: the same images, start, order, optimizer and strength give the same weights after each of three tasks.
Its importances are squares of a micro-batch's mean gradient (`fisher: batched` here) and its penalty has no factor 1/2."""
import gzip
import json
import pathlib
import sys
import unittest
import warnings

warnings.filterwarnings("ignore")
try:
    import numpy
    import safetensors.torch
    import torch
    from avalanche.benchmarks import tensors_benchmark
    from avalanche.training.plugins import EvaluationPlugin, EWCPlugin
    from avalanche.training.supervised import Naive
except ImportError as error:
    print(f"skipped: {error} (pip install avalanche-lib)")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from image_files import idx  # noqa: E402
from moesaic import ROOT, RunTest  # noqa: E402

DATA = ROOT / "data/cache/fashion-mnist"
TASKS, COUNT, BATCH, EPOCHS = 3, 1280, 128, 6
STEPS = EPOCHS * COUNT // BATCH
RATE, MOMENTUM = 0.05, 0.9
RECIPE = """
name: beside-avalanche
model: {from: START}
train: {global_batch_size: BATCH, micro_batch_size: BATCH, precision: float32, clip_norm: 0}
data: {shuffle: false}
optimizer: {type: sgd, learning_rate: RATE, momentum: MOMENTUM, weight_decay: 0}
schedule: {type: constant, warmup_steps: 0}
parallel: {timeout_s: 60, threads_per_rank: 1}
checkpoint: {every_steps: STEPS, keep: 10}
eval: {every_steps: 0}
log: {every_steps: 10, tensorboard: false}
"""


def network():
    return torch.nn.Sequential(torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 100), torch.nn.ReLU(),
                               torch.nn.Linear(100, 2))


def named(model):
    """Copies of the weights under their names here."""
    layers = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    return {f"layers.{i}.{name}": value.detach().clone() for i, layer in enumerate(layers) for name, value in layer.named_parameters()}


def pairs():
    """For each task COUNT images of two classes of FashionMNIST and their classes modulo 2, as bytes."""
    pixels = numpy.frombuffer(gzip.open(DATA / "train-images-idx3-ubyte.gz").read(), numpy.uint8, offset=16).reshape(-1, 784)
    labels = numpy.frombuffer(gzip.open(DATA / "train-labels-idx1-ubyte.gz").read(), numpy.uint8, offset=8)
    chosen = [numpy.flatnonzero(labels // 2 == task)[:COUNT] for task in range(TASKS)]
    return [(pixels[rows], labels[rows] % 2) for rows in chosen]


class AvalancheTest(RunTest):
    def setUp(self):
        super().setUp()
        if not DATA.is_dir():
            self.skipTest("data/cache/fashion-mnist is not there: run scripts/data/fashion_mnist.sh")
        torch.set_num_threads(1)
        torch.manual_seed(7)
        self.model, self.data, self.start = network(), pairs(), self.folder / "start"
        self.start.mkdir()
        (self.start / "config.json").write_text(json.dumps(
            {"model_type": "mlp", "input_size": 784, "hidden_sizes": [100, 100], "num_labels": 2}))
        safetensors.torch.save_file(named(self.model), self.start / "model.safetensors")

    def here(self, method, strength, labels):
        """Weights after each task. The penalty here has the factor 1/2."""
        for i, (pixels, targets) in enumerate(self.data):
            (self.folder / f"{i}.idx").write_bytes(idx((COUNT, 28, 28), pixels.tobytes()))
            (self.folder / f"{i}-labels.idx").write_bytes(idx((COUNT,), targets.tobytes()))
        sources = [[{"path": f"{self.folder}/{i}.idx", "labels": f"{self.folder}/{i}-labels.idx", "format": "idx"}] for i in range(TASKS)]
        text = RECIPE
        for name, value in (("START", self.start), ("BATCH", BATCH), ("RATE", RATE), ("MOMENTUM", MOMENTUM), ("STEPS", STEPS)):
            text = text.replace(f": {name}", f": {value}")
        self.recipe.write_text(text + "continual: " + json.dumps(
            {"method": method, "lambda": 2 * strength, "fisher": {"labels": labels, "examples": COUNT},
             "tasks": [{"name": f"t{i}", "max_steps": STEPS, "train": one, "valid": one} for i, one in enumerate(sources)]}))
        run = f"run-{method}-{labels}"
        self.train(run=run)
        weights = []
        for task in range(1, TASKS + 1):
            out = self.folder / f"{run}-{task}"
            self.moesaic("export", self.folder / run / f"checkpoints/step-{task * STEPS:08d}", out, "--dtype", "float32")
            weights.append(safetensors.torch.load_file(out / "model.safetensors"))
        return weights

    def there(self, plugins):
        tensors = [(torch.from_numpy(x.astype(numpy.float32) / 255), torch.from_numpy(y.astype(numpy.int64))) for x, y in self.data]
        bench = tensors_benchmark(train_tensors=tensors, test_tensors=tensors, task_labels=[0] * TASKS)
        strategy = Naive(model=self.model, optimizer=torch.optim.SGD(self.model.parameters(), RATE, momentum=MOMENTUM),
                         train_mb_size=BATCH, train_epochs=EPOCHS, plugins=plugins, evaluator=EvaluationPlugin(loggers=[]))
        weights = []
        for experience in bench.train_stream:
            strategy.optimizer.state.clear()  # here the optimizer begins anew with each task
            strategy.train(experience, shuffle=False)
            weights.append(named(self.model))
        return weights

    def differences(self, ours, theirs):
        """For each task the distance of the two, as a share of the way from its start."""
        shares, before = [], safetensors.torch.load_file(self.start / "model.safetensors")
        for here, there in zip(ours, theirs):
            def length(a, b):
                return sum((a[name].double() - b[name].double()).square().sum() for name in there).sqrt().item()
            self.assertEqual(set(here), set(there))
            shares.append(length(here, there) / length(there, before))
            before = there
        print(f"distances as shares of each task's way: {', '.join(f'{share:.1e}' for share in shares)}")
        return shares

    def test_ewc_with_a_term_for_each_task(self):
        ours, theirs = self.here("ewc", 50, "batched"), self.there([EWCPlugin(50)])
        self.assertLess(max(self.differences(ours, theirs)), 1e-4)
        # The penalty matters, and so does whose gradients are squared.
        other = self.here("ewc", 50, "empirical")
        self.assertGreater(max(self.differences(other, theirs)), 1e-2)

    def test_online_ewc(self):
        ours, theirs = self.here("online_ewc", 50, "batched"), self.there([EWCPlugin(50, "online", 1.0)])
        self.assertLess(max(self.differences(ours, theirs)), 1e-4)


if __name__ == "__main__":
    unittest.main()
