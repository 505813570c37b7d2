#!/usr/bin/env python3
"""What a better gate gradient is worth: tokens to a set loss, step time. -> docs/results/gate-gradient.{md,svg}"""
from experiment import Experiment, machine, mean_curve, picture, save, spread, table

GRADIENTS = ("top_k", "default_moe", "sparse_mixer", "dense_mixer")
CASES = {"K = 2": [], "K = 1, renormalised": ["model.config.num_experts_per_tok=1", "model.config.norm_topk_prob=true"]}


def main():
    experiment = Experiment("gate-gradient", "recipes/experiments/small-moe.yaml", __doc__)
    text, panels = f"Machine: {machine()}; {experiment.options.seeds} seeds.\n", []
    for case, changes in CASES.items():
        runs = {name: of for name, of in experiment.run_all(
            {f"{name}{'-k1' if changes else ''}": [f"moe.gate_gradient={name}", "moe.diagnose_every=100", *changes]
             for name in GRADIENTS}).items()}
        steps = experiment.step_times({name: [f"moe.gate_gradient={name.removesuffix('-k1')}", *changes] for name in runs})
        base_step = steps[next(iter(runs))]
        # The loss that the slowest reaches: then all have a number.
        level = max(r.last("valid_loss") for of in runs.values() for r in of) * 1.002
        tokens = {name: [r.first_below("valid_loss", level) for r in of] for name, of in runs.items()}
        first = tokens[next(iter(runs))]
        rows = []
        for name, of in runs.items():
            saved = [100 * (1 - mine / theirs) for mine, theirs in zip(tokens[name], first)]
            rows.append([name.removesuffix("-k1"), spread([r.last("valid_loss") for r in of]), spread(saved, 1) + " %",
                         f"{steps[name] / base_step:.3f}", spread([r.mean("gate_cosine", 0) for r in of], 2),
                         spread([r.mean("gate_grad_norm") for r in of], 5), spread([r.mean("max_violation") for r in of], 2)])
        text += f"\n**{case}**; tokens to a validation loss of {level:.3f}:\n\n" + table(
            ["gate gradient", "validation loss at the end", "fewer tokens than top_k", "step time, relative",
             "cosine to the dense gradient", "norm of the gate's task gradient", "max violation"], rows) + "\n"
        panels.append((f"Validation loss, {case}", "step", "nats per byte",
                       {n.removesuffix("-k1"): mean_curve(of, "valid_loss")[4:] for n, of in runs.items()}, "linear"))
    save("gate-gradient", text)
    picture("gate-gradient", panels)


if __name__ == "__main__":
    main()
