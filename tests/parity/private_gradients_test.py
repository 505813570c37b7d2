"""What a private step releases, without its noise, against Transformers: each user's gradient alone, clipped, and summed."""
import json
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import RunTest  # noqa: E402

try:
    import h5py
    import torch
    import transformers_oracle as oracle
    from tiny_checkpoints import VARIANTS, make
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --parity installs it)")
    sys.exit(77)

TOLERANCE = 1e-5  # Transformers has norms, softmax and rotations in float32, whatever the weights
USERS = ("a", "b", "a", "c", "d", "b", "e", "a")
LINES = [[(11 * line + place * (place + 3 * line)) % 97 + 2 for place in range(3 + 5 * ((line * 3) % 5))] for line in range(len(USERS))]
RECIPE = """
name: parity
run_dir: {folder}/run
model: {{from: {hub}}}
data: {{train: [{{path: {folder}/lines.jsonl, format: tokens}}], sequence_length: 64, packing: best_fit}}
train: {{max_steps: 1, micro_batch_size: 1, precision: float64}}
privacy: {{unit: user, noise_multiplier: 0, allow_no_privacy: true, expected_batch_size: {units}, clip_norm: {norm}, clipping: {clipping}}}
optimizer: {{type: sgd, learning_rate: 1, weight_decay: 0}}
schedule: {{type: constant, warmup_steps: 0}}
moe: {{balance: {{type: none}}, router_z_coefficient: 0}}
checkpoint: {{every_steps: 0}}
eval: {{every_steps: 0}}
log: {{tensorboard: false}}
"""


def group_of(name):
    """The group of `moesaic plan` of a hub name."""
    for group, part in (("shared", "shared_expert"), ("experts", ".experts."), ("router", ".gate.weight"), ("norms", "norm"),
                        ("embedding", "embed_tokens"), ("head", "lm_head"), ("attention", "self_attn")):
        if part in name:
            return group
    return "dense"


def squares(gradient, groups):
    """float64 [groups]: squared norm of each group of a user's gradient."""
    return torch.stack([sum((g.square().sum() for name, g in gradient.items() if group_of(name) in group), torch.zeros(()))
                        for group in groups])


def value(file, name):
    """A hub tensor as model.h5 has it: experts are slices."""
    found = re.search(r"\.experts\.(\d+)\.", name)
    if not found:
        return torch.from_numpy(file[name][()])
    return torch.from_numpy(file[name.replace(found[0], ".experts.")][int(found[1])])


class PrivateGradientsTest(RunTest):
    def check(self, name, clipping, ranks, expert):
        hub = make(VARIANTS[name], self.folder / name)
        (self.folder / "lines.jsonl").write_text("".join(
            json.dumps({"ids": ids, "user": user}) + "\n" for ids, user in zip(LINES, USERS)))
        model = oracle.load(hub, torch.float64)
        users = {user: oracle.gradients(model, [ids for ids, owner in zip(LINES, USERS) if owner == user]) for user in USERS}
        names = sorted({group_of(name) for name in users["a"]})
        groups = [{group} for group in names] if clipping == "per_layer" else [set(names)]
        norms = {user: squares(gradient, groups).sqrt() for user, gradient in users.items()}
        bound = sorted(float(norm.square().sum().sqrt()) for norm in norms.values())[2]  # some are clipped, and some are not
        factors = {user: bound / (norm + 0.01) if clipping == "automatic" else (bound / len(groups) ** 0.5 / norm).clamp(max=1)
                   for user, norm in norms.items()}
        self.recipe.write_text(RECIPE.format(folder=self.folder, hub=hub, units=len(users), norm=bound, clipping=clipping))
        self.train("--overwrite", ranks=ranks, expert=expert)
        with h5py.File(self.folder / "run/checkpoints/latest/model.h5") as file:
            for key, before in oracle.hub_tensors(dict(model.named_parameters()), model.config.model_type).items():
                place = next(i for i, group in enumerate(groups) if group_of(key) in group)
                step = sum(factors[user][place] * gradient[key] for user, gradient in users.items()) / len(users)
                after = value(file, key)
                difference = (before.detach() - after - step).abs().max().item()
                self.assertLessEqual(difference, TOLERANCE * max(step.abs().max().item(), bound / len(users)), f"{name}, {key}")

    def test_every_family(self):
        for name, clipping, ranks, expert in (
                ("llama-biases", "flat", 2, 1), ("qwen3", "flat", 1, 1), ("qwen2_moe-sparse", "automatic", 2, 2),
                ("qwen3_moe-sparse", "flat", 4, 4), ("mixtral", "per_layer", 2, 2), ("olmoe-clip", "flat", 4, 2),
                ("deepseek_v2-groups", "flat", 2, 2), ("deepseek_v3-halves", "per_layer", 2, 2)):
            with self.subTest(name):
                self.check(name, clipping, ranks, expert)


if __name__ == "__main__":
    unittest.main()
