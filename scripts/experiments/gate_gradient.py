#!/usr/bin/env python3
"""What a better gate gradient is worth: tokens to a set loss, step time. -> docs/results/gate-gradient.{md,svg}"""
from experiment import Experiment, machine, mean_curve, picture, save, spread, table

GRADIENTS = ("top_k", "default_moe", "sparse_mixer", "dense_mixer")
# Title: (suffix of the runs, gate gradients, what else changes)
CASES = {
    "K = 2": ("", GRADIENTS, []),
    "K = 2, three times as long": ("-long", GRADIENTS[:2], ["train.max_steps=600", "eval.every_steps=60"]),
    "K = 1, renormalised": ("-k1", GRADIENTS, ["model.config.num_experts_per_tok=1", "model.config.norm_topk_prob=true"]),
}


def main():
    experiment = Experiment("gate-gradient", "recipes/experiments/small-moe.yaml", __doc__)
    text, panels = f"Machine: {machine()}; {experiment.options.seeds} seeds.\n", []
    for case, (suffix, gradients, changes) in CASES.items():
        variants = {name: [f"moe.gate_gradient={name}", *changes] for name in gradients}
        runs = experiment.run_all({name + suffix: ["moe.diagnose_every=100", *of] for name, of in variants.items()})
        short = suffix.removesuffix("-long")  # a step takes as long in a long run
        steps = experiment.step_times({name + short: of for name, of in variants.items()})
        # The loss that the slowest reaches: then all have a number.
        level = max(r.last("valid_loss") for of in runs.values() for r in of) * 1.002
        tokens = {name: [r.first_below("valid_loss", level) for r in of] for name, of in runs.items()}
        first = tokens[next(iter(runs))]
        rows = []
        for name, of in runs.items():
            relative = steps[name.removesuffix("-long")] / steps["top_k" + short]
            saved = [100 * (1 - mine / theirs) for mine, theirs in zip(tokens[name], first)]
            rows.append([name.removesuffix(suffix), spread([r.last("valid_loss") for r in of]), spread(saved, 1) + " %",
                         f"{relative:.3f}", spread([r.mean("gate_cosine", 0) for r in of], 2),
                         spread([r.mean("gate_grad_norm") for r in of], 5), spread([r.mean("max_violation") for r in of], 2)])
        text += f"\n**{case}**; tokens to a validation loss of {level:.3f}:\n\n" + table(
            ["gate gradient", "validation loss at the end", "fewer tokens than top_k", "step time, relative",
             "cosine to the dense gradient", "norm of the gate's task gradient", "max violation"], rows) + "\n"
        panels.append((f"Validation loss, {case}", "step", "nats per byte",
                       {n.removesuffix(suffix): mean_curve(of, "valid_loss")[2:] for n, of in runs.items()}, "linear"))
    save("gate-gradient", text)
    picture("gate-gradient", panels)


if __name__ == "__main__":
    main()
