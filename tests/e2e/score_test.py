"""moesaic score: log-probabilities of ids and text on every layout, and what happens to bad input."""
import functools
import json
import math
import os
import random
import signal
import struct
import subprocess
import time
import unittest

from moesaic import BIN, MOESAIC, WORDS, RunTest

LAYOUTS = ((1, 1), (2, 1), (2, 2), (3, 1))
PLAIN_MPIRUN = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1",
                "OMPI_MCA_btl_vader_single_copy_mechanism": "none"}
END_OF_TEXT = 256


def jsonl(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def sequences(seed=3):
    """Of all lengths: none, one id, a few, more than fit into a micro-batch."""
    numbers = random.Random(seed)
    lengths = [0, 1, 2, 90, 3, 1, 17, 40, 33, 0, 64, 5] + [numbers.randrange(2, 30) for _ in range(30)]
    return [[numbers.randrange(272) for _ in range(length)] for length in lengths]


@functools.cache
def model():
    """(run folder, validation texts, their loss) of a model that is trained on lines of text, once for all tests."""
    maker = RunTest()
    maker.setUp()
    unittest.addModuleCleanup(maker.doCleanups)
    words = random.Random(7)
    texts = [" ".join(words.choice(WORDS) for _ in range(words.randrange(1, 7))) for _ in range(25)]
    valid = maker.folder / "valid.jsonl"
    valid.write_text(jsonl({"text": text} for text in texts))
    maker.train(f"data.valid=[{{path: {valid}, format: jsonl}}]", "data.packing=false", "data.sequence_length=64")
    return maker.folder / "run", texts, maker.rows()[-1]["valid_loss"]


class ScoreTest(RunTest):
    """One model for all tests; each test has its own folder beside."""

    @classmethod
    def setUpClass(cls):
        cls.run_folder, cls.texts, cls.valid_loss = model()

    def score(self, text, *arguments, model=None, ranks=1, expect=0):
        """The finished process; `text` is its stdin."""
        return self.moesaic("score", "--model", model or self.run_folder, "-n", ranks, *arguments, input=text,
                            expect=expect)

    def scores(self, records, *arguments, **options):
        return [json.loads(line) for line in self.score(jsonl(records), *arguments, **options).stdout.splitlines()]

    def assert_close(self, got, wanted, tolerance):
        self.assertEqual([s["tokens"] for s in got], [s["tokens"] for s in wanted])
        for a, b in zip(got, wanted):
            self.assertEqual(len(a["logprobs"]), len(b["logprobs"]))
            for x, y in zip([a["nll"], *a["logprobs"]], [b["nll"], *b["logprobs"]]):
                self.assertLessEqual(abs(x - y), tolerance * max(1, abs(y)))


class Scores(ScoreTest):
    def test_are_those_of_each_line_in_order(self):
        ids = sequences()
        scores = self.scores(({"ids": s} for s in ids), "--batch-tokens", 64)
        self.assertEqual([s["tokens"] for s in scores], [len(s) for s in ids])
        for score, sequence in zip(scores, ids):
            self.assertEqual(len(score["logprobs"]), max(0, len(sequence) - 1))
            self.assertLess(max(score["logprobs"], default=-1), 0)
            self.assertAlmostEqual(score["nll"], -sum(score["logprobs"]), places=5)

    def test_are_the_same_on_every_layout(self):
        records = [{"ids": s} for s in sequences()] + [{"text": t} for t in self.texts]
        random.Random(5).shuffle(records)
        for precision, tolerance in (("float32", 1e-6), ("float64", 1e-12)):
            # Windows of 1440 ids: three of them.
            options = ("--precision", precision, "--batch-tokens", 45)
            wanted = self.scores(records, *options)
            for ranks, expert in LAYOUTS:
                with self.subTest(precision=precision, ranks=ranks, expert=expert):
                    self.assert_close(self.scores(records, *options, "--expert", expert, ranks=ranks), wanted, tolerance)

    def test_do_not_depend_on_the_neighbours(self):
        records = [{"ids": s} for s in sequences()[:14]]
        together = self.scores(records, "--precision", "float64")
        alone = [self.scores([record], "--precision", "float64")[0] for record in records[2:7]]
        self.assert_close(together[2:7], alone, 1e-12)

    def test_of_the_validation_text_are_the_validation_loss(self):
        documents = [[*text.encode(), END_OF_TEXT] for text in self.texts]
        scores = self.scores(({"ids": d} for d in documents), ranks=2)
        mean = sum(s["nll"] for s in scores) / sum(len(d) - 1 for d in documents)
        self.assertLess(abs(mean - self.valid_loss), 1e-6)

    def test_of_a_text_are_those_of_its_bytes(self):
        texts = ["the rank", "", "caf\u00e9 \U0001f600", "x"]
        self.assertEqual(self.scores({"text": t, "label": 1} for t in texts),
                         self.scores({"ids": list(t.encode())} for t in texts))

    def test_of_an_export_are_those_of_the_run(self):
        hub = self.folder / "hub"
        self.moesaic("export", self.run_folder, hub)
        records = [{"ids": s} for s in sequences()[:10]]
        wanted = self.scores(records)
        self.assertEqual(self.scores(records, model=hub), wanted)
        self.assertEqual(self.scores(records, model=self.run_folder / "checkpoints/latest"), wanted)
        self.assert_close(self.scores(records, "--expert", 2, model=hub, ranks=2), wanted, 1e-6)

    def test_in_bfloat16_are_near(self):
        records = [{"ids": s} for s in sequences()[:10]]
        self.assert_close(self.scores(records, "--precision", "bfloat16"), self.scores(records), 0.1)


class LongInput(ScoreTest):
    def test_beyond_the_positions_of_the_model_is_warned_of_once(self):
        """The model has 512 positions."""
        lines = self.folder / "long.ndjson"
        lines.write_text(jsonl({"ids": [1 + i % 9 for i in range(600)]} for _ in range(3)))
        warning = "of a sequence pass the 512 positions of the model"
        errors = self.score(lines.read_text(), "--batch-tokens", 64).stderr
        self.assertEqual(errors.count(warning), 1, errors)
        self.assertNotIn(warning, self.score('{"ids": [1, 2]}').stderr)
        result = self.moesaic("eval", "--model", self.run_folder, "--data", lines, "--context", 600, "--stride", 300)
        self.assertEqual(result.stderr.count(warning), 1, result.stderr)
        table = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
        self.assertEqual((table["documents"], table["tokens"]), ("3", "1800"))
        for name in ("nll", "loss", "perplexity"):
            self.assertLessEqual(len(table[name].replace(".", "")), 7, table[name])


class Streams(ScoreTest):
    def test_an_empty_input_has_an_empty_output(self):
        for ranks in (1, 2):
            self.assertEqual(self.score("", ranks=ranks).stdout, "")
            self.assertEqual(self.score("\n \n", ranks=ranks).stdout, "")

    def test_stdout_holds_nothing_else(self):
        for ranks in (1, 2):
            result = self.score('{"ids": [1, 2]}\n{"ids": [3]}', ranks=ranks)
            self.assertEqual([json.loads(line)["tokens"] for line in result.stdout.splitlines()], [2, 1])
            self.assertRegex(result.stderr, r"peak memory of the ranks: \d+ MB" + ", \\d+ MB" * (ranks - 1))

    def start(self, *arguments, ranks):
        process = subprocess.Popen([MOESAIC, "score", "--model", self.run_folder, "-n", str(ranks), *map(str, arguments)],
                                   text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_answers_come_while_the_input_is_open(self):
        for ranks in (1, 2):
            process = self.start("--batch-tokens", 1, ranks=ranks)  # a window is 32 ids and lines
            process.stdin.write('{"ids": [1, 2, 3]}\n' * 8)
            process.stdin.flush()
            self.assertEqual(json.loads(process.stdout.readline())["tokens"], 3)
            process.communicate()
            self.assertEqual(process.returncode, 0)

    def test_ranks_wait_for_input_longer_than_their_time_out(self):
        process = self.start("--timeout", 1, ranks=2)
        time.sleep(4)
        output, errors = process.communicate('{"ids": [1, 2]}\n')
        self.assertEqual(process.returncode, 0, errors)
        self.assertEqual(json.loads(output)["tokens"], 2)

    def test_a_stop_ends_the_job_and_publishes_nothing(self):
        for ranks in (1, 2):
            for number in (signal.SIGTERM, signal.SIGINT):
                output = self.folder / "out.jsonl"
                process = self.start("--output", output, "--batch-tokens", 1, ranks=ranks)
                process.stdin.write('{"ids": [1, 2, 3]}\n' * 20)
                process.stdin.flush()
                while not (self.folder / "out.jsonl.tmp").exists():
                    self.assertIsNone(process.poll())
                    time.sleep(0.05)
                process.send_signal(number)
                errors = process.stderr.read()
                self.assertEqual(process.wait(), 128 + number, errors)
                self.assertIn("ended by a signal", errors)
                self.assertNotIn("--resume", errors)
                self.assertFalse(output.exists())
                (self.folder / "out.jsonl.tmp").unlink(missing_ok=True)

    def test_a_reader_that_has_seen_enough_ends_it_without_a_word(self):
        for ranks in (1, 2):
            yes = subprocess.Popen(["yes", '{"ids": [1, 2, 3]}'], stdout=subprocess.PIPE)
            process = subprocess.Popen([MOESAIC, "score", "--model", self.run_folder, "-n", str(ranks)], text=True,
                                       stdin=yes.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            yes.stdout.close()
            self.assertEqual(json.loads(process.stdout.readline())["tokens"], 3)
            process.stdout.close()
            errors = process.stderr.read()
            process.stderr.close()
            self.assertEqual(process.wait(timeout=60), 141, errors)
            yes.wait(timeout=60)
            for word in ("error", "hint", "signal", "pipe"):
                self.assertNotIn(word, errors)

    def test_an_output_that_cannot_be_written_is_an_error(self):
        for ranks in (1, 2):
            with open("/dev/full", "w") as full:
                result = subprocess.run([MOESAIC, "score", "--model", self.run_folder, "-n", str(ranks)], text=True,
                                        input='{"ids": [1, 2]}\n', stdout=full, stderr=subprocess.PIPE, timeout=60)
            self.assertEqual(result.returncode, 7, result.stderr)
            self.assertIn("error: cannot write <stdout>: No space left on device\n", result.stderr)
            self.assertEqual(result.stderr.count("error:"), 1)


class Files(ScoreTest):
    def test_the_output_appears_complete(self):
        lines, output = self.folder / "in.jsonl", self.folder / "out.jsonl"
        lines.write_text('{"ids": [1, 2]}\n{"text": "ab"}\n')
        output.write_text("old")
        for ranks in (1, 2):
            result = self.moesaic("score", "--model", self.run_folder, "-n", ranks, "--input", lines, "--output", output,
                                  "--json")
            summary = json.loads(result.stdout)
            self.assertEqual((summary["sequences"], summary["tokens"], summary["scored_tokens"]), (2, 4, 2))
            self.assertEqual(summary["ranks"], ranks)
            scores = [json.loads(line) for line in output.read_text().splitlines()]
            self.assertAlmostEqual(summary["nll"], sum(s["nll"] for s in scores))
            self.assertEqual(sorted(p.name for p in self.folder.glob("*.jsonl*")), ["in.jsonl", "out.jsonl"])

    def test_a_failed_run_leaves_the_old_output(self):
        output = self.folder / "out.jsonl"
        output.write_text("old")
        for ranks in (1, 2):
            # The first window is written before the bad line is read.
            self.score('{"ids": [1, 2, 3]}\n' * 20 + "bad\n", "--output", output, "--batch-tokens", 1, ranks=ranks, expect=4)
            self.assertEqual(output.read_text(), "old")
            self.assertEqual([p.name for p in self.folder.glob("out.jsonl*")], ["out.jsonl"])

    def test_weights_that_are_not_finite(self):
        hub = self.folder / "hub"
        self.moesaic("export", self.run_folder, hub)
        file = hub / "model.safetensors"
        content = bytearray(file.read_bytes())
        length = struct.unpack("<Q", content[:8])[0]
        begin = json.loads(content[8:8 + length])["model.norm.weight"]["data_offsets"][0]
        content[8 + length + begin:8 + length + begin + 4] = struct.pack("<f", math.nan)
        file.write_bytes(content)
        for ranks in (1, 2):
            line = '{"ids": [1, 2, 3]}\n'
            self.assertIn("model.norm.weight", self.score(line, model=hub, ranks=ranks, expect=7).stderr)
            result = self.score(line, "--allow-nonfinite", model=hub, ranks=ranks)
            self.assertEqual(json.loads(result.stdout), {"logprobs": [None, None], "nll": None, "tokens": 3})
            self.assertIn("NaN or infinite", result.stderr)


class BadInput(ScoreTest):
    def refused(self, code, *words, text="", arguments=(), model=None, on=(1, 2)):
        """On one rank and on two: the exit code, one error with these words, no output, soon."""
        for ranks in on:
            with self.subTest(words=words, ranks=ranks):
                started = time.monotonic()
                command = [MOESAIC, "score", "--model", model or self.run_folder, "-n", str(ranks), *map(str, arguments)]
                result = subprocess.run(command, input=text if isinstance(text, bytes) else text.encode(),
                                        capture_output=True, timeout=60)
                errors = result.stderr.decode()
                self.assertEqual(result.returncode, code, errors)
                for word in words:
                    self.assertIn(word, errors)
                self.assertLessEqual(errors.count("error:"), 1, errors)
                self.assertEqual(result.stdout, b"")
                self.assertLess(time.monotonic() - started, 10)

    def test_lines(self):
        good = '{"ids": [1, 2]}\n'
        for line, *words in (
            ("nonsense", "invalid JSON"),
            ('{"ids": [1, 2', "invalid JSON"),
            ('{"ids": [1]} {"ids": [2]}', "invalid JSON"),
            ("[1, 2]", "must be an object"),
            ('{"id": [1]}', '"text" or "ids" is missing'),
            ('{"ids": [1], "text": "a"}', "keep one of them"),
            ('{"ids": [1], "ids": [2]}', '"ids" is there twice'),
            ('{"ids": "1 2"}', "must be an array of token ids"),
            ('{"ids": [1, -1]}', '"ids"[1] is -1'),
            ('{"ids": [1.5]}', '"ids"[0] is 1.5'),
            ('{"ids": [1e400]}', "invalid JSON"),
            ('{"ids": [99999999999]}', '"ids"[0] is 99999999999'),
            ('{"ids": [1, 2, 272]}', "id 272 at place 2", "0 to 271"),
            ('{"text": 5}', "must be a string"),
            (b'{"text": "caf\xe9"}', "UTF-8"),
            ('{"text": "\\ud800"}', "invalid JSON"),
            ('{"a": ' + "[" * 100_000, "nested deeper"),
            ('{"ids": [' + "1," * 1_000_000 + "1]}", "1000001 ids", "1000000"),
            ('{"text": "' + "a" * (17 << 20) + '"}', "a line of over 16777216 bytes"),
        ):
            text = good.encode() + (line if isinstance(line, bytes) else line.encode()) + b"\n"
            self.refused(4, "<stdin>:2: ", *words, text=text, on=[1])
        # The chief reads lines and finds the error; how the others hear of it does not depend on which one it is, but on
        # where it was: in the reader, in the parser, in the ids against the model.
        for line in ("a" * (17 << 20), "nonsense", '{"ids": [1, 2, 272]}'):
            self.refused(4, "<stdin>:2: ", text=good.encode() + line.encode() + b"\n", on=[2])

    def test_files(self):
        (self.folder / "in.jsonl").write_text('{"ids": [1]}\n\n{"ids": [1, 300]}\n')
        self.refused(4, f"{self.folder}/in.jsonl:3: ", arguments=["--input", self.folder / "in.jsonl"])
        self.refused(4, "none.jsonl", arguments=["--input", self.folder / "none.jsonl"])
        self.refused(4, "not a regular file", arguments=["--input", self.folder])
        self.refused(7, "none/out", arguments=["--output", self.folder / "none/out"])
        self.refused(7, "it is a folder", arguments=["--output", self.folder])
        (self.folder / "same.jsonl").symlink_to("in.jsonl")
        for verb in (["score"], ["generate"], ["eval", "--task", "multiple_choice"]):
            read = "--data" if verb[0] == "eval" else "--input"
            result = self.moesaic(*verb, "--model", self.run_folder, read, self.folder / "in.jsonl", "--output",
                                  self.folder / "same.jsonl", expect=2)
            self.assertIn("which is the input", result.stderr)

    def test_command_lines(self):
        self.refused(2, "--expert is 3", arguments=["--expert", 3])
        for arguments in (["--precision", "float16"], ["--batch-tokens", 0], ["--expert", 0], ["-n", 0], ["--nope"],
                          ["more"], ["--device", "tpu"]):
            self.refused(2, arguments=arguments)
        self.moesaic("score", expect=2)

    def test_models(self):
        self.refused(7, "no config.json", model=self.folder / "nowhere")
        self.refused(7, "no config.json", model=self.folder)
        broken = self.folder / "broken"
        broken.mkdir()
        for config, code, word in (("{", 7, "invalid JSON"), ("[]", 7, "no JSON object"), ('{"model_type": "gpt5"}', 3, "gpt5"),
                                   ('{"model_type": "llama", "hidden_size": -3}', 3, "hidden_size")):
            (broken / "config.json").write_text(config)
            self.refused(code, word, model=broken)
        (broken / "config.json").write_text((self.run_folder / "checkpoints/latest/config.json").read_text())
        self.refused(7, str(broken), model=broken)  # no weights

    def test_a_damaged_checkpoint(self):
        copy = self.folder / "copy"
        latest = self.run_folder / "checkpoints/latest"
        copy.mkdir()
        for file in ("config.json", "manifest.json", "model.h5", "state.h5"):
            (copy / file).write_bytes((latest / file).read_bytes())
        self.score("", model=copy)
        content = bytearray((copy / "model.h5").read_bytes())
        content[len(content) // 2] ^= 1
        (copy / "model.h5").write_bytes(content)
        self.refused(7, "model.h5", model=copy)

    def test_text_without_a_tokenizer(self):
        hub = self.folder / "hub"
        self.moesaic("export", self.run_folder, hub)
        self.refused(4, "<stdin>:1: ", "needs a tokenizer", "give token ids", text='{"text": "a"}\n', model=hub)
        (hub / "tokenizer.json").write_text('{"model": {"type": "Unigram", "vocab": []}}')
        self.refused(4, "Unigram", text='{"text": "a"}\n', model=hub, on=(1,))
        ids = self.folder / "ids.jsonl"
        ids.write_text('{"ids": [1, 2, 3]}\n')
        self.moesaic("eval", "--model", hub, "--task", "perplexity", "--data", ids)  # ids need none

    def test_under_plain_mpirun_an_error_is_said_once(self):
        for text, code, word in (('{"ids": [999]}\n', 4, "<stdin>:1: id 999"), ("", 2, "--expert is 3")):
            arguments = ["--expert=3"] if code == 2 else []
            result = subprocess.run(["mpirun", "-n", "2", "--oversubscribe", BIN / "moesaic-worker", "score",
                                     f"--model={self.run_folder}", *arguments], input=text, capture_output=True, text=True,
                                    timeout=60, env=os.environ | PLAIN_MPIRUN)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(f"rank 0: error: {word}", result.stderr)
            self.assertEqual(result.stderr.count("error:"), 1, result.stderr)


if __name__ == "__main__":
    unittest.main()
