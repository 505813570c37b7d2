#!/usr/bin/env python3
"""`moesaic privacy` beside Opacus (RDP) and dp-accounting (PLD): random rows, asked anew in each run."""
import json
import math
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import unittest  # noqa: E402

from moesaic import RunTest  # noqa: E402

try:
    from dp_accounting.pld import privacy_loss_distribution
    from opacus.accountants.analysis import rdp
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --peers installs it)")
    sys.exit(77)

ORDERS = [1 + x / 10.0 for x in range(1, 100)] + list(range(12, 64))
SEED = int(os.environ.get("MOESAIC_SEED", time.time_ns() % 1_000_000))


def rows(count):
    """(noise multiplier, sampling rate, steps, delta), of which the finest grid takes dp-accounting some seconds."""
    r = random.Random(SEED)
    for _ in range(count):
        yield (round(math.exp(r.uniform(math.log(0.6), math.log(4))), 4), round(math.exp(r.uniform(math.log(1e-2), math.log(0.3))), 6),
               int(math.exp(r.uniform(0, math.log(2000)))), 10 ** -r.randint(3, 8))


def pld_epsilon(noise, rate, steps, delta, interval):
    distribution = privacy_loss_distribution.from_gaussian_mechanism(noise, value_discretization_interval=interval, sampling_prob=rate)
    return distribution.self_compose(steps).get_epsilon_for_delta(delta)


class Accounting(RunTest):
    def ask(self, what, *options):
        return json.loads(self.moesaic("privacy", what, "--json", *options).stdout)

    def options(self, row, accountant):
        noise, rate, steps, delta = row
        return ("--noise-multiplier", noise, "--sampling-rate", rate, "--steps", steps, "--delta", delta, "--accountant", accountant)

    def test_rdp_is_that_of_opacus(self):
        for row in rows(30):
            with self.subTest(seed=SEED, row=row):
                noise, rate, steps, delta = row
                spent = rdp.compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=ORDERS)
                epsilon, order = rdp.get_privacy_spent(orders=ORDERS, rdp=spent, delta=delta)
                got = self.ask("epsilon", *self.options(row, "rdp"))
                self.assertLessEqual(abs(got["epsilon"] - max(epsilon, 0)), 1e-5)
                self.assertAlmostEqual(got["order"], order, places=6)

    def test_pld_is_just_above_dp_accounting(self):
        for row in rows(4):
            with self.subTest(seed=SEED, row=row):
                interval = 1e-4
                first = value = pld_epsilon(*row, interval)
                while interval > 2e-5:  # until the value stands
                    interval /= 3
                    before, value = value, pld_epsilon(*row, interval)
                    if before - value < 1e-6:
                        break
                got = self.ask("epsilon", *self.options(row, "pld"))["epsilon"]
                self.assertGreaterEqual(got, value - 1e-5)
                self.assertLessEqual(got, first + 0.002)
                delta = self.ask("delta", *self.options(row, "pld")[:6], "--epsilon", got)["delta"]
                self.assertLessEqual(abs(delta / row[3] - 1), 0.01)


if __name__ == "__main__":
    unittest.main()
