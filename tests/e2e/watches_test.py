"""What a run looks for while it trains: a bit that flips in the memory of a rank, a rank that is slow; and limits that are told before."""
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

from moesaic import MOESAIC, ROOT, RunTest, ranks_of

sys.path.insert(0, str(ROOT / "scripts"))
import rank_memory  # noqa: E402

EMBEDDING = "model.embed_tokens.weight"


def pid_of_rank(run_dir, rank):
    for pid in ranks_of(run_dir):
        with open(f"/proc/{pid}/environ", "rb") as file:
            if f"OMPI_COMM_WORLD_RANK={rank}".encode() in file.read().split(b"\0"):
                return pid
    raise AssertionError(f"no rank {rank} works in {run_dir}")


def flip_bit_after(pid, pattern):
    """Flips a bit of the first byte after each place of the pattern in a process's memory. Returns how many there were."""
    places = rank_memory.places(pid, re.escape(pattern))
    for place in places:
        (byte,) = rank_memory.read(pid, place + len(pattern), 1)
        rank_memory.write(pid, place + len(pattern), bytes([byte ^ 0x10]))
    return len(places)


class Watches(RunTest):
    def start(self, *arguments):
        command = [MOESAIC, "train", str(self.recipe), "-n", "2", f"run_dir={self.folder}/run", "train.max_steps=1000000",
                   "parallel.threads_per_rank=1", "checkpoint.every_steps=0", *arguments]
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: job.poll() is None and job.terminate())
        return job

    def metrics(self):
        """The rows so far, whole ones."""
        path = self.folder / "run/metrics.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def wait_for_rows(self, job, count):
        end = time.monotonic() + 60
        while len(self.metrics()) < count and job.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        self.assertIsNone(job.poll(), "the job has ended")
        self.assertGreaterEqual(len(self.metrics()), count)

    def test_a_bit_that_flips_in_the_memory_of_a_rank_ends_the_run_and_names_the_tensor(self):
        frozen = "adapt.train=['.*norm.*']"  # so the embedding stays as it was drawn, and can be looked for
        self.train(frozen, "train.max_steps=1", run="once")
        self.moesaic("export", self.folder / "once", self.folder / "hub", "--dtype", "float32")
        pattern = rank_memory.tensor_bytes(self.folder / "hub/model.safetensors", EMBEDDING)[:256]
        job = self.start(frozen, "parallel.check_replicas_every=5")
        self.wait_for_rows(job, 12)  # which were compared, and agreed
        try:
            flipped = flip_bit_after(pid_of_rank(self.folder / "run", 1), pattern)
        except PermissionError as error:
            self.skipTest(f"the memory of another process cannot be written here: {error}")
        self.assertGreater(flipped, 0)
        errors = job.communicate(timeout=60)[1]
        self.assertEqual(job.returncode, 5, errors)
        self.assertIn(f"replicas differ: {EMBEDDING} is not the same on rank 0 as on rank 1", errors)
        self.assertFalse((self.folder / "run/checkpoints/latest").exists())

    def test_a_rank_that_is_slow_is_named_in_the_log_and_the_metrics(self):
        job = self.start("data.sequence_length=128", "eval.every_steps=0")
        self.wait_for_rows(job, 10)
        pid = pid_of_rank(self.folder / "run", 1)
        begin, slow = len(self.metrics()), threading.Event()

        def make_slow():
            while not slow.wait(0.005):
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.02)
                os.kill(pid, signal.SIGCONT)

        thread = threading.Thread(target=make_slow)
        thread.start()
        end = time.monotonic() + 60
        named = []
        while not named and job.poll() is None and time.monotonic() < end:
            named = [row for row in self.metrics()[begin:] if "straggler_rank" in row]
            time.sleep(0.05)
        slow.set()
        thread.join()
        job.send_signal(signal.SIGTERM)
        errors = job.communicate(timeout=60)[1]
        self.assertEqual(job.returncode, 75, errors)
        self.assertTrue(named, errors)
        self.assertEqual(named[0]["straggler_rank"], 1)
        self.assertEqual(len(named[0]["rank_compute_s"]), 2)
        self.assertLess(named[0]["step"], begin + 60)  # twenty where nothing else is slow
        self.assertRegex(errors, r"rank 1 on \S+ is slow: [\d.]+ ms for a micro-batch, [\d.]+ times the median of the others")


class Limits(RunTest):
    def test_memory_and_disk_space_that_are_not_there_are_told_and_nothing_is_refused(self):
        huge = ["model.config.hidden_size=16384", "model.config.num_hidden_layers=400", "model.config.intermediate_size=16384",
                "model.config.num_attention_heads=128", "model.config.num_key_value_heads=8", "model.config.num_experts=64"]
        told = self.train(*huge, "--dry-run", ranks=2).stderr
        self.assertRegex(told, r"warning: memory: 2 ranks need about \S+ GiB here \(\S+ GiB each\), and \S+ GiB are available")
        self.assertRegex(told, r"warning: disk: the checkpoints of the run take up to about \S+ GiB \(4 of \S+ GiB\), and \S+ GiB are free")
        self.assertNotIn("e+", told)
        self.assertIn("memory: 1 rank needs about", self.train(*huge, "--dry-run").stderr)
        self.assertNotRegex(self.train("--dry-run", ranks=2).stderr, "memory:|disk:")


if __name__ == "__main__":
    unittest.main()
