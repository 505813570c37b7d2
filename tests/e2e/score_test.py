"""moesaic score: order, layouts, the loss of training, and input that is wrong."""
import json
import time
import unittest

from moesaic import RunTest


class Score(RunTest):
    def setUp(self):
        super().setUp()
        self.train("train.max_steps=4", "data.packing=false", "data.sequence_length=4000", "eval.every_steps=4",
                   "train.global_batch_size=2", "train.micro_batch_size=1")
        self.input = self.folder / "in.jsonl"

    def score(self, text, *arguments, expect=0):
        self.input.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.moesaic("score", "--model", self.folder / "run", "--input", self.input, *arguments, expect=expect)

    def test_every_layout_gives_the_same_numbers_in_the_order_of_the_input(self):
        lines = [[(7 * i + k) % 256 for i in range(length)] for k, length in enumerate([40, 1, 7, 0, 300, 2, 40])]
        text = "".join(json.dumps({"ids": ids}) + "\n" for ids in lines) + '{"text": "to be \\u00fc"}\n'
        wanted = [json.loads(line) for line in self.score(text).stdout.splitlines()]
        self.assertEqual([row["tokens"] for row in wanted], [40, 1, 7, 0, 300, 2, 40, 8])
        for row in wanted:
            self.assertEqual(len(row["logprobs"]), max(0, row["tokens"] - 1))
            self.assertAlmostEqual(row["nll"], -sum(row["logprobs"]), places=3)
            self.assertTrue(all(value <= 0 for value in row["logprobs"]))
        for layout in (["-n", 2], ["-n", 2, "--expert", 1], ["-n", 3], ["--batch-tokens", 16]):
            rows = [json.loads(line) for line in self.score(text, *layout).stdout.splitlines()]
            self.assertEqual([row["tokens"] for row in rows], [row["tokens"] for row in wanted])
            for row, other in zip(wanted, rows, strict=True):
                for a, b in zip(row["logprobs"], other["logprobs"], strict=True):
                    self.assertAlmostEqual(a, b, delta=2e-6 * max(1, abs(a)))

    def test_the_mean_is_the_validation_loss_of_training(self):
        text = (self.folder / "text" / "valid.txt").read_bytes()
        row = json.loads(self.score(json.dumps({"ids": [*text, 256]}) + "\n").stdout)
        self.assertAlmostEqual(row["nll"] / (row["tokens"] - 1), self.rows()[-1]["valid_loss"], places=5)

    def test_a_wrong_line_is_named_and_ends_the_job_at_once(self):
        good = '{"ids": [1, 2, 3]}\n'
        for bad in ('{"ids": [1, 2', '{"ids": [1, 999]}', '{"ids": [-1]}', '{"ids": [1.5]}', '{"ids": "1"}', "[]", "{}",
                    '{"ids": [1], "text": "a"}', '{"text": 3}', b'{"text": "\xff"}', '{"ids": [1e400]}', "nonsense",
                    '{"ids": [' + "[" * 5000, '{"ids": [99999999999999999999]}'):
            text = good.encode() + (bad if isinstance(bad, bytes) else bad.encode()) + b"\n"
            result = self.score(text, expect=4)
            self.assertIn("in.jsonl:2", result.stderr, bad)

    def test_errors_end_two_ranks_too(self):
        start = time.monotonic()
        self.assertIn("in.jsonl:1", self.score("nonsense\n", "-n", 2, expect=4).stderr)
        self.assertLess(time.monotonic() - start, 60, "a hang would end in the watchdog")
        self.moesaic("score", "--model", self.folder / "nothing", "-n", 2, expect=None, input="")

    def test_output_appears_only_when_it_is_whole(self):
        output = self.folder / "out.jsonl"
        self.score('{"ids": [1, 2]}\nnonsense\n', "--output", output, expect=4)
        self.assertFalse(output.exists())
        self.score('{"ids": [1, 2]}\n', "--output", output)
        self.assertEqual(json.loads(output.read_text())["tokens"], 2)
        self.assertEqual(self.score("").stdout, "")


if __name__ == "__main__":
    unittest.main()
