"""parallel.shard_optimizer: the same run and the same checkpoints, from which either kind goes on, on any layout."""
import json
import unittest

from moesaic import RunTest

SHARDED = "parallel.shard_optimizer=true"
# Without the norm of the gradient the order of all sums is the same.
EXACT = ("train.precision=float64", "train.clip_norm=0", "checkpoint.keep=9")


class ShardOptimizer(RunTest):
    def test_gives_the_bits_of_the_whole_one_and_resumes_on_another_layout(self):
        self.train(*EXACT, run="whole", ranks=2)
        self.train(*EXACT, SHARDED, "checkpoint.async=true", run="sharded", ranks=2)
        self.assertEqual(self.digests("whole"), self.digests("sharded"))
        tenth = ("--resume", self.folder / "sharded/checkpoints/step-00000010")
        self.train(*EXACT, *tenth, run="moved", ranks=1)
        self.assertLess(self.weight_difference("whole", "moved"), 1e-10)
        tenth = ("--resume", self.folder / "whole/checkpoints/step-00000010")
        self.train(*EXACT, *tenth, SHARDED, run="split", ranks=4, expert=2)
        self.assertLess(self.weight_difference("whole", "split"), 1e-10)

    def test_is_counted_by_plan_and_refused_where_experts_move(self):
        def planned(*overrides):
            return json.loads(self.moesaic("plan", self.recipe, "-n", 2, "--json", *overrides).stdout)["rank_optimizer_bytes"]
        self.assertEqual(planned(SHARDED), planned() / 2)
        refused = self.moesaic("validate", self.recipe, SHARDED, "moe.placement=balanced", expect=3)
        self.assertIn("moe.placement", refused.stdout + refused.stderr)


if __name__ == "__main__":
    unittest.main()
