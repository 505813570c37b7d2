"""Every way to balance, to learn a gate, to drop, to route and to place experts: the same on another layout."""
import random
import unittest

from moe_layouts import KINDS, MoeLayouts


class Test(MoeLayouts):
    def test_every_kind_on_one_other_layout(self):
        for fixed in KINDS:
            self.check_kind(random.Random(f"{fixed}/1"), fixed, 1)


if __name__ == "__main__":
    unittest.main()
