"""Ten steps of training adapters here and in PEFT, from the same factors, on the same data, with AdamW."""
import json
import pathlib
import random
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import RunTest  # noqa: E402

try:
    import peft
    import peft.optimizers
    import peft_oracle
    import torch
    from tiny_checkpoints import DEEPSEEK, DENSE, GROUPS, MOE, make, variant
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --peers installs it)")
    sys.exit(77)

TOLERANCE = 1e-5  # of a loss
STEPS, LINES, LEARNING_RATE = 10, 4, 5e-3
RECIPE = """
name: adapted
model: {{from: {folder}/hub}}
data: {{train: [{{path: {folder}/lines.jsonl, format: tokens}}], sequence_length: 32, packing: false, shuffle: false}}
train: {{max_steps: {steps}, global_batch_size: {lines}, micro_batch_size: 2, precision: float64, clip_norm: 0}}
optimizer: {{type: adamw, learning_rate: {rate}, betas: [0.9, 0.999], eps: 1.0e-8, weight_decay: 0.1}}
schedule: {{type: constant, warmup_steps: 0}}
moe: {{balance: {{type: none}}, router_z_coefficient: 0.0}}
parallel: {{threads_per_rank: 1}}
checkpoint: {{every_steps: 0}}
log: {{every_steps: 1, tensorboard: false}}
adapt: {adapt}
"""
EXPERTS = variant("mixtral-trained", MOE, num_local_experts=4)
MODELS = {
    "linear": (variant("llama-trained", DENSE), "target_modules: all-linear"),
    "rslora": (variant("llama-trained", DENSE), "use_rslora: true, rank_pattern: {q_proj: 5}"),
    "dora": (variant("llama-trained", DENSE), "use_dora: true"),
    "lora_plus": (variant("llama-trained", DENSE), "lora_plus_ratio: 8"),
    "olmoe_experts": (variant("olmoe-trained", MOE, num_experts=8), "target_modules: [q_proj, v_proj, experts]"),
    "mixtral_rslora_and_router": (EXPERTS, "target_modules: all-linear, router: lora, use_rslora: true"),
    "latent_attention": (variant("deepseek_v3-trained", DEEPSEEK, **GROUPS, num_nextn_predict_layers=0),
                         "target_modules: [q_b_proj, kv_a_proj_with_mqa, experts]"),
}


class PeftTraining(RunTest):
    def run_here(self, run, adapt, *overrides):
        self.recipe.write_text(RECIPE.format(folder=self.folder, steps=STEPS, lines=LINES, rate=LEARNING_RATE, adapt=adapt))
        self.train(*overrides, run=run)
        return [row["loss"] for row in self.rows(run)]

    def exported(self, run, layout):
        folder = self.folder / f"{run}-{layout}"
        self.moesaic("export", self.folder / run, folder, "--adapter", "--expert-layout", layout)
        return folder

    def optimizer(self, model, lora):
        """AdamW as in the recipe; all of an adapter decays, DoRA's lengths too."""
        options = {"lr": LEARNING_RATE, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.1}
        if "lora_plus_ratio" in lora:
            return peft.optimizers.create_loraplus_optimizer(model, torch.optim.AdamW, loraplus_lr_ratio=8,
                                                             loraplus_weight_decay=0.1, **options)
        return torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], **options)

    def check(self, name):
        wanted, lora = MODELS[name]
        make(wanted, self.folder / "hub")
        draw = random.Random(name)
        batches = [[[draw.randrange(96) for _ in range(draw.randint(8, 28))] for _ in range(LINES)] for _ in range(STEPS)]
        (self.folder / "lines.jsonl").write_text("".join(json.dumps({"ids": ids}) + "\n" for batch in batches for ids in batch))
        self.run_here("begun", f"{{lora: {{r: 3, lora_alpha: 5, {lora}}}}}", "train.max_steps=2")  # so that B is not zero
        ratio = "lora_plus_ratio: 8" if "lora_plus_ratio" in lora else ""
        ours = self.run_here("run", f"{{from: {self.exported('begun', 'per_expert')}, lora: {{{ratio}}}}}")

        model = peft_oracle.load(self, self.folder / "hub", self.exported("begun", "fused"), trainable=True).train()
        peft_oracle.hold_block_diagonal(model)
        theirs = peft_oracle.train(model, self.optimizer(model, lora), batches)
        worst = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
        self.assertLess(worst, TOLERANCE, f"{ours} {theirs}")
        still = [loss.item() for loss in self.losses_of_base(batches)]
        self.assertGreater(max(abs(a - b) for a, b in zip(theirs, still)), 100 * TOLERANCE, "training changes nothing")
        self.check_factors(model, worst, name)

    def losses_of_base(self, batches):
        model = peft_oracle.oracle.load(self.folder / "hub", torch.float64)
        with torch.no_grad():
            for batch in batches:
                sums = [torch.nn.functional.cross_entropy(model(torch.tensor([ids[:-1]])).logits[0], torch.tensor(ids[1:]),
                                                          reduction="sum") for ids in batch]
                yield sum(sums) / sum(len(ids) - 1 for ids in batch)

    def check_factors(self, model, worst, name):
        """What both have learned after the last step."""
        ended = peft_oracle.load(self, self.folder / "hub", self.exported("run", "fused"))
        theirs, ours = peft.get_peft_model_state_dict(model), peft.get_peft_model_state_dict(ended)
        self.assertEqual(set(ours), set(theirs))
        apart = max((ours[key] - theirs[key]).abs().max().item() for key in theirs)
        print(f"{name}: losses within {worst:.1e}, factors within {apart:.1e}", flush=True)
        self.assertLess(apart, LEARNING_RATE)  # less than one step


for each in MODELS:
    setattr(PeftTraining, f"test_{each}", lambda self, name=each: self.check(name))

if __name__ == "__main__":
    unittest.main()
