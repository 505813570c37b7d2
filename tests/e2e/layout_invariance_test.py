"""The layout never changes the mathematics: one recipe on many layouts, as separate MPI jobs."""
import unittest

from moesaic import RunTest

LAYOUTS = [(2, 1), (2, 2), (3, 1), (4, 1), (4, 2), (4, 4)]  # (ranks, expert), against (1, 1)
ONE_OF_EACH = [(2, 2), (3, 1), (4, 2)]  # experts split, replicas (one without work in the last round), both


class LayoutInvariance(RunTest):
    def check(self, precision, tolerance, layouts):
        self.train(f"train.precision={precision}", run="one")
        wanted = self.rows("one")
        self.assertEqual(len(wanted), 20)
        self.assertTrue(all(row["clip_factor"] < 1 for row in wanted), "clipping must be active")
        self.assertTrue(all(row["loss_balance"] > 0.9 and row["loss_router_z"] > 0 for row in wanted))
        worst = {}
        for ranks, expert in layouts:
            run = f"r{ranks}e{expert}"
            self.train(f"train.precision={precision}", run=run, ranks=ranks, expert=expert)
            for row, other in zip(wanted, self.rows(run), strict=True):
                self.assertEqual(row.keys(), other.keys())
                for key, value in row.items():
                    if isinstance(value, float):
                        difference = abs(value - other[key]) / max(abs(value), 1e-30)
                        worst[key] = max(worst.get(key, 0), difference)
                        self.assertLess(difference, tolerance, f"{run} step {row['step']}: {key}")
            difference = self.weight_difference("one", run)
            worst["weights"] = max(worst.get("weights", 0), difference)
            self.assertLess(difference, tolerance if precision == "float64" else 1e-2, f"{run}: weights")
        print(precision, {key: f"{value:.1e}" for key, value in worst.items()})

    def test_float64_agrees_to_1e_10(self):
        self.check("float64", 1e-10, LAYOUTS)

    def test_float32_agrees_to_1e_4(self):
        self.check("float32", 1e-4, ONE_OF_EACH)


if __name__ == "__main__":
    unittest.main()
