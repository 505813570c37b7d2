"""Tiny Hugging Face checkpoints with random weights, of every family and in many variants.

    python tiny_checkpoints.py FOLDER [NAME ...]      writes FOLDER/NAME for each variant

A checkpoint is a function of (variant, seed) alone. Weights are large enough that neither routing nor attention is
near uniform, so that a wrong gate, mask or rotation shows in the numbers.
"""
import dataclasses
import json
import pathlib
import sys
import zlib

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()

DENSE = {"vocab_size": 128, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
ODD = {"hidden_size": 24, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 10, "vocab_size": 101}
MOE = {**DENSE, "intermediate_size": 20, "num_experts_per_tok": 2}
QWEN_MOE = {**MOE, "intermediate_size": 40, "moe_intermediate_size": 16, "num_experts": 6}
DEEPSEEK = {**DENSE, "num_key_value_heads": 4, "kv_lora_rank": 12, "q_lora_rank": 10, "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 6, "v_head_dim": 7, "n_routed_experts": 8, "num_experts_per_tok": 3,
            "n_shared_experts": 1, "moe_intermediate_size": 14, "first_k_dense_replace": 1}
GROUPS = {"n_group": 4, "topk_group": 2}
YARN = {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0, "original_max_position_embeddings": 16}
MLA_YARN = {**YARN, "rope_theta": 100.0, "original_max_position_embeddings": 64, "beta_fast": 2, "beta_slow": 1,
            "mscale": 1.0, "mscale_all_dim": 0.8}
LONG = {"max_position_embeddings": 256, "qk_rope_head_dim": 12}
# What the hub's own files say beside the keys of the configuration classes.
HUB_KEYS = {
    "deepseek_v2": {"scoring_func": "softmax", "moe_layer_freq": 1, "seq_aux": True, "aux_loss_alpha": 0.001,
                    "ep_size": 1},
    "deepseek_v3": {"scoring_func": "sigmoid", "topk_method": "noaux_tc", "moe_layer_freq": 1, "seq_aux": True,
                    "aux_loss_alpha": 0.001, "ep_size": 1},
    "qwen2_moe": {"sliding_window": 32768, "max_window_layers": 1},
    "qwen3": {"sliding_window": None, "max_window_layers": 2},
    "qwen3_moe": {"sliding_window": None, "max_window_layers": 2},
}


@dataclasses.dataclass(frozen=True)
class Variant:
    name: str
    model_type: str
    config: dict
    hub_spelling: bool = False  # rope_theta and rope_scaling, as files of before Transformers 5
    dtype: torch.dtype = torch.float32
    shard_size: str = "50GB"


def rope(theta=500.0, kind="default", **settings):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **settings}}


def variant(name, base=None, hub=False, dtype=torch.float32, shard="50GB", **config):
    """`name` begins with the model_type: FAMILY or FAMILY-what."""
    return Variant(name, name.split("-")[0], {**(base or {}), **config}, hub, dtype, shard)


