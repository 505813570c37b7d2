"""Checkpoints as h5py sees them, and HDF5 files of h5py that must be refused."""
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import BIN, MOESAIC, RunTest  # noqa: E402

try:
    import h5py
    import numpy as np
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --parity installs it)")
    sys.exit(77)

# As tests/support/sample_checkpoint.h: name -> (shape, dtype).
MODEL = {
    "model.embed_tokens.weight": ((9001, 5), "float32"),
    "model.norm.weight": ((7,), "float64"),
    "model.layers.0.mlp.experts.up_proj.weight": ((12, 6, 5), "float32"),
    "model.layers.0.mlp.gate.weight": ((12, 5), "bfloat16"),
    "model.layers.0.mlp.experts.down_proj.weight": ((12, 5, 6), "float32"),
}
STATE = {
    "exp_avg/model.embed_tokens.weight": ((9001, 5), "float32"),
    "exp_avg/model.layers.0.mlp.experts.up_proj.weight": ((12, 6, 5), "float64"),
    "router/steps": ((1,), "int64"),
}


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def sample(name, shape):
    start = fnv1a(name) % 1009
    elements = np.arange(int(np.prod(shape)), dtype=np.int64)
    return (((start + 37 * elements) % 2003 - 1001) / 64.0).reshape(shape)


def rounded(values, dtype):
    """float64 -> what a tensor of `dtype` holds (bfloat16: to nearest, ties to even), as float64 or int64."""
    if dtype == "int64":
        return values.astype(np.int64)  # towards zero, as a cast
    if dtype != "bfloat16":
        return values.astype(dtype).astype(np.float64)
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32).astype(np.float64)


def datasets(file):
    found = {}
    file.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


