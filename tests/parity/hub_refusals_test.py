"""Hub folders that must be refused: settings that would change the mathematics, and weights that do not fit."""
import json
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import RunTest  # noqa: E402

try:
    import safetensors.torch
    import torch
    from tiny_checkpoints import VARIANTS, make
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --parity installs it)")
    sys.exit(77)

REMOVED = object()
LONGROPE = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 4, "long_factor": [2.0] * 4,
            "original_max_position_embeddings": 16}

# (variant, change of config.json, words of the message)
CONFIGS = [
    ("llama-biases", {"rope_parameters": LONGROPE}, ["rope_parameters", "longrope"]),
    ("llama-linear-hub", {"rope_scaling": {"type": "longrope"}}, ["rope_scaling", "longrope"]),
    ("llama-linear-hub", {"rope_scaling": {"type": "linear"}}, ["rope_scaling", "factor"]),
    ("llama-linear-hub", {"rope_scaling": {"type": "yarn"}}, ["rope_scaling", "factor"]),
    ("llama-linear", {"rope_theta": 2e4}, ["rope_theta"]),  # rope_parameters say 500
    ("llama-biases", {"quantization_config": {"quant_method": "fp8"}}, ["quantization_config"]),
    ("llama-biases", {"hidden_act": "gelu"}, ["hidden_act", "gelu"]),
    ("llama-biases", {"attention_dropout": 0.1}, ["attention_dropout"]),
    ("llama-biases", {"attention_biass": True}, ["attention_biass", "did you mean 'attention_bias'?"]),
    ("llama-biases", {"hidden_size": 2**50}, ["hidden_size"]),
    ("llama-biases", {"model_type": "lama"}, ["model_type", "did you mean 'llama'?"]),
    ("llama-biases", {"model_type": REMOVED}, ["model_type", "missing"]),
    ("qwen3", {"use_sliding_window": True, "sliding_window": 8}, ["use_sliding_window"]),
    ("qwen3-bias", {"layer_types": ["full_attention", "sliding_attention"]}, ["layer_types"]),
    ("mixtral", {"sliding_window": 8}, ["sliding_window"]),
    ("mixtral", {"router_jitter_noise": 0.1}, ["router_jitter_noise"]),
    ("qwen2_moe", {"mlp_only_layers": [0, "1"]}, ["mlp_only_layers"]),
    ("qwen2_moe", {"decoder_sparse_step": 0}, ["decoder_sparse_step"]),
    ("qwen3_moe", {"num_experts_per_tok": 7}, ["num_experts_per_tok"]),
    ("deepseek_v2", {"scoring_func": "sigmoid"}, ["scoring_func"]),
    ("deepseek_v2", {"topk_method": "noaux_tc"}, ["topk_method"]),
    ("deepseek_v3", {"scoring_func": "softmax"}, ["scoring_func"]),
    ("deepseek_v3", {"topk_method": "greedy"}, ["topk_method"]),
    ("deepseek_v3", {"moe_layer_freq": 2}, ["moe_layer_freq"]),
    ("deepseek_v3", {"n_group": 3}, ["n_group"]),  # 8 experts
    ("deepseek_v3", {"topk_group": 5}, ["topk_group"]),  # of 4
]


