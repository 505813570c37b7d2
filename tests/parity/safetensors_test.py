"""Files of the safetensors package as Moesaic reads them, and files of Moesaic as the package reads them."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import MOESAIC  # noqa: E402

try:
    import safetensors
    import safetensors.torch
    import torch
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --peers installs it)")
    sys.exit(77)

DTYPES = {"float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
CONFIG = {"model_type": "olmoe", "vocab_size": 31, "hidden_size": 16, "intermediate_size": 12, "num_hidden_layers": 2,
          "num_attention_heads": 4, "num_key_value_heads": 2, "num_experts": 4, "num_experts_per_tok": 2}


def weights(dtype):
    torch.manual_seed(1)
    shapes = {"model.embed_tokens.weight": (31, 16), "model.norm.weight": (16,), "lm_head.weight": (31, 16)}
    for layer in range(CONFIG["num_hidden_layers"]):
        block = f"model.layers.{layer}."
        shapes[block + "input_layernorm.weight"] = shapes[block + "post_attention_layernorm.weight"] = (16,)
        for name, rows in {"q_proj": 16, "k_proj": 8, "v_proj": 8, "o_proj": 16}.items():
            shapes[f"{block}self_attn.{name}.weight"] = (rows, 16)
        shapes[block + "self_attn.q_norm.weight"], shapes[block + "self_attn.k_norm.weight"] = (16,), (8,)
        shapes[block + "mlp.gate.weight"] = (4, 16)
        for expert in range(4):
            for name, shape in {"gate_proj": (12, 16), "up_proj": (12, 16), "down_proj": (16, 12)}.items():
                shapes[f"{block}mlp.experts.{expert}.{name}.weight"] = shape
    return {name: torch.randn(shape, dtype=torch.float64).to(dtype) for name, shape in shapes.items()}


class SafetensorsTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="moesaic-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def moesaic(self, *arguments):
        result = subprocess.run([MOESAIC, *map(str, arguments)], capture_output=True, text=True, timeout=120)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def hub(self, tensors, shards=1, metadata=None):
        folder = self.folder / "hub"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(CONFIG))
        if shards == 1:
            safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata=metadata)
            return folder
        names = sorted(tensors)
        weight_map = {}
        for shard in range(shards):
            file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
            part = {name: tensors[name] for name in names[shard::shards]}
            safetensors.torch.save_file(part, folder / file, metadata=metadata)
            weight_map.update({name: file for name in part})
        total = sum(tensor.nbytes for tensor in tensors.values())
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
        return folder

    def read(self, folder):
        found = {}
        for path in sorted(folder.glob("*.safetensors")):
            with safetensors.safe_open(path, "pt") as file:
                self.assertEqual(file.metadata(), {"format": "pt"})
            found.update(safetensors.torch.load_file(path))
        return found

    def assert_equal(self, found, expected):
        self.assertEqual(set(found), set(expected))
        for name, tensor in expected.items():
            self.assertEqual(found[name].dtype, tensor.dtype, name)
            self.assertEqual(found[name].shape, tensor.shape, name)
            self.assertTrue(torch.equal(found[name], tensor), name)

    def test_both_ways_in_every_type_and_layout_of_files(self):
        for dtype in DTYPES.values():
            tensors = weights(dtype)
            for shards, metadata in ((1, None), (1, {"format": "pt"}), (1, {}), (3, {"format": "pt", "x": "\u00e4\n"})):
                with self.subTest(dtype=str(dtype), shards=shards, metadata=metadata):
                    hub = self.hub(tensors, shards, metadata)
                    self.moesaic("import", hub, self.folder / "checkpoint", "--overwrite")
                    self.moesaic("export", self.folder / "checkpoint", self.folder / "out", "--overwrite",
                                 "--max-shard-size", "6KB" if shards > 1 else "5GB")
                    self.assert_equal(self.read(self.folder / "out"), tensors)
                    self.assertEqual((self.folder / "out/model.safetensors.index.json").exists(), shards > 1)

    def test_mixed_types_keep_theirs(self):
        tensors = weights(torch.bfloat16)
        for index, name in enumerate(name for name in sorted(tensors) if "experts" not in name):
            tensors[name] = tensors[name].to(list(DTYPES.values())[index % 4])
        self.moesaic("import", self.hub(tensors), self.folder / "checkpoint")
        self.moesaic("export", self.folder / "checkpoint", self.folder / "out")
        self.assert_equal(self.read(self.folder / "out"), tensors)

    def test_conversion_is_that_of_torch(self):
        tensors = weights(torch.float64)
        hub = self.hub(tensors)
        for name in ("float32", "bfloat16", "float16"):
            self.moesaic("export", hub, self.folder / name, "--dtype", name)
            expected = {key: tensor.to(DTYPES[name]) for key, tensor in tensors.items()}
            self.assert_equal(self.read(self.folder / name), expected)
            self.assertEqual(json.loads((self.folder / name / "config.json").read_text())["torch_dtype"], name)

    def test_inspect_shows_what_the_package_sees(self):
        tensors = {"scalar": torch.tensor(1.5), "none": torch.zeros(0, 3), "bytes": torch.arange(5, dtype=torch.uint8),
                   "flags": torch.tensor([True, False]), "long": torch.tensor([[-1]]),
                   "eight": torch.zeros(3, dtype=torch.float8_e4m3fn)}
        path = self.folder / "any.safetensors"
        safetensors.torch.save_file(tensors, path)
        rows = {row["name"]: row for row in json.loads(self.moesaic("inspect", path, "--json"))["datasets"]}
        self.assertEqual({name: row["shape"] for name, row in rows.items()},
                         {name: list(tensor.shape) for name, tensor in tensors.items()})
        self.assertEqual({name: row["dtype"] for name, row in rows.items()},
                         {"scalar": "float32", "none": "float32", "bytes": "U8", "flags": "BOOL", "long": "I64",
                          "eight": "F8_E4M3"})


if __name__ == "__main__":
    unittest.main()
