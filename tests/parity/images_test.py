"""A classifier of images against PyTorch: the same start, images and optimizer give the same weights, step after step; also the
labels of a task alone, a modulus of them, and pixels in the order that NumPy gives them."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from image_files import RECIPE, write_images  # noqa: E402
from moesaic import RunTest  # noqa: E402

try:
    import numpy
    import safetensors.torch
    import torch
    from torch.nn.functional import cross_entropy
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --peers installs it)")
    sys.exit(77)

COUNT, STEPS, BATCH, MICRO = 200, 30, 24, 6
EXAMPLES, LAMBDA = 48, 20


def overrides_of(folder):
    return (f"model.from={folder}/start", "data.shuffle=false", "eval.every_steps=0", "checkpoint.every_steps=0")


def network():
    return torch.nn.Sequential(torch.nn.Linear(36, 16), torch.nn.ReLU(), torch.nn.Linear(16, 12), torch.nn.ReLU(),
                               torch.nn.Linear(12, 4)).double()


def named(model):
    """The weights under their names here."""
    layers = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    return {f"layers.{i}.{name}": value.detach().contiguous() for i, layer in enumerate(layers) for name, value in layer.named_parameters()}


class ImagesTest(RunTest):
    recipe_text = RECIPE

    def setUp(self):
        super().setUp()
        pixels, labels = write_images(self.folder, "train", COUNT, seed=1)
        write_images(self.folder, "valid", 50, seed=2)
        self.images = torch.tensor(pixels, dtype=torch.float64).view(COUNT, 36) / 255
        self.labels = torch.tensor(labels)
        torch.manual_seed(7)
        self.model = network()
        start = self.folder / "start"
        start.mkdir()
        (start / "config.json").write_text(json.dumps({"model_type": "mlp", "input_size": 36, "hidden_sizes": [16, 12], "num_labels": 4}))
        safetensors.torch.save_file(named(self.model), start / "model.safetensors")

    def learn(self, optimizer, images, labels, mask=None, penalty=lambda: 0):
        """Trains the network in PyTorch, in the order of the file."""
        for step in range(STEPS):
            rows = torch.arange(step * BATCH, (step + 1) * BATCH) % len(labels)
            logits = self.model(images[rows])
            if mask is not None:
                logits = logits.masked_fill(~mask, -torch.inf)
            optimizer.zero_grad()
            (cross_entropy(logits, labels[rows]) + penalty()).backward()
            optimizer.step()

    def compare(self, optimizer, images, labels, overrides, mask=None, tolerance=1e-11):
        """The same images on both sides."""
        self.learn(optimizer, images, labels, mask)
        self.train(f"train.max_steps={STEPS}", *overrides, *overrides_of(self.folder))
        self.compare_weights(tolerance)

    def compare_weights(self, tolerance):
        self.moesaic("export", self.folder / "run", self.folder / "exported", "--overwrite")
        here = safetensors.torch.load_file(self.folder / "exported/model.safetensors")
        for name, value in named(self.model).items():
            difference = (here[name] - value).abs().max().item()
            self.assertLess(difference, tolerance, name)
            self.assertGreater((value - safetensors.torch.load_file(self.folder / "start/model.safetensors")[name]).abs().max().item(), 1e-4)

    def fisher(self, labels):
        """The diagonal Fisher information of the first examples, one by one, as the recipe's `labels` mean it."""
        parameters = list(self.model.parameters())
        sums = [torch.zeros_like(p) for p in parameters]

        def add(loss, weight):
            for total, gradient in zip(sums, torch.autograd.grad(loss, parameters, retain_graph=True)):
                total += weight * gradient ** 2
        if labels == "batched":
            for first in range(0, EXAMPLES, MICRO):
                rows = slice(first, first + MICRO)
                add(cross_entropy(self.model(self.images[rows]), self.labels[rows]), MICRO / EXAMPLES)
            return sums
        for image, label in zip(self.images[:EXAMPLES], self.labels[:EXAMPLES]):
            log_p = torch.log_softmax(self.model(image), 0)
            for output in range(4) if labels == "exact" else [label]:
                add(-log_p[output], (log_p[output].exp().item() if labels == "exact" else 1) / EXAMPLES)
        return sums

    def test_ewc_on_two_tasks(self):
        """The second task has the pixels in another order; the pull is that of one task's Fisher information and weights."""
        order = numpy.random.RandomState(42).permutation(36)
        valid = f"valid: [{{path: {self.folder}/valid.idx.gz, labels: {self.folder}/valid-labels.idx, format: idx}}]"
        train = f"train: [{{path: {self.folder}/train.idx.gz, labels: {self.folder}/train-labels.idx, format: idx"
        tasks = ", ".join(f"{{name: {name}, max_steps: {STEPS}, {train}{keys}}}], {valid}}}"
                          for name, keys in (("plain", ""), ("permuted", ", permutation: 42")))
        recipe = "\n".join(line for line in self.recipe.read_text().splitlines() if not line.startswith(("data:", "  train:", "  valid:")))
        start = self.model.state_dict()
        start = {name: value.clone() for name, value in start.items()}
        for labels in ("batched", "exact", "empirical"):
            with self.subTest(labels):
                self.model.load_state_dict(start)
                parameters = list(self.model.parameters())
                self.learn(torch.optim.SGD(parameters, 0.1, momentum=0.9), self.images, self.labels)
                fisher, anchors = self.fisher(labels), [p.detach().clone() for p in parameters]
                self.learn(torch.optim.SGD(parameters, 0.1, momentum=0.9), self.images[:, order], self.labels,
                           penalty=lambda: LAMBDA / 2 * sum((f * (p - a) ** 2).sum() for f, p, a in zip(fisher, parameters, anchors)))
                self.recipe.write_text(recipe.replace("max_steps: 40, ", "")
                                       + f"\ncontinual: {{method: ewc, lambda: {LAMBDA}, fisher: {{labels: {labels}, examples: {EXAMPLES}}}, tasks: [{tasks}]}}\n")
                self.train(*overrides_of(self.folder), "--overwrite")
                self.compare_weights(1e-10)

    def source(self, keys):
        return f"data.train=[{{path: {self.folder}/train.idx.gz, labels: {self.folder}/train-labels.idx, format: idx{keys}}}]"

    def test_sgd_with_momentum(self):
        self.compare(torch.optim.SGD(self.model.parameters(), 0.1, momentum=0.9), self.images, self.labels, [])

    def test_adamw(self):
        groups = [{"params": [p for n, p in self.model.named_parameters() if n.endswith(end)], "weight_decay": decay}
                  for end, decay in (("weight", 0.1), ("bias", 0.0))]
        self.compare(torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), eps=1e-8), self.images, self.labels,
                     ["optimizer={type: adamw, learning_rate: 0.01, weight_decay: 0.1, momentum: 0}"], tolerance=1e-8)

    def test_the_outputs_of_a_task_alone(self):
        chosen = (self.labels == 1) | (self.labels == 3)
        self.compare(torch.optim.SGD(self.model.parameters(), 0.1, momentum=0.9), self.images[chosen], self.labels[chosen],
                     [self.source(", classes: [3, 1]"), "continual={method: none, mask_classes: true}"],
                     mask=torch.tensor([False, True, False, True]))

    def test_a_modulus_of_the_labels_and_another_order_of_the_pixels(self):
        order = numpy.random.RandomState(42).permutation(36)
        self.compare(torch.optim.SGD(self.model.parameters(), 0.1, momentum=0.9), self.images[:, order], self.labels % 2,
                     [self.source(", map: modulo 2, permutation: 42")])


if __name__ == "__main__":
    unittest.main()
