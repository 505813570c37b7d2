#!/usr/bin/env python3
"""Rules of libtrain/aggregate against NumPy, written from the papers, and against Flower's own classes where flwr is installed;
aggregation of adapters against NumPy's products and singular values.
"""
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

PROBE = os.environ.get("MOESAIC_AGGREGATE_PROBE") or os.path.join(os.environ["MOESAIC_BIN"], "aggregate_probe")
F = 1
RATE, BETA_1, BETA_2, TAU, MOMENTUM, TRIM = 0.3, 0.9, 0.8, 0.01, 0.7, 0.2


def probe(question):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(question, file)
        file.flush()
        return np.array(json.loads(subprocess.run([PROBE, file.name], check=True, capture_output=True, text=True).stdout))


def rounds_of(kind, silos=9, size=23, count=3):
    """Changes (rounds, silos, size) and examples. Hostile ones: huge, flipped, tied and zero."""
    random = np.random.default_rng(3)
    changes = 1 + 0.3 * random.standard_normal((count, silos, size))
    if kind == "hostile":
        changes[:, 2] *= -1000
    if kind == "tied":
        changes = np.round(changes, 1)
    return changes, random.integers(1, 50, silos)


def ours(options, changes, examples, steps=None):
    reports = [{"silo": f"s{k}", "examples": int(n), "steps": 1.0 if steps is None else float(steps[k])} for k, n in enumerate(examples)]
    options = {"learning_rate": RATE, "momentum": MOMENTUM, "beta_1": BETA_1, "beta_2": BETA_2, "tau": TAU, "trim": TRIM, "f": F, **options}
    return probe({"options": options, "rounds": [{"reports": reports, "changes": change.tolist()} for change in changes]})


def krum_order(changes, f):
    n = len(changes)
    squared = ((changes[:, None] - changes[None]) ** 2).sum(-1)
    nearest = max(1, n - f - 2)
    return np.argsort([np.sort(np.delete(row, i))[:nearest].sum() for i, row in enumerate(squared)], kind="stable")


def combined(rule, changes, examples):
    """One round, before the server's step."""
    n = len(changes)
    if rule == "median":
        return np.median(changes, axis=0)
    if rule == "trimmed_mean":
        cut = int(TRIM * n)
        return np.sort(changes, axis=0)[cut:n - cut].mean(axis=0)
    if rule == "krum":
        return changes[krum_order(changes, F)[0]]
    if rule == "multi_krum":
        return changes[krum_order(changes, F)[:n - F]].mean(axis=0)
    if rule == "bulyan":
        left, chosen = list(changes), []
        while len(chosen) < n - 2 * F:
            chosen.append(left.pop(krum_order(np.array(left), F)[0]))
        chosen = np.sort(chosen, axis=0)
        distance = np.abs(chosen - np.median(chosen, axis=0))
        near = np.argsort(distance, axis=0, kind="stable")[:n - 4 * F]
        return np.take_along_axis(chosen, near, axis=0).mean(axis=0)
    weights = examples / examples.sum()
    if rule == "norm_bound":
        weights = weights * np.minimum(1, 1 / np.linalg.norm(changes, axis=1))
    return weights @ changes


def expected(rule, changes, examples):
    """What is added in each round, learning rate and moments and all."""
    m, v, results = 0, TAU ** 2, []
    for change in changes:
        mean = combined(rule, change, examples)
        if rule == "fedavgm":
            mean = m = MOMENTUM * m + mean
        elif rule in ("fedadam", "fedyogi", "fedadagrad"):
            beta = 0 if rule == "fedadagrad" else BETA_1
            m = beta * m + (1 - beta) * mean
            v = {"fedadam": BETA_2 * v + (1 - BETA_2) * mean ** 2, "fedadagrad": v + mean ** 2,
                 "fedyogi": v - (1 - BETA_2) * mean ** 2 * np.sign(v - mean ** 2)}[rule]
            mean = m / (np.sqrt(v) + TAU)
        results.append(RATE * mean)
    return np.array(results)


RULES = ["fedavg", "fedprox", "fedavgm", "fedadam", "fedyogi", "fedadagrad", "median", "trimmed_mean", "krum", "multi_krum", "bulyan",
         "norm_bound"]


class NumPy(unittest.TestCase):
    def test_every_rule(self):
        for kind in ("plain", "hostile", "tied"):
            changes, examples = rounds_of(kind)
            for rule in RULES:
                if kind == "tied" and rule == "bulyan":
                    continue  # values as far from the median on both sides: either may be taken
                with self.subTest(rule=rule, kind=kind):
                    want = expected(rule, changes, examples)
                    np.testing.assert_allclose(ours({"type": rule}, changes, examples), want, rtol=1e-10, atol=1e-12)

    def test_robust_rules_stand_what_the_mean_does_not(self):
        changes, examples = rounds_of("hostile", count=1)
        for rule in ("median", "trimmed_mean", "krum", "multi_krum", "bulyan"):
            self.assertLess(np.abs(ours({"type": rule, "learning_rate": 1.0}, changes, examples) - 1).max(), 1.2, rule)
        self.assertGreater(np.abs(ours({"type": "fedavg", "learning_rate": 1.0}, changes, examples)).min(), 5)

    def test_fednova(self):
        changes, examples = rounds_of("plain")
        steps, p = np.arange(1, 10), examples / examples.sum()
        want = [RATE * (p @ steps) * ((p / steps) @ change) for change in changes]
        np.testing.assert_allclose(ours({"type": "fednova"}, changes, examples, steps), want, rtol=1e-12)


