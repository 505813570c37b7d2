"""TensorBoard's own reader finds in the event files of a run what its metrics.jsonl says, also after a resume."""
import json
import pathlib
import struct
import sys
import unittest

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.backend.event_processing import event_file_loader
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from moesaic import RunTest  # noqa: E402

EVERYTHING = {"scalars": 0, "tensors": 0, "histograms": 0}  # 0 = keep all


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


class TensorBoard(RunTest):
    def read(self):
        """Scalars {name: {step: value}} and histograms {name: {step: histogram}} of the run."""
        reader = EventAccumulator(str(self.folder / "run" / "tensorboard"), size_guidance=EVERYTHING)
        reader.Reload()
        tags = reader.Tags()
        scalars = {tag: reader.Scalars(tag) for tag in tags["scalars"]}
        histograms = {tag: reader.Histograms(tag) for tag in tags["histograms"]}
        for points in (*scalars.values(), *histograms.values()):
            steps = [point.step for point in points]
            self.assertEqual(steps, sorted(set(steps)), "a step stands twice")
        return ({tag: {p.step: p.value for p in points} for tag, points in scalars.items()},
                {tag: {p.step: p.histogram_value for p in points} for tag, points in histograms.items()})

    def check(self, last_step):
        rows = [json.loads(line) for line in (self.folder / "run" / "metrics.jsonl").read_text().splitlines()]
        self.assertEqual([row["step"] for row in rows], list(range(1, last_step + 1)))
        scalars, histograms = self.read()
        self.assertIn("loss", scalars)
        self.assertTrue(histograms)
        expected = {name: {} for row in rows for name in row if name != "step"}
        for row in rows:
            for name, value in row.items():
                if name != "step":
                    expected[name][row["step"]] = value
        self.assertEqual(scalars.keys() | histograms.keys(), expected.keys())
        for name, points in scalars.items():
            self.assertEqual(points, {step: float32(value) for step, value in expected[name].items()}, name)
        for name, points in histograms.items():
            self.assertEqual(points.keys(), expected[name].keys())
            for step, histogram in points.items():
                loads = expected[name][step]
                self.assertEqual((histogram.min, histogram.max, histogram.num), (min(loads), max(loads), len(loads)))
                self.assertAlmostEqual(histogram.sum, sum(loads))
                self.assertEqual(sum(histogram.bucket), len(loads))

    def test_values_are_those_of_the_metrics(self):
        self.train("log.tensorboard=true", "train.max_steps=6", "eval.every_steps=3")
        self.check(last_step=6)

    def test_resuming_drops_the_points_after_the_checkpoint(self):
        self.train("log.tensorboard=true", "train.max_steps=8", "schedule.type=constant", "checkpoint.final=false")
        self.train("log.tensorboard=true", "train.max_steps=12", "schedule.type=constant", "--resume", "auto")
        files = list((self.folder / "run" / "tensorboard").iterdir())
        self.assertEqual(len(files), 2)
        for file in files:  # every record of every file is whole
            self.assertTrue(list(event_file_loader.EventFileLoader(str(file)).Load()))
        self.check(last_step=12)


if __name__ == "__main__":
    unittest.main()
