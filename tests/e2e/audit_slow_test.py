"""The audit of the shipped program refutes no run that is as private as it says: twenty of them."""
import json
import unittest

from moesaic import RunTest
from privacy_test import PRIVATE, SHORT


class AuditTest(RunTest):
    recipe_text = PRIVATE

    def test_twenty_right_runs_are_not_refuted(self):
        for seed in range(20):
            says = json.loads(self.moesaic("privacy", "audit", self.recipe, *SHORT, f"seed={seed}", f"run_dir={self.folder}/run-{seed}",
                                           "optimizer.learning_rate=0.01", "--canaries", 200, "--json").stdout)
            self.assertLessEqual(says["epsilon_lower"], says["epsilon_claimed"], says)


if __name__ == "__main__":
    unittest.main()