def llama_variants():
    yarn = {key: value for key, value in YARN.items() if key != "rope_type" and key != "rope_theta"}
    return [
        variant("llama-smollm", DENSE, hidden_size=36, num_attention_heads=9, num_key_value_heads=3,
                tie_word_embeddings=True, num_hidden_layers=3, hub=True, dtype=torch.bfloat16),
        variant("llama-biases", DENSE, num_key_value_heads=4, attention_bias=True, mlp_bias=True, shard="20KB"),
        variant("llama-odd-head", {**DENSE, **ODD}, rms_norm_eps=1e-5, **rope(77.0)),
        variant("llama-half-width", DENSE, intermediate_size=16, num_key_value_heads=1),
        variant("llama-linear", DENSE, **rope(kind="linear", factor=2.5)),
        variant("llama-linear-hub", DENSE, hub=True, **rope(kind="linear", factor=3)),
        variant("llama-dynamic", DENSE, **{**rope(kind="dynamic", factor=2.0), "max_position_embeddings": 16}),
        variant("llama-dynamic-hub", DENSE, hub=True,
                **{**rope(kind="dynamic", factor=3.0), "max_position_embeddings": 12}),
        variant("llama-llama3", DENSE, **rope(kind="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                              original_max_position_embeddings=24)),
        variant("llama-llama3-hub", DENSE, hub=True,
                head_dim=16, **rope(200.0, "llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=3.0,
                                    original_max_position_embeddings=60)),
        variant("llama-yarn", DENSE, head_dim=16, **rope(kind="yarn", **yarn)),
        variant("llama-yarn-factor", DENSE, head_dim=16,
                **rope(100.0, "yarn", factor=2.0, original_max_position_embeddings=64, attention_factor=1.3,
                       beta_fast=2.0, beta_slow=0.5)),
        variant("llama-yarn-exact", DENSE, head_dim=16, **rope(kind="yarn", truncate=False, **yarn)),
        variant("llama-yarn-short", DENSE, hub=True, head_dim=16, **rope(100.0, "yarn", factor=3.0)),
        variant("llama-yarn-outer", DENSE, hub=True, head_dim=16,
                original_max_position_embeddings=64,  # goes before that of the block
                **rope(100.0, "yarn", factor=2.0, original_max_position_embeddings=16)),
        variant("llama-yarn-mscale", DENSE, hub=True, **rope(kind="yarn", mscale=1.2, mscale_all_dim=0.7, **yarn)),
    ]


def qwen_variants():
    sparse = {"num_hidden_layers": 4, "decoder_sparse_step": 2}
    return [
        variant("qwen3", DENSE, head_dim=12, tie_word_embeddings=True, hub=True),
        variant("qwen3-bias", {**DENSE, **ODD}, attention_bias=True, **rope(kind="yarn", factor=2.0,
                original_max_position_embeddings=32), dtype=torch.bfloat16),
        variant("qwen2_moe", QWEN_MOE, shared_expert_intermediate_size=24, hub=True),
        variant("qwen2_moe-sparse", QWEN_MOE, **sparse, shared_expert_intermediate_size=20, qkv_bias=False,
                norm_topk_prob=True, tie_word_embeddings=True, shard="30KB"),
        variant("qwen2_moe-dense-layers", QWEN_MOE, num_hidden_layers=3, mlp_only_layers=[1],
                shared_expert_intermediate_size=16, num_experts=5, hidden_size=36, num_attention_heads=9,
                num_key_value_heads=3, dtype=torch.bfloat16),
        variant("qwen3_moe", QWEN_MOE, head_dim=12, norm_topk_prob=True, hub=True, dtype=torch.bfloat16, shard="25KB"),
        variant("qwen3_moe-sparse", QWEN_MOE, **sparse, mlp_only_layers=[3], num_experts=4, head_dim=8),
        variant("qwen3_moe-half-width", {**QWEN_MOE, **ODD}, moe_intermediate_size=12, attention_bias=True,
                num_experts_per_tok=3, norm_topk_prob=True, tie_word_embeddings=True,
                **rope(kind="linear", factor=2.0)),
    ]


def mixtral_and_olmoe_variants():
    return [
        variant("mixtral", MOE, num_local_experts=4, hub=True),
        variant("mixtral-half-width", MOE, intermediate_size=16, num_local_experts=8, num_experts_per_tok=3,
                num_key_value_heads=4, num_hidden_layers=3, shard="30KB", **rope(1000.0)),
        variant("mixtral-odd-head", {**MOE, **ODD}, num_local_experts=5, num_experts_per_tok=1,
                tie_word_embeddings=True, dtype=torch.bfloat16),
        variant("olmoe", MOE, num_experts=8, hub=True),
        variant("olmoe-clip", MOE, num_experts=8, clip_qkv=1.5, norm_topk_prob=True, num_key_value_heads=4),
        variant("olmoe-odd-head", MOE, hidden_size=36, num_attention_heads=9, num_key_value_heads=3, num_experts=6,
                num_experts_per_tok=4, intermediate_size=18, tie_word_embeddings=True, dtype=torch.bfloat16,
                **rope(kind="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                       original_max_position_embeddings=32)),
        variant("olmoe-bias", MOE, num_experts=4, attention_bias=True, clip_qkv=2.0, shard="20KB"),
    ]


def deepseek_variants():
    plain_query = {"q_lora_rank": None}
    return [
        variant("deepseek_v2", DEEPSEEK, **plain_query, n_shared_experts=2, hub=True),
        variant("deepseek_v2-groups", DEEPSEEK, **GROUPS, topk_method="group_limited_greedy", attention_bias=True,
                routed_scaling_factor=1.7, num_hidden_layers=3, rms_norm_eps=0.01, shard="30KB"),
        variant("deepseek_v2-yarn", {**DEEPSEEK, **LONG}, **GROUPS, topk_method="group_limited_greedy", hub=True,
                first_k_dense_replace=0, routed_scaling_factor=16.0, num_attention_heads=2, num_key_value_heads=2,
                n_shared_experts=2, rope_parameters=MLA_YARN, dtype=torch.bfloat16),
        variant("deepseek_v2-half-width", DEEPSEEK, **plain_query, moe_intermediate_size=16, mlp_bias=True,
                hidden_size=33, num_attention_heads=3, num_key_value_heads=3, num_hidden_layers=4,
                first_k_dense_replace=2, tie_word_embeddings=True),
        variant("deepseek_v3", DEEPSEEK, **GROUPS, num_nextn_predict_layers=0, hub=True),
        variant("deepseek_v3-yarn", {**DEEPSEEK, **LONG}, **GROUPS, rope_parameters=MLA_YARN,
                num_nextn_predict_layers=0, norm_topk_prob=False, routed_scaling_factor=1.5, hub=True,
                dtype=torch.bfloat16, shard="30KB"),
        variant("deepseek_v3-halves", DEEPSEEK, n_group=2, topk_group=1, rope_interleave=False,
                first_k_dense_replace=0, attention_bias=True, n_shared_experts=2, num_nextn_predict_layers=0,
                rms_norm_eps=0.01),
        variant("deepseek_v3-plain-query", {**DEEPSEEK, **LONG}, **plain_query, n_group=1, topk_group=1, hidden_size=33,
                num_attention_heads=3, num_key_value_heads=3, num_hidden_layers=3, tie_word_embeddings=True,
                rope_parameters={**MLA_YARN, "mscale": 0.7, "mscale_all_dim": 1.2, "truncate": False}),
    ]


VARIANTS = {v.name: v for v in
            llama_variants() + qwen_variants() + mixtral_and_olmoe_variants() + deepseek_variants()}


def scale_of(name, shape):
    """(mean, standard deviation) of a weight of this name."""
    wide = shape[-1] ** -0.5
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        return 1.5, 0.2
    if "norm" in name:
        return 1.0, 0.3
    if name.endswith("correction_bias"):
        return 0.0, 0.15
    if name.endswith("bias"):
        return 0.0, 0.3
    if "embed_tokens" in name:
        return 0.0, 0.5
    if name.endswith(("mlp.gate.weight", "lm_head.weight")):
        return 0.0, 2.5 * wide
    if any(part in name for part in ("q_proj", "k_proj", "q_b_proj", "kv_b_proj", "kv_a_proj_with_mqa")):
        return 0.0, 1.7 * wide
    return 0.0, 1.3 * wide


def fill(model, seed_text):
    for name, tensor in sorted(model.state_dict().items()):
        numbers = torch.Generator().manual_seed(zlib.crc32(f"{seed_text}/{name}".encode()))
        mean, deviation = scale_of(name, tensor.shape)
        with torch.no_grad():
            tensor.copy_(mean + deviation * torch.randn(tensor.shape, generator=numbers))
    model.tie_weights()


def respell(config, wanted):
    """config.json as the hub's files spell it: rotary keys of before Transformers 5, and the families' own keys."""
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    given = {key: value for key, value in wanted.config.get("rope_parameters", {}).items() if key != "rope_theta"}
    kind = given.pop("rope_type", "default")
    word = "rope_type" if kind == "llama3" else "type"
    config["rope_scaling"] = None if kind == "default" else {word: kind, **given}
    config["torch_dtype"] = config.pop("dtype")
    for key in ("layer_types", "qk_head_dim", "rope_interleave"):
        config.pop(key, None)
    if wanted.model_type.startswith("deepseek"):
        config.pop("head_dim", None)
    if wanted.model_type == "qwen3_moe":
        config["num_experts"] = config.pop("num_local_experts")
    return {**config, **HUB_KEYS.get(wanted.model_type, {})}


def make(wanted, folder, seed=0):
    """Writes the checkpoint `wanted` (a Variant) of `seed` into `folder`."""
    folder = pathlib.Path(folder)
    tokens = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    config = AutoConfig.for_model(wanted.model_type, **tokens, **json.loads(json.dumps(wanted.config)))
    model = AutoModelForCausalLM.from_config(config)
    fill(model, f"{wanted.name}/{seed}")
    model.to(wanted.dtype)
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):  # float32 in the hub's bfloat16 files too
            buffer.data = buffer.data.float()
    model.save_pretrained(folder, max_shard_size=wanted.shard_size)
    (folder / "special_tokens_map.json").write_text('{"eos_token": "<|endoftext|>"}\n')
    path = folder / "config.json"
    if wanted.hub_spelling:
        path.write_text(json.dumps(respell(json.loads(path.read_text()), wanted), indent=2) + "\n")
    return folder


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[2:]) <= set(VARIANTS):
        sys.exit(f"usage: tiny_checkpoints.py FOLDER [NAME ...]\nnames: {' '.join(VARIANTS)}")
    for chosen in sys.argv[2:] or VARIANTS:
        print(make(VARIANTS[chosen], pathlib.Path(sys.argv[1]) / chosen))
