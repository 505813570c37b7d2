"""Standard streams that are closed, full, a folder or without a reader: what both programs make of them, and that a training
goes on to its save.
"""
import json
import os
import signal
import subprocess
import time
import unittest

from moesaic import BIN, MOESAIC, RunTest

FULL = "cannot write <stdout>: No space left on device"


def closing(descriptors):
    """For preexec_fn: runs after subprocess has put its own descriptors in place."""
    def close():
        for descriptor in descriptors:
            os.close(descriptor)
    return close


class StreamsTest(RunTest):
    @classmethod
    def setUpClass(cls):
        maker = RunTest()
        maker.setUp()
        cls.addClassCleanup(maker.doCleanups)
        maker.train("train.max_steps=3", "eval.every_steps=0")
        cls.run_folder = maker.folder / "run"
        cls.text = maker.folder / "text/valid.txt"
        cls.tokens = maker.folder / "valid.tokens"
        maker.moesaic("data", "build", "--format", "text", "-o", cls.tokens, cls.text)

    def on(self, descriptors, *arguments, **options):
        """With these descriptors closed; one that hangs fails by the time-out."""
        return subprocess.run([MOESAIC, *map(str, arguments)], capture_output=True, text=True, timeout=60,
                              preexec_fn=closing(descriptors), **options)


class Closed(StreamsTest):
    def test_standard_input_is_empty(self):
        for arguments, code in ((("score", "--model", self.run_folder), 0), (("tokenize", "--tokenizer", "byte"), 0),
                                (("generate", "--model", self.run_folder), 4)):
            result = self.on([0], *arguments)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(result.stdout, ("", "[]\n"))

    def test_no_file_gets_the_number_of_a_closed_stream(self):
        """With 1 or 2 closed the next file that is opened would be written with results or messages."""
        output = self.folder / "scores.jsonl"
        for descriptors in ([1], [0, 1, 2]):
            result = self.on(descriptors, "score", "--model", self.run_folder, "--input", self.lines(), "--output", output,
                             "--json")
            self.assertEqual((result.returncode, result.stdout), (0, ""))
            self.assertEqual([json.loads(line)["tokens"] for line in output.read_text().splitlines()], [3])
        result = self.on([0, 1, 2], "train", self.recipe, "train.max_steps=2", f"run_dir={self.folder}/run")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(len(self.rows()), 2)

    def lines(self):
        path = self.folder / "in.jsonl"
        path.write_text('{"ids": [1, 2, 3]}\n')
        return path


class OneRank(StreamsTest):
    def test_needs_no_ssh_no_network_and_no_short_host_name(self):
        empty = self.folder / "bin"
        empty.mkdir()
        shell = f"hostname {'h' * 64} && PATH={empty} exec \"$@\""
        result = subprocess.run(["unshare", "-u", "-n", "sh", "-c", shell, "sh", BIN / "moesaic-worker", "score", "--model",
                                 self.run_folder], input='{"ids": [1, 2, 3]}\n', capture_output=True, text=True, timeout=60)
        if result.stderr.startswith(("unshare:", "hostname:")):
            self.skipTest(result.stderr.strip())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["tokens"], 3)


class Folder(StreamsTest):
    def test_as_standard_input_is_no_empty_text(self):
        for arguments in (("tokenize", "--tokenizer", "byte"), ("tokenize", "--tokenizer", "byte", "--lines"),
                          ("tokenize", "--tokenizer", "byte", "--decode"), ("score", "--model", self.run_folder),
                          ("generate", "--model", self.run_folder), ("score", "--model", self.run_folder, "-n", "2")):
            folder = os.open(self.folder, os.O_RDONLY)
            result = self.moesaic(*arguments, stdin=folder, expect=4)
            os.close(folder)
            self.assertIn("cannot read <stdin>: Is a directory", result.stderr)


