"""A minute of drawn faults (scripts/chaos.py); longer by hand, as docs/reliability.md says."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from moesaic import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import chaos_results  # noqa: E402
from chaos_results import Fault, Trial  # noqa: E402


class Results(unittest.TestCase):
    trials = [Trial(7, 1, 1, 1, False, 10, [Fault("kill", 0.4, 2.0), Fault("slow")], True, machine="m"),
              Trial(7, 2, 2, 2, True, 10, [Fault("kill", 1.0, 3.0, lost=1)], False, 2, "run 2 is wrong", machine="m")]

    def test_are_kept_line_by_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "results.jsonl"
            self.assertEqual(chaos_results.read(path), [])
            chaos_results.append(path, self.trials[0])
            with open(path, "a") as file:
                file.write('{"seed": 7, "nu')  # killed while it wrote
            self.assertEqual(chaos_results.read(path), self.trials[:1])
            chaos_results.append(path, self.trials[1])
            self.assertEqual(chaos_results.read(path), self.trials)

    def test_become_a_table_by_layout_and_fault(self):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in chaos_results.summary(self.trials).splitlines()]
        self.assertEqual(rows[2:], [
            ["1 rank, expert 1", "kill", "1", "0", "0", "1 of 1", "0.4, 0.4", "2.0, 2.0", "0"],
            ["1 rank, expert 1", "slow", "1", "0", "0", "1 of 1", "-", "-", "0"],
            ["2 ranks, expert 2", "kill", "1", "1", "1", "0 of 1", "1.0, 1.0", "3.0, 3.0", "2"],
            ["**all**", "kill", "2", "1", "1", "1 of 2", "0.7, 1.0", "2.5, 3.0", "2"],
            ["**all**", "slow", "1", "0", "0", "1 of 1", "-", "-", "0"],
            ["**all**", "all", "3", "1", "1", "1 of 2", "0.7, 1.0", "2.5, 3.0", "2"]])

    def test_a_run_without_a_batch_is_not_expected_to_have_equal_bits(self):
        left_out = Trial(7, 3, 1, 1, False, 10, [Fault("nan")], None, left_out=[9], machine="m")
        rows = chaos_results.summary([*self.trials, left_out]).splitlines()
        self.assertIn("| **all** | nan | 1 | 0 | 0 | 0 of 0 | - | - | 0 |", rows)
        self.assertIn("| 1 of 2 |", rows[-1])

    def test_make_no_page_where_there_are_none(self):
        wrong = subprocess.run([sys.executable, ROOT / "scripts/chaos.py", "--page"], capture_output=True, text=True)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("--page needs the file of --results", wrong.stderr)


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
