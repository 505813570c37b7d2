"""A minute of drawn faults (scripts/chaos.py); longer by hand, as docs/reliability.md says."""
import os
import subprocess
import sys
import unittest

from moesaic import ROOT


class Chaos(unittest.TestCase):
    def test_runs_come_to_the_bits_of_undisturbed_ones(self):
        command = [sys.executable, ROOT / "scripts/chaos.py", "--minutes", os.environ.get("MOESAIC_CHAOS_MINUTES", "0.75"),
                   "--seed", os.environ.get("MOESAIC_CHAOS_SEED", "1"), "--patience", "4"]
        chaos = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.assertEqual(chaos.returncode, 0, chaos.stdout)
        self.assertIn("faults with a restart, 0 wrong.", chaos.stdout)

    def test_an_unknown_fault_is_named(self):
        wrong = subprocess.run([sys.executable, ROOT / "scripts/chaos.py", "--only", "flood"], capture_output=True, text=True)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("'flood' is no fault (one of kill, stop,", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
