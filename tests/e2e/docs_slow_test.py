#!/usr/bin/env python3
"""Every command that the pages print, from a clean clone: scripts/check_docs.py."""
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


class DocsTest(unittest.TestCase):
    def test_every_command_of_the_pages_runs(self):
        result = subprocess.run([sys.executable, ROOT / "scripts/check_docs.py"], stdout=sys.stderr)
        self.assertEqual(result.returncode, 0)


if __name__ == "__main__":
    unittest.main()
