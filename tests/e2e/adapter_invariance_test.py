"""Adapters on routed experts, on a quantised base, too, and chosen experts: the same on other layouts."""
import unittest

from adapter_layouts import AdapterLayouts


class Test(AdapterLayouts):
    def test_adapters(self):
        self.check_kind("lora", [(3, 1), (4, 4)])

    def test_adapters_on_nf4(self):
        self.check_kind("nf4", [(4, 2)])

    def test_chosen_experts_and_a_sharded_optimizer(self):
        self.check_kind("esft", [(4, 2)])


if __name__ == "__main__":
    unittest.main()