class CheckpointInH5py(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="moesaic-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def written(self, dtype):
        subprocess.run([BIN / "write_checkpoint", self.folder, dtype], check=True, timeout=120)
        return self.folder / "step-00000100"

    def check(self, path, expected, dtype_of):
        with h5py.File(path) as file:
            found = datasets(file)
            self.assertEqual(set(found), set(expected))
            for name, (shape, _) in expected.items():
                dtype = dtype_of(name)
                self.assertEqual(found[name].shape, shape, name)
                self.assertTrue(found[name].fletcher32, name)
                self.assertEqual(found[name].attrs["dtype"].decode(), dtype)
                self.assertEqual(found[name].id.get_type().get_size(), {"bfloat16": 2, "float32": 4}.get(dtype, 8))
                values = found[name][()].astype(np.int64 if dtype == "int64" else np.float64)
                source = name.removeprefix("master/")
                np.testing.assert_array_equal(values, rounded(sample(source, shape), dtype), err_msg=name)

    def test_every_tensor_reads_as_its_values(self):
        folder = self.written("master")
        self.check(folder / "model.h5", MODEL, lambda name: MODEL[name][1])
        self.check(folder / "state.h5", STATE, lambda name: STATE[name][1])

    def test_bfloat16_weights_read_as_the_rounded_masters(self):
        folder = self.written("bfloat16")
        self.check(folder / "model.h5", MODEL, lambda name: "bfloat16")
        masters = {f"master/{name}": entry for name, entry in MODEL.items() if entry[1] != "bfloat16"}
        self.check(folder / "state.h5", {**STATE, **masters}, lambda name: {**STATE, **masters}[name][1])


class TrainedCheckpointInH5py(RunTest):
    def test_of_two_ranks_reads_whole(self):
        self.moesaic("train", self.recipe, "-n", 2, "parallel.expert=2", "train.max_steps=5",
                     "checkpoint.dtype=bfloat16")
        folder = self.folder / "run/checkpoints/latest"
        manifest = json.loads((folder / "manifest.json").read_text())
        with h5py.File(folder / "model.h5") as model, h5py.File(folder / "state.h5") as state:
            weights = datasets(model)
            self.assertEqual(sum(item.size for item in weights.values()), manifest["parameters"])
            for name, item in weights.items():
                values, master = item[()], state[f"master/{name}"][()]
                self.assertTrue(np.isfinite(values).all(), name)
                np.testing.assert_array_equal(values, rounded(master.astype(np.float64), "bfloat16"), err_msg=name)


class ImportedCheckpointInH5py(unittest.TestCase):
    """A Hugging Face folder with half-precision weights, written here without any package."""

    CONFIG = {"model_type": "llama", "vocab_size": 11, "hidden_size": 8, "intermediate_size": 6, "num_hidden_layers": 1,
              "num_attention_heads": 2, "tie_word_embeddings": True}
    SHAPES = {"model.embed_tokens.weight": (11, 8), "model.norm.weight": (8,),
              **{f"model.layers.0.{name}.weight": shape for name, shape in {
                  "input_layernorm": (8,), "post_attention_layernorm": (8,), "self_attn.q_proj": (8, 8),
                  "self_attn.k_proj": (8, 8), "self_attn.v_proj": (8, 8), "self_attn.o_proj": (8, 8),
                  "mlp.gate_proj": (6, 8), "mlp.up_proj": (6, 8), "mlp.down_proj": (8, 6)}.items()}}

    def test_float16_reads_as_it_was(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="moesaic-test-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        header, data, values = {}, b"", {}
        for name, shape in self.SHAPES.items():
            values[name] = sample(name, shape).astype(np.float16)
            header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [len(data), len(data) + values[name].nbytes]}
            data += values[name].tobytes()
        text = json.dumps(header).encode()
        (folder / "config.json").write_text(json.dumps(self.CONFIG))
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
        result = subprocess.run([MOESAIC, "import", folder, folder.with_suffix(".imported")], capture_output=True,
                                text=True, timeout=60)
        self.addCleanup(shutil.rmtree, folder.with_suffix(".imported"), ignore_errors=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        with h5py.File(folder.with_suffix(".imported") / "model.h5") as file:
            found = datasets(file)
            self.assertEqual(set(found), set(values))
            for name, item in found.items():
                self.assertEqual(item.dtype, np.float16)
                self.assertEqual((item.attrs["dtype"].decode(), item.attrs["hub_dtype"].decode()), ("float16",) * 2)
                np.testing.assert_array_equal(item[()], values[name], err_msg=name)


class HostileFile(unittest.TestCase):
    """Each file is one that h5py opens; inspect must end with 7 and say why."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="moesaic-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.path = self.folder / "file.h5"

    def inspect(self, make):
        with h5py.File(self.path, "w") as file:
            make(file)
        return subprocess.run([MOESAIC, "inspect", str(self.path)], capture_output=True, text=True, timeout=60)

    def refused(self, make, reason):
        result = self.inspect(make)
        self.assertEqual(result.returncode, 7, f"{reason}: {result.stdout}{result.stderr}")
        self.assertIn(reason, result.stdout + result.stderr)

    def test_plain_files_with_known_filters_are_read(self):
        def make(file):
            file["contiguous"] = np.arange(5.0)
            file.create_dataset("packed", data=np.arange(250000.0), compression="gzip", shuffle=True, fletcher32=True)
        result = self.inspect(make)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_links_are_refused(self):
        def soft(file):
            file["x"] = np.arange(3.0)
            file["y"] = h5py.SoftLink("/x")
        self.refused(soft, "'y' is a soft or external link")
        self.refused(lambda file: file.__setitem__("z", h5py.ExternalLink("/etc/passwd", "/x")), "soft or external link")

        def hard(file):
            file["x"] = np.arange(3.0)
            file["y"] = file["x"]
        self.refused(hard, "has 2 names")

        def cycle(file):
            group = file.create_group("g")
            group["again"] = group
        self.refused(cycle, "has 2 names")

    def test_storage_elsewhere_is_refused(self):
        def virtual(file):
            layout = h5py.VirtualLayout(shape=(5,), dtype="f8")
            layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(5,))
            file.create_virtual_dataset("v", layout)
        self.refused(virtual, "its values lie in other files")
        self.refused(lambda file: file.create_dataset("e", (5,), "f8", external=[("/etc/passwd", 0, 40)]),
                     "its values lie in other files")

    def test_other_filters_types_and_shapes_are_refused(self):
        self.refused(lambda file: file.create_dataset("l", data=np.zeros(5000), compression="lzf"), "filter 32000")
        self.refused(lambda file: file.__setitem__("i", np.arange(3, dtype=np.int32)), "its type is none of")
        self.refused(lambda file: file.__setitem__("s", "text"), "dimensions")
        self.refused(lambda file: file.__setitem__("s", ["text", "more"]), "its type is none of")
        self.refused(lambda file: file.create_dataset("r", data=np.zeros((1,) * 9)), "9 dimensions")
        self.refused(lambda file: file.__setitem__("t", np.dtype("f8")), "neither group nor dataset")
        self.refused(lambda file: file.create_dataset("o", (0, 3), "f8"), "dimension 0 is 0")

    def test_sizes_beyond_the_file_are_refused_before_allocation(self):
        self.refused(lambda file: file.create_dataset("h", (2**40, 2**10), "f8", chunks=(1, 1024)), "bytes of a file of")
        self.refused(lambda file: file.create_dataset("p", (2**62, 2**10), "f8", chunks=(1, 1024)), "dimension 0 is")

        def dense(file):  # one real chunk, and far more values than it could hold
            item = file.create_dataset("d", (2**40,), "f8", chunks=(1024,), compression="gzip")
            item[:1024] = 1
        self.refused(dense, "bytes of a file of")
        self.refused(lambda file: file.create_dataset("b", data=np.zeros(2**23), chunks=(2**23,), compression="gzip"),
                     "bytes of a file of")  # 64 MiB of zeros in 64 KiB

    def test_groups_nested_too_deep_are_refused(self):
        self.refused(lambda file: file.create_group("/".join("g" * 20)), "nested deeper")


if __name__ == "__main__":
    unittest.main()
