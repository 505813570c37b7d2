"""As moe_invariance_test, with more models and layouts. Seeds: MOESAIC_SEEDS, "2-6" unless given."""
import os
import random
import unittest

from moe_layouts import KINDS, MoeLayouts


class Test(MoeLayouts):
    def test_random_models(self):
        first, last = map(int, os.environ.get("MOESAIC_SEEDS", "2-6").split("-"))
        for seed in range(first, last + 1):
            for fixed in KINDS:
                self.check_kind(random.Random(f"{fixed}/{seed}"), fixed, 3)


if __name__ == "__main__":
    unittest.main()
