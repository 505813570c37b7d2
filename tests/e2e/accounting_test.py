#!/usr/bin/env python3
"""`moesaic privacy epsilon | delta | noise | ledger`: what they print, and what they refuse."""
import hashlib
import json
import time
import unittest

from moesaic import RunTest


class Verbs(RunTest):
    def ask(self, *arguments, expect=0):
        return json.loads(self.moesaic("privacy", *arguments, "--json", expect=expect).stdout)

    def test_costs(self):
        row = ("--noise-multiplier", 1.1, "--sampling-rate", 256 / 60000, "--steps", 14100)
        start = time.monotonic()
        pld = self.ask("epsilon", *row, "--delta", 1e-5)
        self.assertLess(time.monotonic() - start, 5)  # a second on a machine with nothing else to do
        self.assertEqual(list(pld), ["epsilon", "delta", "noise_multiplier", "accountant", "order"])
        self.assertTrue(2.38512 <= pld["epsilon"] <= 2.387211, pld)
        self.assertEqual((pld["delta"], pld["noise_multiplier"], pld["accountant"], pld["order"]), (1e-5, 1.1, "pld", None))
        rdp = self.ask("epsilon", *row, "--delta", 1e-5, "--accountant", "rdp")
        self.assertAlmostEqual(rdp["epsilon"], 2.600343, delta=1e-5)
        self.assertAlmostEqual(rdp["order"], 8.1)
        self.assertAlmostEqual(self.ask("delta", *row, "--epsilon", rdp["epsilon"], "--accountant", "rdp")["delta"] / 1e-5, 1, delta=1e-4)
        events = self.ask("epsilon", "--event", "1,.01,500", "--event", "0.8,.02,300", "--event", "1.5,.01,1000", "--delta", 1e-5)
        self.assertTrue(4.0965 <= events["epsilon"] <= 4.0987, events)
        self.assertIsNone(events["noise_multiplier"])
        noise = self.ask("noise", "--epsilon", 3, "--sampling-rate", 0.01, "--steps", 1000, "--delta", 1e-5)
        self.assertAlmostEqual(noise["noise_multiplier"], 0.81359, delta=1e-4)
        self.assertLessEqual(noise["epsilon"], 3)
        self.assertIn("no bound", self.moesaic("privacy", "epsilon", *row, "--delta", 1e-5).stdout)

    def test_refusals(self):
        row = "--noise-multiplier 1 --sampling-rate 0.1 --steps 10"
        for arguments, word in ((f"epsilon {row}", "--delta"), (f"epsilon {row} --delta 1", "--delta"), (f"epsilon {row} --delta 0", "--delta"),
                                ("epsilon --noise-multiplier 1 --sampling-rate 2 --steps 9 --delta 1e-5", "sampling rate"),
                                ("epsilon --noise-multiplier 0 --sampling-rate 1 --steps 9 --delta 1e-5", "noise multiplier"),
                                ("epsilon --noise-multiplier nan --sampling-rate 1 --steps 9 --delta 1e-5", "noise multiplier"),
                                ("epsilon --noise-multiplier 1 --sampling-rate 1 --steps 0 --delta 1e-5", "steps"),
                                ("epsilon --event 1,2 --delta 1e-5", "1,2"), ("epsilon --event 1,x,3 --delta 1e-5", "'x'"),
                                ("epsilon --event 1,.1,2.5 --delta 1e-5", "whole"), (f"epsilon {row} --event 1,.1,2 --delta 1e-5", "--event"),
                                (f"epsilon {row} --delta 1e-5 --accountant prv", "prv"), (f"delta {row}", "--epsilon"), (f"delta {row} --epsilon -1", "--epsilon"),
                                ("noise --epsilon 0 --sampling-rate 0.01 --steps 10 --delta 1e-5", "--epsilon"),
                                ("noise --epsilon 0.01 --sampling-rate 0.01 --steps 10 --delta 1e-5 --accountant rdp", "rdp")):
            with self.subTest(arguments):
                self.assertIn(word, self.moesaic("privacy", *arguments.split(), expect=2).stderr)

    def test_ledger(self):
        digest = lambda line: hashlib.blake2b(line.encode(), digest_size=32).hexdigest()  # noqa: E731
        lines = ['{"ledger":1,"data":"abc","unit":"user","budget":{"epsilon":8.0,"delta":1e-05}}']
        for _ in range(1000):
            lines.append('{"noise_multiplier":1.0,"sampling_rate":0.01,"overflow":0.0,"steps":1,"previous":"%s"}' % digest(lines[-1]))
        path = self.folder / "ledger.json"
        path.write_text("\n".join(lines) + "\n")
        told = self.ask("ledger", path)
        self.assertEqual((told["unit"], told["data"], told["steps"], told["whole"]), ("user", "abc", 1000, True))
        self.assertEqual((told["budget"], told["delta"]), ({"epsilon": 8.0, "delta": 1e-5}, 1e-5))
        self.assertTrue(1.828237 <= told["epsilon"] <= 1.830244, told)
        self.moesaic("privacy", "ledger", self.folder / "none", expect=4)
        for changed in (lines[:1] + lines[2:], lines[:500] + [lines[500].replace("1.0", "9.0")] + lines[501:], [lines[0].replace("8.0", "9.0")] + lines[1:]):
            path.write_text("\n".join(changed) + "\n")
            self.assertFalse(self.ask("ledger", path, expect=7)["whole"])
        path.write_text("\n".join(lines)[:-9])  # cut off
        self.assertFalse(self.ask("ledger", path, expect=7)["whole"])
        self.assertEqual(path.read_text(), "\n".join(lines)[:-9])


if __name__ == "__main__":
    unittest.main()
