"""Federations whose sides are killed at random moments: what federate_faults_test.py and federate_kills_slow_test.py share."""
import os
import random
import shutil
import signal
import subprocess
import time

from moesaic import ranks_of
from sites import SitesTest, sites_of

SIDES = {"coordinator": "keys/coordinator", "letters": "letters", "digits": "digits"}  # and what their ranks are known by


class FederateKilling(SitesTest):
    def kill_at_random(self, times, rounds):
        """Federations in which `times` processes are killed: each comes to the model of one job, no round is lost, nothing counts twice."""
        options = (f"federated.rounds={rounds}", "federated.local_steps=8", "federated.quorum=1")
        self.keys()
        self.train(*options, run="one", ranks=2)
        moments = random.Random(os.environ.get("MOESAIC_KILL_SEED", "11"))
        killed = 0
        while killed < times:
            for folder in ("run", "letters", "digits"):
                shutil.rmtree(self.folder / folder, ignore_errors=True)
            killed += self.disturbed(options, moments, times - killed)
            self.require_each_counted_once(rounds)
            self.assertEqual(self.digests("run"), self.digests("one"))

    def begin(self, side, options):
        return self.coordinator(*options) if side == "coordinator" else self.silo(side)

    def disturbed(self, options, moments, most):
        """One federation to its end, with at most so many kills -> how many. What was killed is started again."""
        sides = {side: self.begin(side, options) for side in SIDES}
        killed, next_at = 0, time.monotonic() + moments.uniform(1, 5)
        ends_at = time.monotonic() + 600
        while sides["coordinator"].poll() != 0:
            self.assertLess(time.monotonic(), ends_at, "the federation does not come to its end")
            for side, process in sides.items():
                if process.poll() not in (None, 0):
                    self.assertEqual(process.returncode, 6, self.said(process)[-3000:])
                    sides[side] = self.begin(side, options)
            if killed < most and time.monotonic() > next_at:
                ranks = ranks_of(self.folder / SIDES[moments.choice(sorted(SIDES))])
                victims = ranks + sites_of(ranks)
                if victims:
                    os.kill(moments.choice(victims), signal.SIGKILL)
                    killed += 1
                next_at = time.monotonic() + moments.uniform(0.2, 4)
            time.sleep(0.01)
        self.end_silos(sides)
        return killed

    def end_silos(self, sides):
        """A silo that was killed after the coordinator's end would wait for it."""
        for side in ("letters", "digits"):
            try:
                sides[side].wait(timeout=15)
            except subprocess.TimeoutExpired:
                sides[side].kill()
                sides[side].wait()
                self.kill_ranks(side)
