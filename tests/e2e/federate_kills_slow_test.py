"""A federation of which processes are killed fifty times, at random: no round is lost, and the model is that of one job to the bit."""
import os
import unittest

from federate_killing import FederateKilling


class FederateKills(FederateKilling):
    def test_fifty_random_kills_lose_no_round(self):
        self.kill_at_random(int(os.environ.get("MOESAIC_KILLS", "50")), rounds=40)


if __name__ == "__main__":
    unittest.main()
