"""Multi-token prediction: trained, kept, exported, left out, and used to draft tokens."""
import json
import struct
import unittest

from moesaic import RunTest

CONFIG = {"model_type": "deepseek_v3", "vocab_size": 272, "hidden_size": 32, "intermediate_size": 48, "moe_intermediate_size": 24,
          "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "n_routed_experts": 8, "num_experts_per_tok": 2,
          "n_shared_experts": 1, "n_group": 2, "topk_group": 1, "q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8,
          "qk_rope_head_dim": 4, "v_head_dim": 8, "first_k_dense_replace": 1, "num_nextn_predict_layers": 2, "initializer_range": 0.1,
          "max_position_embeddings": 512}


def tensors_of(folder):
    data = (folder / "model.safetensors").read_bytes()
    header = json.loads(data[8:8 + struct.unpack_from("<Q", data)[0]])
    return {name: entry["dtype"] for name, entry in header.items() if name != "__metadata__"}


def values_of(folder):
    """The bytes of each tensor."""
    data = (folder / "model.safetensors").read_bytes()
    length = struct.unpack_from("<Q", data)[0]
    header, values = json.loads(data[8:8 + length]), data[8 + length:]
    return {name: values[slice(*entry["data_offsets"])] for name, entry in header.items() if name != "__metadata__"}


class PredictionTest(RunTest):
    def setUp(self):
        super().setUp()
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:begin]}  config: {json.dumps(CONFIG)}\n{text[end:]}")

    def generate(self, model, *arguments):
        result = self.moesaic("generate", "--model", self.folder / model, "--prompt", "the rank of a matrix", "--json",
                              "--max-new-tokens", 60, "--precision", "float64", *arguments)
        return json.loads(result.stdout)

    def test_from_training_to_drafts(self):
        self.train("train.max_steps=40", "train.mtp_coefficient=0.3", "schedule.type=constant", "moe.balance.type=bias")
        losses = [row["loss_mtp"] for row in self.rows()]
        self.assertLess(losses[-1], losses[0] - 0.5)
        total = self.rows()[-1]
        self.assertAlmostEqual(total["loss_total"], total["loss"] + 0.3 * total["loss_mtp"] + 0.01 * 3 * total["loss_router_z"],
                               delta=1e-4)  # three routers
        for sampling in ((), ("--temperature", "0.7", "--seed", 3)):
            plain, drafted = self.generate("run", *sampling), self.generate("run", "--speculate", *sampling)
            self.assertEqual(plain["ids"], drafted["ids"])
            self.assertEqual(plain["tokens_per_pass"], 1)
            self.assertGreater(drafted["tokens_per_pass"], 1)
        split = self.generate("run", "--speculate", "-n", 2, "--expert", 2)
        self.assertEqual(split["ids"], self.generate("run")["ids"])

        self.moesaic("export", self.folder / "run", self.folder / "hub")
        names = tensors_of(self.folder / "hub")
        for name in ("enorm.weight", "eh_proj.weight", "shared_head.norm.weight", "shared_head.head.weight", "embed_tokens.weight"):
            self.assertIn(f"model.layers.2.{name}", names)
            self.assertIn(f"model.layers.3.{name}", names)
        self.assertEqual(json.loads((self.folder / "hub/config.json").read_text())["num_nextn_predict_layers"], 2)
        self.moesaic("import", self.folder / "hub", self.folder / "again")
        self.assertEqual(self.weight_difference("run", "again"), 0)

        self.moesaic("export", self.folder / "run", self.folder / "narrow", "--dtype", "bfloat16")
        for name, dtype in tensors_of(self.folder / "narrow").items():
            self.assertEqual(dtype, "F32" if name.endswith("correction_bias") else "BF16", name)

        # Trained on without them, they are gone; and asked for, they begin anew.
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:begin]}  from: {self.folder}/hub\n{text[end:]}")
        result = self.train("train.max_steps=1", run="without")
        self.assertIn("left out", result.stderr)
        self.moesaic("export", self.folder / "without", self.folder / "short")
        self.assertFalse(any("eh_proj" in name for name in tensors_of(self.folder / "short")))
        refused = self.moesaic("generate", "--model", self.folder / "short", "--prompt", "a", "--speculate", expect=2)
        self.assertIn("no layers for multi-token prediction", refused.stderr)
        config = json.loads((self.folder / "short/config.json").read_text()) | {"num_nextn_predict_layers": 1}
        (self.folder / "short/config.json").write_text(json.dumps(config))  # as Transformers leaves it
        self.recipe.write_text(self.recipe.read_text().replace("/hub\n", "/short\n"))
        result = self.train("train.max_steps=1", "train.mtp_coefficient=0.3", run="anew")
        self.assertIn("begin anew", result.stderr)

    def test_adapters_leave_them_as_they_were(self):
        """Left out of the run, or part of its loss: frozen, and in the export again."""
        self.train("train.max_steps=2", "train.mtp_coefficient=0.3", "train.precision=float64", run="base")
        self.moesaic("export", self.folder / "base", self.folder / "hub")
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:begin]}  from: {self.folder}/hub\n{text[end:]}adapt: {{lora: {{r: 2}}}}\n")
        before = values_of(self.folder / "hub")
        for run, more in (("without", ()), ("with", ("train.mtp_coefficient=0.3",))):
            self.train("train.max_steps=2", "train.precision=float64", *more, run=run)
            names = json.loads((self.folder / run / "checkpoints/latest/manifest.json").read_text())["datasets"]
            self.assertFalse(any(name.startswith(("model.layers.2.", "model.layers.3.")) for name in names), names)
            self.moesaic("export", self.folder / run, self.folder / f"{run}-merged")
            after = values_of(self.folder / f"{run}-merged")
            self.assertEqual(set(after), set(before))
            changed = {name for name in after if after[name] != before[name]}
            self.assertIn("model.layers.0.self_attn.o_proj.weight", changed)
            self.assertFalse({name for name in changed if name.startswith(("model.layers.2.", "model.layers.3."))})

    def test_a_coefficient_without_layers_is_refused(self):
        self.recipe.write_text(self.recipe.read_text().replace('"num_nextn_predict_layers": 2', '"num_nextn_predict_layers": 0'))
        self.assertIn("num_nextn_predict_layers", self.train("train.mtp_coefficient=0.3", expect=3).stderr)

    def test_resumes_to_the_same_bits(self):
        arguments = ("train.mtp_coefficient=0.3", "moe.gate_gradient=default_moe", "moe.balance.type=bias+sequence",
                     "checkpoint.every_steps=3", "moe.placement=balanced", "schedule.type=constant")
        self.train("train.max_steps=7", *arguments, run="whole", ranks=2, expert=2)
        self.train("train.max_steps=6", *arguments, run="parts", ranks=2, expert=2)  # saved at the same steps
        self.train("train.max_steps=7", *arguments, "--resume", "auto", run="parts", ranks=2, expert=2)
        self.assertEqual(self.digests("whole"), self.digests("parts"))


if __name__ == "__main__":
    unittest.main()
