"""As adapter_invariance_test, with every kind on every layout."""
import unittest

from adapter_layouts import KINDS, LAYOUTS, AdapterLayouts


class Test(AdapterLayouts):
    def test_every_kind_on_every_layout(self):
        for kind in KINDS:
            self.check_kind(kind, LAYOUTS)


if __name__ == "__main__":
    unittest.main()
