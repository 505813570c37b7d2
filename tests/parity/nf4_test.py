"""NF4 against bitsandbytes: the bits of codes and scales, and a run on a base in NF4 against one on the numbers of its codes."""
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import BIN, RunTest  # noqa: E402

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # else bitsandbytes compiles for minutes
try:
    import bitsandbytes.functional as bnb
    import numpy
    import torch
    from safetensors.torch import load_file, save_file
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --peers installs it)")
    sys.exit(77)

TINIEST = 1e-30  # scales below: bitsandbytes divides by what has no reciprocal


def draws():
    generator = torch.Generator().manual_seed(3)
    for rows, columns in ((1, 1), (1, 64), (3, 43), (130, 64), (300, 640), (577, 191)):
        values = torch.randn(rows, columns, generator=generator)
        yield from (values, values.pow(5), values * 1e30, values * 1e-25, values.bfloat16().float())
        for hole in (0, 1, 63, 64):  # blocks of zeros, one value among them
            lonely = torch.zeros(rows * columns)
            lonely[min(hole, lonely.numel() - 1)] = values[0, 0]
            yield lonely.view(rows, columns)
    numbers = bnb.get_4bit_type("nf4", device="cpu")
    borders = torch.cat([numbers, (numbers[1:] + numbers[:-1]) / 2])
    for near in (borders, borders.nextafter(torch.tensor(2.0)), borders.nextafter(torch.tensor(-2.0))):
        yield torch.cat([torch.cat([near, torch.zeros(64 - near.numel())]).clamp(-1, 1), torch.ones(64)]).view(2, 64)


class Nf4(RunTest):
    def ours(self, values):
        path = self.folder / "values"
        path.write_bytes(values.numpy().tobytes())
        result = subprocess.run([str(BIN / "nf4_codes"), str(path)], capture_output=True, check=True).stdout
        count = values.numel()
        blocks, at, parts = (count + 63) // 64, 0, []
        for size, dtype in (((count + 1) // 2, "u1"), (blocks, "f4"), (blocks, "u1"), ((blocks + 255) // 256, "f4"), (1, "f4"),
                            (count, "f4")):
            parts.append(torch.from_numpy(numpy.frombuffer(result, dtype, size, at).copy()))
            at += parts[-1].nbytes
        self.assertEqual(at, len(result))
        return parts

    def test_codes_and_scales_have_the_bits_of_bitsandbytes(self):
        means = []
        for values in draws():
            codes, scales, scale_codes, outer_scales, mean, numbers = self.ours(values)
            theirs, state = bnb.quantize_4bit(values, quant_type="nf4", blocksize=64)
            self.assertTrue(torch.equal(codes, theirs.flatten()), values.shape)
            self.assertTrue(torch.equal(scales, state.absmax), values.shape)
            nested = bnb.quantize_4bit(values, quant_type="nf4", blocksize=64, compress_statistics=True)[1]
            # LibTorch's float32 mean depends on the processor; ours is that of float64.
            self.assertAlmostEqual(1, (mean / nested.offset).item() if nested.offset else 1, delta=1e-6)
            means.append(torch.equal(mean[0], nested.offset))
            if (scales - mean).abs().max() < TINIEST:
                continue
            their_codes, outer = bnb.quantize_blockwise(scales - mean, blocksize=256)
            self.assertTrue(torch.equal(scale_codes, their_codes), values.shape)
            self.assertTrue(torch.equal(outer_scales, outer.absmax), values.shape)
            nested.offset, nested.absmax, nested.state2.absmax = mean[0], scale_codes, outer_scales
            back = bnb.dequantize_4bit(theirs, nested).flatten()
            self.assertTrue(torch.equal(numbers, back), values.shape)
        self.assertGreater(sum(means), len(means) / 2, "most means are the same bits")

    def test_a_run_is_one_on_the_numbers_of_the_codes(self):
        self.train("train.max_steps=3", run="base")
        self.moesaic("export", self.folder / "base", self.folder / "hub")
        self.moesaic("export", self.folder / "base", self.folder / "numbers")
        for path in (self.folder / "numbers").glob("*.safetensors"):
            weights = load_file(path)
            for name, values in weights.items():
                if name.endswith("_proj.weight"):
                    weights[name] = self.ours(values.float())[-1].view(values.shape)
            save_file(weights, path, metadata={"format": "pt"})
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        rows = []
        for folder, base in (("hub", "nf4"), ("numbers", "master")):
            self.recipe.write_text(f"{text[:begin]}  from: {self.folder}/{folder}\n{text[end:]}"
                                   f"adapt: {{lora: {{r: 4, base: {base}}}}}\n")
            self.train("train.max_steps=6", run=folder)
            rows.append([row["loss"] for row in self.rows(folder)])
        self.assertEqual(*map(len, rows))
        self.assertLess(max(abs(a - b) for a, b in zip(*rows)), 1e-6)


if __name__ == "__main__":
    unittest.main()
