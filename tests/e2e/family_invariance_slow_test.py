"""As family_invariance_test, with many models of every family on most layouts.

MOESAIC_SEEDS=FROM:TO chooses other models than the first ones.
"""
import os
import unittest

from family_layouts import FAMILIES, FamilyLayouts

FIRST, LAST = map(int, os.environ.get("MOESAIC_SEEDS", "2:9").split(":"))


class FamilyInvarianceSlow(FamilyLayouts):
    pass


def add(family):
    def test(self):
        for seed in range(FIRST, LAST + 1):
            self.check(family, seed, num_layouts=4)

    setattr(FamilyInvarianceSlow, f"test_{family}", test)


for each in FAMILIES:
    add(each)

if __name__ == "__main__":
    unittest.main()
