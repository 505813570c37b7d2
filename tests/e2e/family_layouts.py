"""Random small models of every family, trained on random layouts: what family_invariance_*test.py share."""
import json
import random

from moesaic import RunTest

FAMILIES = ("llama", "qwen3", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe", "deepseek_v2", "deepseek_v3")
DENSE = ("llama", "qwen3")
REPLICATED, SPLIT = ((2, 1), (3, 1), (4, 1)), ((2, 2), (4, 2), (4, 4))  # (ranks, expert), against (1, 1)
STEPS, LINES, LONGEST = 6, 10, 20
TOLERANCE = 1e-10

RECIPE = """
name: {family}
seed: {seed}
run_dir: {folder}/run
model: {{config: {config}}}
data: {{train: [{{path: {folder}/lines.jsonl, format: tokens}}], sequence_length: {longest}, packing: false}}
train: {{max_steps: {steps}, global_batch_size: {lines}, micro_batch_size: 2, precision: float64, clip_norm: 0.05}}
optimizer: {{type: adamw, learning_rate: 0.003, weight_decay: 0.1}}
schedule: {{warmup_steps: 2}}
{moe}parallel: {{timeout_s: 60, threads_per_rank: 1}}
checkpoint: {{every_steps: 0, keep: 1}}
log: {{every_steps: 1, tensorboard: false}}
"""


def random_rope(draw, longest):
    """Settings of a rotary embedding that reaches beyond `longest` or stretches within it."""
    kinds = {
        "default": {},
        "linear": {"factor": 2.0},
        "dynamic": {"factor": 2.0},
        "llama3": {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                   "original_max_position_embeddings": longest},
        "yarn": {"factor": 4.0, "original_max_position_embeddings": longest // 2},
    }
    kind = draw.choice(sorted(kinds))
    return {"rope_type": kind, "rope_theta": draw.choice([100.0, 10000.0]), **kinds[kind]}


def random_attention(draw, family):
    heads = draw.choice([2, 3, 4])
    config = {"num_attention_heads": heads, "num_key_value_heads": draw.choice([1, heads]),
              "hidden_size": heads * draw.choice([8, 10])}
    if family.startswith("deepseek"):
        config |= {"num_key_value_heads": heads, "q_lora_rank": draw.choice([None, 8]), "kv_lora_rank": 6,
                   "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": draw.choice([5, 8])}
    elif family in ("llama", "qwen3", "mixtral", "qwen3_moe"):
        config["head_dim"] = draw.choice([6, 8])
    if family not in ("mixtral", "qwen2_moe"):
        config["attention_bias"] = draw.choice([True, False])
    return config


def random_experts(draw, family):
    experts = draw.choice([4, 8])
    count = {"mixtral": "num_local_experts"}.get(family, "num_experts")
    if family.startswith("deepseek"):
        count = "n_routed_experts"
    config = {count: experts, "num_experts_per_tok": draw.choice([1, 2, 3])}
    if family not in ("mixtral", "olmoe"):
        config["moe_intermediate_size"] = draw.choice([8, 12])
    if family not in ("mixtral", "deepseek_v2"):
        config["norm_topk_prob"] = draw.choice([True, False])
    if family.startswith("qwen"):
        config |= draw.choice([{}, {"decoder_sparse_step": 2}, {"mlp_only_layers": [0]}])
    if family == "qwen2_moe":
        config |= {"shared_expert_intermediate_size": 12, "qkv_bias": draw.choice([True, False])}
    if family == "olmoe":
        config["clip_qkv"] = draw.choice([None, 1.0])
    if family.startswith("deepseek"):
        config |= {"first_k_dense_replace": draw.choice([0, 1]), "n_shared_experts": draw.choice([1, 2]),
                   "routed_scaling_factor": draw.choice([1.0, 2.5]), "n_group": 2, "topk_group": draw.choice([1, 2])}
        config["num_experts_per_tok"] = min(config["num_experts_per_tok"], experts // 2)
    if family == "deepseek_v2":
        config["topk_method"] = draw.choice(["greedy", "group_limited_greedy"])
    if family == "deepseek_v3":
        config |= {"rope_interleave": draw.choice([True, False]), "num_nextn_predict_layers": 0}
    return config


def random_config(draw, family):
    config = {"model_type": family, "vocab_size": draw.choice([50, 97]), "intermediate_size": draw.choice([12, 20]),
              "num_hidden_layers": draw.choice([2, 3]), "initializer_range": 0.3,
              "max_position_embeddings": draw.choice([LONGEST // 2, 4 * LONGEST]),
              "tie_word_embeddings": draw.choice([True, False]), "rope_parameters": random_rope(draw, LONGEST // 2),
              **random_attention(draw, family)}
    return config if family in DENSE else {**config, **random_experts(draw, family)}


class FamilyLayouts(RunTest):
    def prepare(self, family, draw, seed):
        config = random_config(draw, family)
        moe = ""
        if family not in DENSE:
            balance = draw.choice(["switch", "transformers"])
            moe = f"moe: {{balance: {{type: {balance}, coefficient: 0.02}}, router_z_coefficient: 0.01}}\n"
        lines = [[draw.randrange(config["vocab_size"]) for _ in range(draw.randint(2, LONGEST + 1))]
                 for _ in range(STEPS * LINES)]
        (self.folder / "lines.jsonl").write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in lines))
        self.recipe.write_text(RECIPE.format(folder=self.folder, family=family, seed=seed, config=json.dumps(config),
                                             moe=moe, longest=LONGEST, steps=STEPS, lines=LINES))
        return config, moe

    def check(self, family, seed, num_layouts):
        draw = random.Random(f"{family}/{seed}")
        config, moe = self.prepare(family, draw, seed)
        replicated, split = draw.sample(REPLICATED, 3), draw.sample(SPLIT, 3)
        both = [layout for pair in zip(split, replicated) for layout in pair]  # experts split, and not
        layouts = (replicated if family in DENSE else both)[:num_layouts]
        drawn = f"{family}, seed {seed}: {json.dumps(config)} {moe.strip()}"
        with self.subTest(drawn):
            self.train("--overwrite", run="one")
            wanted = self.rows("one")
            self.assertEqual(len(wanted), STEPS)
            self.assertTrue(all(row["clip_factor"] < 1 for row in wanted), "clipping must be active")
            if family not in DENSE:
                self.assertTrue(all(row["loss_balance"] > 0 and row["loss_router_z"] > 0 for row in wanted))
            worst = max(self.compare(wanted, ranks, expert) for ranks, expert in layouts)
            print(f"{family} seed {seed} on {layouts}: {worst:.1e}", flush=True)

    def relative(self, a, b):
        return abs(a - b) / max(abs(a), abs(b), 1e-5)  # a gate that gets no gradient shows the noise of sums

    def compare(self, wanted, ranks, expert):
        self.train("--overwrite", run="other", ranks=ranks, expert=expert)
        worst, where = 0.0, f"{ranks} ranks, expert {expert}"
        for row, other in zip(wanted, self.rows("other"), strict=True):
            self.assertEqual(row.keys(), other.keys(), where)
            for key, value in row.items():
                pairs = zip(value, other[key], strict=True) if isinstance(value, list) else [(value, other[key])]
                for a, b in pairs:
                    difference = self.relative(a, b)
                    worst = max(worst, difference)
                    self.assertLess(difference, TOLERANCE, f"{where}, step {row['step']}: {key}")
        difference = self.weight_difference("one", "other")
        self.assertLess(difference, TOLERANCE, f"{where}: weights")
        return max(worst, difference)
