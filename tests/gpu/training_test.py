#!/usr/bin/env python3
"""Training on a CUDA device through the shipped programs: the losses of the CPU, and a run that is killed and goes on.

Skipped, with the reason, where moesaic-worker-cuda is not built or finds no device."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import BIN, MOESAIC, TINY, RunTest, ranks_of  # noqa: E402

SKIPPED = 77
STEPS = 20
CUDA = "parallel.device=cuda"
CONSTANT = "schedule.type=constant"  # the same rate however long the run is


def reason_to_skip():
    for program in ("moesaic-worker-cuda", "gpu_test"):
        if not (BIN / program).exists():
            return f"{program} is not built (moesaic-worker-cuda: where the CUDA toolkit and NCCL are found)"
    probe = subprocess.run([str(BIN / "gpu_test"), "--gtest_filter=Operations.Swiglu"], capture_output=True, text=True)
    lines = [line.strip() for line in probe.stdout.splitlines() if "no CUDA device: " in line]
    return lines[0] if lines else None


class TrainingTest(RunTest):
    recipe_text = TINY.replace("parallel: {{", "parallel: {{threads_per_rank: 1, ")  # the model is too small for more

    def losses(self, run):
        return [row["loss"] for row in self.rows(run) if "loss" in row]

    def assert_near(self, got, wanted, allowed):
        self.assertEqual(len(got), len(wanted))
        for step, (a, b) in enumerate(zip(got, wanted), start=1):
            self.assertLess(abs(a - b), allowed, f"step {step}: {a} against {b}")

    def test_20_steps_have_the_losses_of_the_cpu(self):
        self.train(run="cpu")
        self.train(CUDA, run="cuda")
        self.assertEqual(len(self.losses("cpu")), STEPS)
        self.assert_near(self.losses("cuda"), self.losses("cpu"), 1e-4)

    def test_20_steps_in_bfloat16_come_near_those_of_float32(self):
        narrow = "train.precision=bfloat16"
        self.train(run="wide")
        self.train(CUDA, narrow, run="narrow")
        self.assert_near(self.losses("narrow"), self.losses("wide"), 0.05)

    def test_every_way_to_train_experts_has_the_losses_of_the_cpu(self):
        for name, changes in {"capacity": ["moe.capacity_factor=1.0", "moe.pad_to_capacity=true"],
                              "averages": ["moe.gate_gradient=default_moe"],
                              "bias": ["model.config.use_expert_bias=true", "moe.balance.type=bias"],
                              "recomputed": ["train.checkpoint_activations=true"]}.items():
            with self.subTest(name):
                self.train("train.max_steps=6", *changes, run=f"{name}-cpu")
                self.train("train.max_steps=6", CUDA, *changes, run=f"{name}-cuda")
                self.assert_near(self.losses(f"{name}-cuda"), self.losses(f"{name}-cpu"), 1e-4)

    def test_a_run_that_is_killed_goes_on_as_if_it_had_not_been(self):
        self.train(CUDA, CONSTANT, run="whole")
        process = subprocess.Popen([MOESAIC, "train", str(self.recipe), "-n", "1", CUDA, CONSTANT, f"run_dir={self.folder}/killed",
                                    "train.max_steps=100000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.kill, process)
        latest = self.folder / "killed/checkpoints/latest"
        deadline = time.monotonic() + 120
        while not (latest / "manifest.json").exists():
            self.assertIsNone(process.poll(), "the run ended by itself")
            self.assertLess(time.monotonic(), deadline, "no checkpoint within two minutes")
            time.sleep(0.02)
        self.kill(process)
        saved = json.loads((latest / "manifest.json").read_text())["step"]
        until = max(STEPS, saved + 5)
        self.train(CUDA, CONSTANT, "--resume", "auto", f"train.max_steps={until}", run="killed")
        self.assertEqual(self.rows("killed")[-1]["step"], until)
        shared = min(STEPS, until)
        self.assert_near(self.losses("killed")[:shared], self.losses("whole")[:shared], 1e-4)

    def kill(self, process):
        """The rank dies as when the kernel is short of memory; the launcher ends by itself."""
        for pid in ranks_of(self.folder / "killed"):
            os.kill(pid, signal.SIGKILL)
        process.wait(timeout=60)


if __name__ == "__main__":
    reason = reason_to_skip()
    if reason:
        print(reason)
        sys.exit(SKIPPED)
    unittest.main()