class Refused(RunTest):
    def refuse(self, *arguments, words):
        result = self.moesaic(*arguments, expect=None)
        self.assertIn(result.returncode, (3, 7), f"{words}\n{result.stdout}{result.stderr}")
        for word in words:
            self.assertIn(word, result.stderr)
        return result

    def score(self, folder):
        lines = self.folder / "lines.jsonl"
        lines.write_text('{"ids": [1, 2, 3]}\n')
        return "score", "--model", folder, "--input", lines

    def hub(self, name):
        folder = self.folder / name
        return folder if folder.exists() else make(VARIANTS[name], folder)

    def test_settings_that_change_the_mathematics(self):
        for name, change, words in CONFIGS:
            with self.subTest(name=name, change=str(change)):
                path = self.hub(name) / "config.json"
                good = path.read_text()
                config = {**json.loads(good), **change}
                path.write_text(json.dumps({key: value for key, value in config.items() if value is not REMOVED}))
                self.refuse(*self.score(path.parent), words=words)
                path.write_text(good)

    def test_a_folder_for_training_is_read_as_strictly(self):
        folder = self.hub("deepseek_v3")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "moe_layer_freq": 2}))
        text = self.recipe.read_text()
        start, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:start]}  from: {folder}\n{text[end:]}")
        self.refuse("train", self.recipe, words=["moe_layer_freq"])

    def damaged(self, change, *words):
        """`change` gets the tensors of a whole folder; the message must name `words`."""
        folder = self.hub("mixtral")
        path = folder / "model.safetensors"
        whole = path.read_bytes()
        tensors = safetensors.torch.load_file(path)
        change(tensors)
        safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})
        self.refuse(*self.score(folder), words=words)
        target = self.folder / "imported"
        self.refuse("import", folder, target, words=words)
        self.assertFalse(target.exists(), "a failed import left something behind")
        path.write_bytes(whole)

    def test_a_missing_weight_is_named(self):
        name = "model.layers.1.self_attn.k_proj.weight"
        self.damaged(lambda tensors: tensors.pop(name), name, "missing")
        name = "model.layers.0.block_sparse_moe.experts.2.w3.weight"
        self.damaged(lambda tensors: tensors.pop(name), name, "missing")
        self.damaged(lambda tensors: tensors.pop("lm_head.weight"), "lm_head.weight", "missing")

    def test_an_unexpected_weight_is_named(self):
        name = "model.layers.0.block_sparse_moe.experts.4.w1.weight"  # of 4 experts
        self.damaged(lambda tensors: tensors.update({name: torch.zeros(20, 32)}), name)
        name = "model.layers.2.input_layernorm.weight"  # of 2 layers
        self.damaged(lambda tensors: tensors.update({name: torch.ones(32)}), name)
        name = "model.layers.0.self_attn.q_proj.bias"
        self.damaged(lambda tensors: tensors.update({name: torch.ones(32)}), name)

    def test_a_weight_of_the_wrong_shape_is_named_with_both_shapes(self):
        name = "model.layers.1.block_sparse_moe.experts.3.w2.weight"

        def transpose(tensors):
            tensors[name] = tensors[name].T.contiguous()
        self.damaged(transpose, name, "20, 32", "32, 20")

        def widen(tensors):
            tensors["model.norm.weight"] = torch.ones(33)
        self.damaged(widen, "model.norm.weight", "33", "32")

    def test_a_weight_that_is_no_number_is_named_unless_allowed(self):
        name = "model.layers.0.block_sparse_moe.experts.1.w1.weight"

        def spoil(tensors):
            tensors[name][3, 5] = float("nan")
        self.damaged(spoil, "experts.w1.weight", "--allow-nonfinite")
        folder = self.hub("mixtral")
        tensors = safetensors.torch.load_file(folder / "model.safetensors")
        tensors["model.layers.1.self_attn.o_proj.weight"][0, 0] = float("inf")
        safetensors.torch.save_file(tensors, folder / "model.safetensors")
        self.refuse(*self.score(folder), words=["model.layers.1.self_attn.o_proj.weight", "--allow-nonfinite"])
        self.moesaic(*self.score(folder), "--allow-nonfinite")

    def test_a_tied_head_in_the_file_must_be_the_embedding(self):
        folder = self.hub("qwen3")
        plain = self.moesaic(*self.score(folder)).stdout
        path = folder / "model.safetensors"
        tensors = safetensors.torch.load_file(path)
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
        safetensors.torch.save_file(tensors, path)
        self.assertEqual(self.moesaic(*self.score(folder)).stdout, plain)
        tensors["lm_head.weight"][7, 3] += 1
        safetensors.torch.save_file(tensors, path)
        self.refuse(*self.score(folder), words=["lm_head.weight", "tie_word_embeddings"])

    def test_integer_weights_are_named(self):
        def round_down(tensors):
            tensors["model.norm.weight"] = tensors["model.norm.weight"].to(torch.int8)
        self.damaged(round_down, "model.norm.weight", "I8")


if __name__ == "__main__":
    unittest.main()
