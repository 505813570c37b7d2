"""train.checkpoint_activations changes no bit of a run, in any model, precision or layout, and may change on resume."""
import json
import unittest

from moesaic import RunTest

ATTENTION = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 272,
             "initializer_range": 0.1, "max_position_embeddings": 512}
MODELS = {
    "dense": {"model_type": "llama", "intermediate_size": 48, "num_key_value_heads": 2, **ATTENTION},
    "experts": None,  # that of the recipe
    "latent": {"model_type": "deepseek_v3", "intermediate_size": 48, "moe_intermediate_size": 12, "q_lora_rank": 12,
               "kv_lora_rank": 10, "num_key_value_heads": 4, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 6,
               "n_routed_experts": 8, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1,
               "first_k_dense_replace": 1, "num_nextn_predict_layers": 0, **ATTENTION},
}


class CheckpointActivations(RunTest):
    def check(self, model, precision, ranks, expert):
        config = MODELS[model]
        keys = [f"train.precision={precision}", "train.max_steps=6", "checkpoint.every_steps=0"]
        if config is not None:
            text = self.recipe_text.format(folder=self.folder).split("\n")
            begin = next(i for i, line in enumerate(text) if line.startswith("  config:"))
            text[begin:begin + 3] = [f"  config: {json.dumps(config)}"]
            self.recipe.write_text("\n".join(text))
        runs = {"kept": "false", "again": "true"}
        for run, value in runs.items():
            self.train(*keys, f"train.checkpoint_activations={value}", run=run, ranks=ranks, expert=expert)
        where = f"{model}, {precision}, {ranks} ranks, expert {expert}"
        self.assertEqual(len(self.rows("kept")), 6)
        self.assertEqual(self.rows("kept"), self.rows("again"), where)
        self.assertEqual(self.weight_difference("kept", "again"), 0.0, where)

    # 5 micro-batches a step: several rounds, and ranks without one in the last.
    def test_dense_on_1_rank(self):
        self.check("dense", "float32", 1, 1)

    def test_dense_on_2_ranks_in_bfloat16(self):
        self.check("dense", "bfloat16", 2, 1)

    def test_experts_on_1_rank_in_bfloat16(self):
        self.check("experts", "bfloat16", 1, 1)

    def test_experts_on_2_ranks(self):
        self.check("experts", "float32", 2, 1)

    def test_split_experts_on_2_ranks_in_bfloat16(self):
        self.check("experts", "bfloat16", 2, 2)

    def test_split_experts_on_4_ranks(self):
        self.check("experts", "float32", 4, 2)

    def test_latent_attention_on_1_rank(self):
        self.check("latent", "float64", 1, 1)

    def test_latent_attention_and_split_experts_on_2_ranks(self):
        self.check("latent", "float32", 2, 2)

    def test_may_change_on_resume(self):
        self.train("train.max_steps=6", run="straight")
        self.train("train.max_steps=3", run="turned")
        self.train("train.max_steps=6", "train.checkpoint_activations=true", "--resume", "auto", run="turned")
        self.assertEqual(self.weight_difference("straight", "turned"), 0.0)


if __name__ == "__main__":
    unittest.main()
