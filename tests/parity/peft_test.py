"""Adapters against PEFT: those that it made, merged here; those written here, loaded there."""
import json
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import RunTest  # noqa: E402

try:
    import peft
    import peft_oracle
    import torch
    import transformers_oracle as oracle
    from safetensors.torch import load_file
    from tiny_checkpoints import DEEPSEEK, DENSE, GROUPS, MOE, QWEN_MOE, make, variant
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --peers installs it)")
    sys.exit(77)

TOLERANCE = 1e-5  # of a log-probability in float64
NEAR_TIE = 1e-4  # as in families_test.py
EXPERTS = ["mlp.experts.gate_up_proj", "mlp.experts.down_proj"]
HALF = {"intermediate_size": 16}  # 2 x intermediate = hidden: a transposed matrix has a shape that fits

# Names begin with the model_type. PEFT takes the networks beside routed experts as parameters alone.
MODELS = {
    "llama": (variant("llama-adapted", DENSE, tie_word_embeddings=True, **HALF),
              {"target_modules": "all-linear", "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}),
    "llama-dora": (variant("llama-dora", DENSE), {"target_modules": ["q_proj", "down_proj"], "use_dora": True}),
    "mixtral": (variant("mixtral-adapted", MOE, num_local_experts=4, **HALF),
                {"target_modules": ["q_proj", "o_proj", "lm_head"], "target_parameters": [*EXPERTS, "mlp.gate.weight"]}),
    "olmoe": (variant("olmoe-adapted", MOE, num_experts=8),
              {"target_modules": ["q_proj"], "target_parameters": EXPERTS, "modules_to_save": ["lm_head"]}),
    "olmoe-gate": (variant("olmoe-gate", MOE, num_experts=6, **HALF), {"target_parameters": EXPERTS[:1]}),
    "olmoe-down": (variant("olmoe-down", MOE, num_experts=6, **HALF), {"target_parameters": EXPERTS[1:]}),
    "qwen3_moe": (variant("qwen3_moe-adapted", QWEN_MOE, head_dim=12, norm_topk_prob=True, moe_intermediate_size=16),
                  {"target_modules": ["k_proj", "v_proj"], "target_parameters": EXPERTS, "use_rslora": True,
                   "rank_pattern": {"mlp.experts.gate_up_proj": 4, "layers.1.self_attn.k_proj": 2},
                   "alpha_pattern": {"experts.down_proj": 5}}),
    "deepseek_v3": (variant("deepseek_v3-adapted", DEEPSEEK, **GROUPS, num_nextn_predict_layers=0),
                    {"target_modules": ["q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"],
                     "target_parameters": [*EXPERTS, "mlp.gate.weight", "mlp.up_proj.weight",
                                           *(f"shared_experts.{name}_proj.weight" for name in ("gate", "up", "down"))]}),
    "qwen3": (variant("qwen3-adapted", DENSE, head_dim=12, tie_word_embeddings=True, num_key_value_heads=1, **HALF),
              {"target_modules": ["q_proj", "o_proj", "up_proj", "down_proj"], "rank_pattern": {"o_proj": 5}}),
    "qwen2_moe": (variant("qwen2_moe-adapted", QWEN_MOE, shared_expert_intermediate_size=16, decoder_sparse_step=2),
                  {"target_modules": ["k_proj"],
                   "target_parameters": [*EXPERTS, "mlp.gate.weight", "shared_expert.gate_proj.weight",
                                         "shared_expert.down_proj.weight", "mlp.down_proj.weight", "shared_expert_gate.weight"]}),
    "deepseek_v2": (variant("deepseek_v2-adapted", DEEPSEEK, q_lora_rank=None, topk_method="greedy"),
                    {"target_modules": ["q_proj", "kv_b_proj"], "target_parameters": [*EXPERTS, "shared_experts.up_proj.weight"]}),
}


class Peft(RunTest):
    def made_by_peft(self, name):
        """A model in self.hub, an adapter of it in self.adapter, and what PEFT computes with it."""
        wanted, options = MODELS[name]
        self.hub, self.adapter = make(wanted, self.folder / "hub"), self.folder / "adapter"
        torch.manual_seed(1)
        model = peft.get_peft_model(oracle.load(self.hub, torch.float64),
                                    peft.LoraConfig(**{"r": 3, "lora_alpha": 7, "target_modules": [], **options}))
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn(parameter.shape, dtype=parameter.dtype))
        model.save_pretrained(self.adapter)
        numbers = random.Random(name)
        for _ in range(30):
            self.lines = [[numbers.randrange(model.config.vocab_size) for _ in range(length)] for length in (9, 24, 17)]
            with oracle.Watch() as watch:
                expected = self.log_probs(model)
            if watch.margin > NEAR_TIE:
                break
        self.assertGreater(watch.margin, NEAR_TIE, "every draw had a near-tie of experts")
        plain = self.log_probs(oracle.load(self.hub, torch.float64))
        self.assertGreater((expected - plain).abs().max().item(), 0.1, "the adapter changes nothing")
        (self.folder / "lines.jsonl").write_text("".join(json.dumps({"ids": ids}) + "\n" for ids in self.lines))
        return expected

    def log_probs(self, model):
        return torch.cat([oracle.log_probs(model.eval(), ids) for ids in self.lines])

    def scored(self, *model):
        result = self.moesaic("score", "--model", *model, "--input", self.folder / "lines.jsonl", "--precision", "float64")
        rows = [json.loads(line)["logprobs"] for line in result.stdout.splitlines()]
        return torch.tensor(sum(rows, []), dtype=torch.float64)

    def assert_near(self, got, wanted, what):
        self.assertEqual(got.shape, wanted.shape)
        self.assertLess((got - wanted).abs().max().item(), TOLERANCE, what)

    def check(self, name):
        expected = self.made_by_peft(name)
        self.assert_near(self.scored(self.hub, "--adapter", self.adapter, "-n", 2), expected, "with the adapter")
        merged, imported = self.folder / "merged", self.folder / "imported"
        self.moesaic("export", self.hub, merged, "--adapter", self.adapter)
        self.assert_near(self.log_probs(oracle.load(merged, torch.float64)), expected, "merged")
        self.moesaic("import", self.adapter, imported, "--base", self.hub)
        self.assert_near(self.scored(imported), expected, "imported")
        for layout in ("per_expert", "fused"):
            with self.subTest(layout):
                folder = self.folder / layout
                self.moesaic("export", self.adapter, folder, "--adapter", "--expert-layout", layout, "--base", self.hub)
                self.assert_near(self.log_probs(peft_oracle.load(self, self.hub, folder)), expected, layout)
                if layout == "per_expert":
                    self.assert_near(self.scored(self.hub, "--adapter", folder), expected, "read again")
                else:
                    self.check_same_tensors(folder)

    def check_same_tensors(self, folder):
        """PEFT's own file, in its own layout: nothing changes on the way."""
        ours, theirs = (load_file(path / "adapter_model.safetensors") for path in (folder, self.adapter))
        theirs.pop("base_model.model.lm_head.base_layer.weight", None)  # the model's own
        self.assertEqual(set(ours), set(theirs))
        for name, tensor in theirs.items():
            self.assertTrue(torch.equal(ours[name], tensor), name)
        config = json.loads((folder / "adapter_config.json").read_text())
        self.assertEqual(config["peft_version"], "0.21.2")

    def exported_beginning(self, start, lora):
        """The adapter of a run that hardly moves, exported."""
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        self.recipe.write_text(f"{text[:begin]}  from: {self.hub}\n{text[end:]}adapt: {{lora: {{r: 3, lora_alpha: 6, {lora}}}}}\n")
        self.train("train.max_steps=1", "optimizer.learning_rate=1e-30", run=start)
        self.moesaic("export", self.folder / start, self.folder / f"{start}-adapter", "--adapter")
        self.recipe.write_text(text)
        return load_file(self.folder / f"{start}-adapter/adapter_model.safetensors")

    def test_adapters_begin_as_those_of_peft(self):
        self.hub = make(variant("llama-begun", DENSE, vocab_size=272), self.folder / "hub")
        self.lines = [[(7 * i + 3) % 272 for i in range(20)]]
        for start, lora, options in (("pissa", "init_lora_weights: pissa", {"init_lora_weights": "pissa"}),
                                     ("dora", "use_dora: true", {"use_dora": True}),
                                     ("rslora", "use_rslora: true", {"use_rslora": True}),
                                     ("rslora-pissa", "use_rslora: true, init_lora_weights: pissa",
                                      {"use_rslora": True, "init_lora_weights": "pissa"})):
            with self.subTest(start):
                ours = self.exported_beginning(start, lora)
                model = peft.get_peft_model(oracle.load(self.hub, torch.float32),
                                            peft.LoraConfig(r=3, lora_alpha=6, target_modules="all-linear", **options))
                theirs = peft.get_peft_model_state_dict(model)
                self.assertEqual(set(ours), set(theirs))
                for name in theirs:
                    if name.endswith("lora_magnitude_vector"):
                        self.assertLess((ours[name] - theirs[name]).abs().max().item(), 1e-5, name)
                    if start.endswith("pissa") and name.endswith("lora_A.weight"):  # written as what was added and what was taken out
                        b = name.replace("lora_A", "lora_B")
                        change = ours[b][:, :3] @ ours[name][:3]
                        self.assertLess((change - theirs[b] @ theirs[name]).abs().max().item(), 1e-5, name)
                        self.assertLess((ours[b] @ ours[name]).abs().max().item(), 1e-5, name)
                begun = self.log_probs(peft_oracle.load(self, self.hub, self.folder / f"{start}-adapter"))
                self.assertLess((begun - self.log_probs(model)).abs().max().item(), 1e-4, start)

    def test_an_adapter_of_another_model_is_refused(self):
        self.made_by_peft("olmoe")
        other = make(variant("olmoe-other", MOE, num_experts=4), self.folder / "other")
        result = self.moesaic("score", "--model", other, "--adapter", self.adapter, "--input", self.folder / "lines.jsonl", expect=7)
        self.assertIn("is no adapter of this model", result.stderr)


for each in MODELS:
    setattr(Peft, f"test_{each.replace('-', '_')}", lambda self, name=each: self.check(name))

if __name__ == "__main__":
    unittest.main()
