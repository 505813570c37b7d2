"""What a private step of adapters releases, without its noise, against PEFT: each user's gradient alone, clipped, and summed."""
import json
import sys
import unittest

from private_gradients_test import LINES, RECIPE, USERS, RunTest

try:
    import peft_oracle
    import torch
    from tiny_checkpoints import VARIANTS, make
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --peers installs it)")
    sys.exit(77)

TOLERANCE = 1e-5  # PEFT's factors come from float32 files, and Transformers has norms and softmax in float32
CASES = (("llama-biases", "target_modules: all-linear, use_dora: true", 2, 1),
         ("mixtral", "target_modules: all-linear, router: lora, rank_pattern: {q_proj: 5}", 2, 2),
         ("deepseek_v3-halves", "target_modules: [q_a_proj, o_proj, experts], modules_to_save: [lm_head, embed_tokens]", 2, 2))


class PrivateAdaptersTest(RunTest):
    def run_here(self, run, adapt, norm, *keys, **layout):
        self.recipe.write_text(RECIPE.format(folder=self.folder, hub=self.folder / "hub", units=len(set(USERS)), norm=norm,
                                             clipping="flat") + f"adapt: {adapt}\n")
        self.train("--overwrite", "parallel.threads_per_rank=1", *keys, run=run, **layout)

    def exported(self, run, layout):
        folder = self.folder / f"{run}-{layout}"
        self.moesaic("export", self.folder / run, folder, "--adapter", "--expert-layout", layout)
        return folder

    def loaded(self, run):
        """What is trained, by name, and the model."""
        model = peft_oracle.load(self, self.folder / "hub", self.exported(run, "fused"), trainable=True)
        return {name: p for name, p in model.named_parameters() if p.requires_grad}, model

    def gradient(self, model, trained, user):
        """Of the cross entropy, mean over all targets of the user."""
        lines = [ids for ids, owner in zip(LINES, USERS) if owner == user]
        model.zero_grad()
        for ids in lines:
            logits = model(input_ids=torch.tensor([ids[:-1]]), use_cache=False).logits[0]
            loss = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum")
            (loss / sum(len(ids) - 1 for ids in lines)).backward()
        return {name: torch.zeros_like(p) if p.grad is None else p.grad.clone() for name, p in trained.items()}

    def check(self, name, lora, ranks, expert):
        make(VARIANTS[name], self.folder / "hub")
        (self.folder / "lines.jsonl").write_text("".join(
            json.dumps({"ids": ids, "user": user}) + "\n" for ids, user in zip(LINES, USERS)))
        self.run_here("begun", f"{{lora: {{r: 3, lora_alpha: 5, {lora}}}}}", 1e9, "train.max_steps=2")  # so that B is not zero
        before, model = self.loaded("begun")
        peft_oracle.hold_block_diagonal(model)
        users = {user: self.gradient(model, before, user) for user in sorted(set(USERS))}
        norms = {user: torch.stack([g.norm() for g in gradient.values()]).norm().item() for user, gradient in users.items()}
        bound = sorted(norms.values())[2]  # some are clipped, and some are not
        start = self.exported("begun", "per_expert")
        self.run_here("run", f"{{from: {start}}}", bound, ranks=ranks, expert=expert)
        after, _ = self.loaded("run")
        self.assertEqual(set(after), set(before))
        steps = {key: sum(min(1, bound / norms[user]) * users[user][key] for user in users) / len(users) for key in before}
        largest = max(step.abs().max().item() for step in steps.values())
        apart = max((before[key] - after[key] - step).abs().max().item() for key, step in steps.items())
        print(f"{name}: steps of at most {largest:.2g} within {apart:.1e}", flush=True)
        self.assertLess(apart, TOLERANCE * largest, f"{name}, {lora}")


for each in CASES:
    setattr(PrivateAdaptersTest, f"test_{each[0].replace('-', '_')}", lambda self, case=each: self.check(*case))

if __name__ == "__main__":
    unittest.main()
