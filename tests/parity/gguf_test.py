"""GGUF files against the gguf package (values) and Transformers (what a model made of them computes)."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import RunTest  # noqa: E402

try:
    import gguf
    import numpy
    import safetensors.torch
    import torch
    import transformers_oracle as oracle
    from make_gguf import METADATA, TENSORS, model
    from transformers import AutoTokenizer
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --parity installs it)")
    sys.exit(77)

HERE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
HEADS = {"attn_q": 4, "attn_k": 2}


def in_hub_order(name, values):
    """The file of a llama has the two halves of a head's rotary dimensions in turns."""
    heads = HEADS.get(name.split(".")[-2])
    if heads is None:
        return values
    return values.reshape(heads, values.shape[0] // heads // 2, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


class Gguf(RunTest):
    def test_values_and_numbers(self):
        for seed in (1, 2):
            with self.subTest(seed):
                file = self.folder / f"model-{seed}.gguf"
                # Rotary scaling without a type is linear.
                metadata = METADATA if seed == 1 else [*METADATA, ("llama.rope.scale_linear", "f32", 4.0)]
                file.write_bytes(model(metadata, seed=seed))
                hub = self.folder / f"hub-{seed}"
                self.moesaic("export", file, hub)
                self.assertIn("blk.0.attn_q.weight", self.moesaic("inspect", file).stdout)
                scaling = json.loads((hub / "config.json").read_text())["rope_parameters"]
                self.assertEqual(scaling.get("factor", 1), 1 if seed == 1 else 4)
                self.check_values(file, hub)
                self.check_scores(file, hub)

    def check_values(self, file, hub):
        tensors = safetensors.torch.load_file(hub / "model.safetensors")
        reader = gguf.GGUFReader(file)
        self.assertEqual(len(tensors), len(reader.tensors))
        for tensor in reader.tensors:
            wanted = in_hub_order(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type).astype(numpy.float32))
            parts = tensor.name.split(".")
            name = ".".join((["model.layers", parts[1]] if parts[0] == "blk" else []) + [HERE[parts[-2]], parts[-1]])
            got = tensors[name].float().numpy()
            self.assertTrue((got.reshape(-1) == wanted.reshape(-1)).all(), f"{tensor.name} {tensor.tensor_type.name}")

    def check_scores(self, file, hub):
        ids = [3, 1, 2, 0, 3, 3, 1, 0, 2, 2, 1]
        shown = self.moesaic("score", "--model", file, input=json.dumps({"ids": ids}) + "\n" + json.dumps({"text": "abba"}) + "\n")
        lines = [json.loads(line) for line in shown.stdout.splitlines()]
        reference = oracle.load(hub)
        for got, wanted in zip(lines[0]["logprobs"], oracle.log_probs(reference, ids).tolist()):
            self.assertAlmostEqual(got, wanted, delta=1e-4 * max(1, abs(wanted)))
        tokenizer = AutoTokenizer.from_pretrained(hub)
        own = tokenizer("abba").input_ids
        self.assertEqual(own[0], 0, "the beginning of text that the file asks for")
        for got, wanted in zip(lines[1]["logprobs"], oracle.log_probs(reference, own).tolist(), strict=True):
            self.assertAlmostEqual(got, wanted, delta=1e-4 * max(1, abs(wanted)))

    def test_a_tokenizer_that_does_not_say_how_it_cuts(self):
        tokens = ["<|e|>", "1", "2", "3", "4", "12", "123", "1234", "a", "!", "!!", "a!"]
        changed = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": [3] + [1] * (len(tokens) - 1),
                   "tokenizer.ggml.merges": ["1 2", "12 3", "123 4", "! !", "a !"]}
        tensors = [("token_embd.weight", [256, len(tokens)], "Q8_0"), *TENSORS[1:]]
        for pre in ("default", None, "gpt-2"):
            metadata = [(k, t, pre if k == "tokenizer.ggml.pre" else changed.get(k, v)) for k, t, v in METADATA if pre or k != "tokenizer.ggml.pre"]
            file = self.folder / f"{pre}.gguf"
            file.write_bytes(model(metadata, tensors))
            ids = json.loads(self.moesaic("tokenize", "--tokenizer", file, input="a!!1234").stdout)
            self.assertEqual(ids, [8, 10, 7] if pre == "gpt-2" else [8, 10, 6, 4], pre)

    def test_ids_need_no_tokenizer(self):
        ids = json.dumps({"ids": [3, 1, 2, 0, 3, 3, 1]}) + "\n"
        known, other = self.folder / "known.gguf", self.folder / "other.gguf"
        known.write_bytes(model())
        other.write_bytes(model([(k, t, "llama" if k == "tokenizer.ggml.model" else v) for k, t, v in METADATA]))
        data = self.folder / "ids.jsonl"
        data.write_text(ids)
        score = self.moesaic("score", "--model", other, input=ids)
        self.assertEqual(score.stdout, self.moesaic("score", "--model", known, input=ids).stdout)
        self.assertIn("tokenizer.ggml.model is 'llama'", score.stderr)
        self.moesaic("eval", "--model", other, "--task", "perplexity", "--data", data)
        for arguments in (("score", "--model", other), ("generate", "--model", other, "--prompt", "a")):
            refused = self.moesaic(*arguments, input=json.dumps({"text": "abba"}) + "\n", expect=7)
            self.assertIn("tokenizer.ggml.model is 'llama'", refused.stderr)

    def test_refusals(self):
        whole = model()
        cases = {"truncated": (whole[:-1], "bytes at"), "cut header": (whole[:200], "ends before"), "empty": (b"", "no GGUF file"),
                 "other": (model([("general.architecture", "text", "bert"), *METADATA[1:]]), "'bert'"),
                 "missing": (model(tensors=TENSORS[:-1]), "down_proj"), "no layers": (model([*METADATA[:1], *METADATA[2:]]), "llama.block_count"),
                 "tokenizer": (model([(k, t, "mpt" if k == "tokenizer.ggml.pre" else v) for k, t, v in METADATA]), "'mpt'")}
        for name, (data, part) in cases.items():
            with self.subTest(name):
                file = self.folder / "bad.gguf"
                file.write_bytes(data)
                result = self.moesaic("generate", "--model", file, "--prompt", "a", expect=None)
                self.assertIn(result.returncode, (4, 7), result.stderr)
                self.assertIn(part, result.stderr)


if __name__ == "__main__":
    unittest.main()