class Adapters(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(5)
        self.weights = np.array([0.5, 0.3, 0.2])
        self.silos = [(random.standard_normal((12, 3)), random.standard_normal((3, 10))) for _ in self.weights]
        self.mean = sum(w * b @ a for w, (b, a) in zip(self.weights, self.silos))

    def ask(self, way, rank=1):
        silos = [{"b": b.tolist(), "a": a.tolist()} for b, a in self.silos]
        return probe({"lora": way, "rank": rank, "weights": self.weights.tolist(), "silos": silos})

    def test_stacking_and_residual_are_the_mean_of_the_products(self):
        for way in ("stacking", "residual"):
            np.testing.assert_allclose(self.ask(way), self.mean, atol=1e-10, err_msg=way)

    def test_svd_is_the_best_approximation(self):
        u, s, v = np.linalg.svd(self.mean)
        for rank in (1, 3, 5, 9, 12):
            best = (u[:, :rank] * s[:rank]) @ v[:len(s[:rank])] if rank < len(s) else self.mean
            np.testing.assert_allclose(self.ask("svd", rank), best, atol=1e-10, err_msg=str(rank))

    def test_average_differs(self):
        self.assertGreater(np.abs(self.ask("average") - self.mean).max(), 0.1)


@unittest.skipUnless(importlib.util.find_spec("flwr"), "flwr is not installed")
class Flower(unittest.TestCase):
    def flower(self, strategy, changes, examples):
        """What its rounds add; the silos send weights, so the change goes on top of the global ones."""
        from flwr.common import Code, FitRes, Status, ndarrays_to_parameters, parameters_to_ndarrays
        weights, results = np.zeros(changes.shape[-1]), []
        for number, change in enumerate(changes):
            replies = [(None, FitRes(Status(Code.OK, ""), ndarrays_to_parameters([weights + one]), int(n), {})) for one, n in zip(change, examples)]
            after = parameters_to_ndarrays(strategy.aggregate_fit(1 if number == 0 else 10 ** 6, replies, [])[0])[0]
            results.append(after - weights)
            weights = after
        return np.array(results)

    def compare(self, strategy, options, kind="plain", alike=False):
        changes, examples = rounds_of(kind)
        examples = np.ones_like(examples) if alike else examples
        np.testing.assert_allclose(ours(options, changes, examples), self.flower(strategy, changes, examples), rtol=1e-8, atol=1e-11)

    def test_means(self):
        from flwr.common import ndarrays_to_parameters
        from flwr.server import strategy
        zeros = ndarrays_to_parameters([np.zeros(23)])
        self.compare(strategy.FedAvg(inplace=False), {"type": "fedavg", "learning_rate": 1.0})
        self.compare(strategy.FedProx(proximal_mu=0.1), {"type": "fedprox", "learning_rate": 1.0})
        self.compare(strategy.FedAvgM(server_learning_rate=RATE, server_momentum=MOMENTUM, initial_parameters=zeros), {"type": "fedavgm"})

    def test_adaptive_servers(self):
        """Flower begins with v = 0 where the paper has tau^2, corrects the bias of Adam (away after many rounds), and has no
        default of 0 for the first decay of Adagrad."""
        from flwr.common import ndarrays_to_parameters
        from flwr.server import strategy
        zeros = ndarrays_to_parameters([np.zeros(23)])
        both = {"eta": RATE, "tau": TAU, "initial_parameters": zeros}
        yogi = strategy.FedYogi(beta_1=BETA_1, beta_2=BETA_2, **both)
        yogi.v_t = [np.full(23, TAU ** 2)]
        self.compare(yogi, {"type": "fedyogi"})
        adagrad = strategy.FedAdagrad(**both)
        adagrad.v_t = [np.full(23, TAU ** 2)]
        self.compare(adagrad, {"type": "fedadagrad"})

    def test_robust_rules(self):
        from flwr.server import strategy
        for kind in ("plain", "hostile"):
            with self.subTest(kind=kind):
                self.compare(strategy.FedMedian(), {"type": "median", "learning_rate": 1.0}, kind)
                self.compare(strategy.FedTrimmedAvg(beta=TRIM), {"type": "trimmed_mean", "learning_rate": 1.0}, kind)
                self.compare(strategy.Krum(num_malicious_clients=F), {"type": "krum", "learning_rate": 1.0}, kind)
                self.compare(strategy.Krum(num_malicious_clients=F, num_clients_to_keep=5),
                             {"type": "multi_krum", "keep": 5, "learning_rate": 1.0}, kind, alike=True)
                self.compare(strategy.Bulyan(num_malicious_clients=F, to_keep=0), {"type": "bulyan", "learning_rate": 1.0}, kind)


if __name__ == "__main__":
    unittest.main()
