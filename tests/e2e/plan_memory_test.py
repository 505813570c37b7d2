"""What `moesaic plan` says of the memory of a rank, beside what short runs need: within 5 % (tests/bench/memory_table.py has more shapes)."""
import pathlib
import sys
import tempfile
import unittest

from moesaic import ROOT

sys.path.insert(0, str(ROOT / "tests/bench"))
import memory_table  # noqa: E402

SHAPES = {shape["name"]: shape for shape in (*memory_table.SHAPES, memory_table.shape(
    "llama, hidden 256, recomputed", memory_table.LLAMA, {"hidden_size": 256, "intermediate_size": 768, "vocab_size": 32768},
    memory_table.RECOMPUTED, length=256, batch=2))}


class PlanMemory(unittest.TestCase):
    def check(self, name):
        with tempfile.TemporaryDirectory(prefix="moesaic-test-") as folder:
            memory_table.write_ids(pathlib.Path(folder))
            plan, measured, _ = memory_table.measure(folder, SHAPES[name], 2)
        predicted = plan["rank_memory_bytes"] / 2**20
        self.assertGreater(predicted, 1.5 * 170e6 / 2**20)  # not the program alone
        self.assertLess(abs(predicted / measured - 1), 0.05, f"{name}: {predicted:.0f} MiB by plan, {measured:.0f} measured")

    def test_of_a_mixture_of_experts(self):
        self.check("olmoe, hidden 256, batch 2, length 256")

    def test_of_a_dense_model_that_recomputes(self):
        self.check("llama, hidden 256, recomputed")


if __name__ == "__main__":
    unittest.main()