class Full(StreamsTest):
    def test_every_verb_of_the_worker_says_so(self):
        lines, model = self.folder / "in.jsonl", self.run_folder
        lines.write_text('{"ids": [1, 2, 3]}\n')
        verbs = (("tokenize", "--tokenizer", "byte"), ("inspect", model), ("data", "inspect", self.tokens),
                 ("data", "build", "--format", "text", "-o", self.folder / "again.tokens", self.text),
                 ("export", model, self.folder / "hub"), ("import", self.folder / "hub", self.folder / "back"),
                 ("eval", "--model", model, "--data", self.text, "--limit", 1),
                 ("eval", "--model", model, "--data", self.text, "--limit", 1, "-n", 2),
                 ("score", "--model", model, "--input", lines, "--output", self.folder / "out.jsonl", "--json"),
                 ("generate", "--model", model, "--prompt", "the ", "--max-new-tokens", 2, "--json"), ("tokenize", "-h"))
        for arguments in verbs:
            with self.subTest(verb=arguments), open("/dev/full", "w") as full:
                result = subprocess.run([MOESAIC, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE, text=True,
                                        stdin=subprocess.DEVNULL, timeout=60)
                self.assertEqual(result.returncode, 7, result.stderr)
                self.assertEqual(result.stderr.count(f"error: {FULL}\n"), 1, result.stderr)

    def test_a_training_goes_on_without_its_console(self):
        for ranks in (1, 2):
            with open("/dev/full", "w") as full:
                result = subprocess.run([MOESAIC, "train", self.recipe, "-n", str(ranks), "train.max_steps=4",
                                         f"run_dir={self.folder}/run-{ranks}"], stdout=full, stderr=subprocess.PIPE,
                                        text=True, timeout=60)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(result.stderr.count("standard output cannot be written (No space left on device)"), 1)
            self.assertEqual(len(self.rows(f"run-{ranks}")), 4)


class NoReader(StreamsTest):
    def test_a_training_saves_when_it_is_stopped(self):
        """`moesaic train ... 2>&1 | tee log` and Ctrl-C, which ends tee first."""
        for command in ([MOESAIC], [MOESAIC, "-n", "2"], [BIN / "moesaic-worker"]):
            with self.subTest(command=command):
                run = self.folder / f"run-{len(command)}-{command[0] == MOESAIC}"
                process = subprocess.Popen([command[0], "train", self.recipe, *command[1:], "train.max_steps=1000000",
                                            "checkpoint.every_steps=0", "eval.every_steps=0", f"run_dir={run}"],
                                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                           env=os.environ | {"OMP_NUM_THREADS": "1"})
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                while not process.stdout.readline().startswith("step"):
                    self.assertIsNone(process.poll())
                process.stdout.close()
                metrics = run / "metrics.jsonl"
                seen = metrics.stat().st_size
                end = time.monotonic() + 60
                while metrics.stat().st_size < seen + 10_000:  # it trains on
                    self.assertIsNone(process.poll())
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.05)
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(timeout=60), 75)
                self.assertTrue((run / "checkpoints/latest/manifest.json").exists())
                self.assertNotIn("defect", (run / "logs/rank-0.log").read_text())

    def test_what_reads_on_and_on_ends_with_its_reader(self):
        """`yes | moesaic tokenize --lines | head -1`"""
        yes = subprocess.Popen(["yes"], stdout=subprocess.PIPE)
        process = subprocess.Popen([MOESAIC, "tokenize", "--tokenizer", "byte", "--lines"], stdin=yes.stdout,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        yes.stdout.close()
        self.assertEqual(process.stdout.readline(), b"[121]\n")
        process.stdout.close()
        self.assertEqual(process.stderr.read(), b"")
        self.assertEqual(process.wait(timeout=60), 141)
        process.stderr.close()
        yes.wait(timeout=60)


class Options(StreamsTest):
    def test_without_effect_are_warned_of(self):
        ids = self.folder / "ids.jsonl"
        ids.write_text('{"ids": [1, 2, 3]}\n')
        build = ("data", "build", "-o", self.folder / "ids.tokens", "--threads", 1, "--format")
        tokenize = ("tokenize", "--tokenizer", "byte")
        for arguments, option in (((*build, "tokens", ids), "--threads"), ((*build, "text", self.text), None),
                                  ((*tokenize, "--decode", "--special"), "--special"), ((*tokenize, "--special"), None),
                                  ((*tokenize, "--skip-special"), "--skip-special"),
                                  ((*tokenize, "--decode", "--skip-special"), None)):
            errors = self.moesaic(*arguments, input="[97]").stderr
            self.assertEqual("has no effect" in errors, option is not None, errors)
            if option:
                self.assertIn(f"warning: {option} has no effect: ", errors)


if __name__ == "__main__":
    unittest.main()
