#!/usr/bin/env python3
"""One of five silos is hostile: the rules of libtrain/aggregate in rounds of a classifier of handwritten digits (scikit-learn's own
1,797 images), trained by NumPy. Robust rules stay within 2 points of the clean run; fedavg is shown to fail.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are small
try:
    import numpy as np
    from sklearn.datasets import load_digits
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

PROBE = os.environ.get("MOESAIC_AGGREGATE_PROBE") or os.path.join(os.environ["MOESAIC_BIN"], "aggregate_probe")
SILOS, HOSTILE, TEST, ROUNDS, STEPS, RATE = 5, 1, 397, 8, 8, 0.5
ROBUST = ["median", "trimmed_mean", "krum", "multi_krum"]
ATTACKS = {"times 1000": 1000, "sign flipped": -1, "both": -1000, "labels flipped": 1}  # what its change is multiplied by


def added(rule, changes, refused=0):
    """What the rule adds to the model; `refused`: silos of the round whose changes never got to it."""
    question = {"options": {"type": rule, "trim": 0.2, "f": 1},
                "rounds": [{"refused": refused, "reports": [{"silo": f"s{k}", "examples": 1, "steps": 1.0} for k in range(len(changes))],
                            "changes": np.array(changes).tolist()}]}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(question, file)
        file.flush()
        answer = json.loads(subprocess.run([PROBE, file.name], check=True, capture_output=True, text=True).stdout)
    return np.array(answer).reshape(-1)


class Digits:
    """Softmax regression, weights and biases in one vector."""

    def __init__(self):
        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(1).permutation(len(labels))
        images, self.labels = images[order] / 16, labels[order]
        self.images = np.hstack([images, np.ones((len(images), 1))])
        self.size = self.images.shape[1] * 10

    def logits(self, model, images):
        return images @ model.reshape(-1, 10)

    def accuracy(self, model):
        return float((self.logits(model, self.images[:TEST]).argmax(1) == self.labels[:TEST]).mean())

    def change(self, model, silo, flipped=False):
        """Some full steps on the silo's images."""
        images, labels = self.images[TEST + silo::SILOS], self.labels[TEST + silo::SILOS]
        targets = np.eye(10)[9 - labels if flipped else labels]
        local = model.copy()
        for _ in range(STEPS):
            scores = np.exp(self.logits(local, images) - self.logits(local, images).max(1, keepdims=True))
            local -= RATE * (images.T @ (scores / scores.sum(1, keepdims=True) - targets) / len(labels)).reshape(-1)
        return local - model


class HostileSilo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.digits = Digits()
        cls.clean = cls.trained("fedavg")

    @classmethod
    def trained(cls, rule, attack=None, silos=SILOS):
        model = np.zeros(cls.digits.size)
        for _ in range(ROUNDS):
            changes = [cls.digits.change(model, k, flipped=k == HOSTILE and attack == "labels flipped") for k in range(silos)]
            if attack:
                changes[HOSTILE] *= ATTACKS[attack]
            model = model + added(rule, changes, refused=SILOS - silos)
        return cls.digits.accuracy(model)

    def test_robust_rules_stay_within_two_points(self):
        self.assertGreater(self.clean, 0.9)
        for rule in ROBUST:
            for attack in ATTACKS:
                with self.subTest(rule=rule, attack=attack):
                    self.assertGreaterEqual(self.trained(rule, attack), self.clean - 0.02)

    def test_the_mean_fails(self):
        for attack in ("times 1000", "both"):
            self.assertLess(self.trained("fedavg", attack), self.clean - 0.1, attack)

    def test_without_the_silo_whose_change_is_refused_the_rest_learns_the_same(self):
        """A change that is not finite never gets to a rule: the round goes on with four silos, of which none is hostile any more."""
        for rule in ROBUST:
            self.assertGreaterEqual(self.trained(rule, silos=SILOS - 1), self.clean - 0.02)


if __name__ == "__main__":
    unittest.main()
