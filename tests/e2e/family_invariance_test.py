"""The layout never changes the mathematics, for a random small model of every family."""
import unittest

from family_layouts import FAMILIES, FamilyLayouts


class FamilyInvariance(FamilyLayouts):
    pass


def add(family):
    setattr(FamilyInvariance, f"test_{family}", lambda self: self.check(family, seed=1, num_layouts=2))


for each in FAMILIES:
    add(each)

if __name__ == "__main__":
    unittest.main()
