"""Runs that train adapters or chosen experts and lose a rank at random moments go on to the bit; on another layout nearly."""
import os
import unittest

from adapter_layouts import KINDS, AdapterLayouts
from killing import Killing


class AdapterKill(AdapterLayouts, Killing):
    def check(self, kind):
        self.kill_and_resume(int(os.environ.get("MOESAIC_KILLS", "1")), *KINDS[kind], "checkpoint.keep=99")
        wanted = self.losses("whole")[30:]
        self.train(*KINDS[kind], "train.max_steps=60", "--resume", self.folder / "killed/checkpoints/step-00000030", run="moved", ranks=3)
        for loss, other in zip(wanted, self.losses("moved"), strict=True):
            self.assertAlmostEqual(loss, other, delta=1e-5 * loss)


for each in ("lora", "sharded", "nf4", "esft"):
    setattr(AdapterKill, f"test_{each}", lambda self, kind=each: self.check(kind))

if __name__ == "__main__":
    unittest.main()
