#!/usr/bin/env python3
"""What a better gate gradient is worth: tokens to a set loss, step time. -> docs/results/gate-gradient.{md,svg}"""
from experiment import Experiment, machine, mean_curve, picture, save, spread, table

GRADIENTS = ("top_k", "default_moe", "sparse_mixer", "dense_mixer")
STEPS = 200
# Title: (suffix of the runs, gate gradients, how many times as long, what else changes)
CASES = {
    "K = 2": ("", GRADIENTS, 1, []),
    "K = 2, three times as long": ("-long", GRADIENTS[:2], 3, ["eval.every_steps=60"]),
    "K = 1, renormalised": ("-k1", GRADIENTS, 1, ["model.config.num_experts_per_tok=1", "model.config.norm_topk_prob=true"]),
}


def main():
    experiment = Experiment("gate-gradient", "recipes/experiments/small-moe.yaml", __doc__, seeds=8)
    steps_of_one = experiment.options.steps or STEPS
    text, panels = f"Machine: {machine()}; {experiment.options.seeds} seeds.\n", []
    for case, (suffix, gradients, times, changes) in CASES.items():
        def of_each(measure, ending, *more):
            variants = {name + ending: [f"moe.gate_gradient={name}", *changes, *more] for name in gradients}
            return dict(zip(gradients, measure(variants).values()))

        runs = of_each(experiment.run_all, suffix, "moe.diagnose_every=100", f"train.max_steps={times * steps_of_one}")
        steps = of_each(experiment.step_times, suffix.removesuffix("-long"))  # a step takes as long in a long run
        # The loss that the slowest reaches: then all have a number.
        level = max(r.last("valid_loss") for of in runs.values() for r in of) * 1.002
        tokens = {name: [r.first_below("valid_loss", level) for r in of] for name, of in runs.items()}
        rows = []
        for name, of in runs.items():
            saved = [100 * (1 - mine / theirs) for mine, theirs in zip(tokens[name], tokens["top_k"])]
            rows.append([name, spread([r.last("valid_loss") for r in of]), spread(saved, 1) + " %",
                         f"{steps[name] / steps['top_k']:.3f}", spread([r.mean("gate_cosine", 0) for r in of], 2),
                         spread([r.mean("gate_grad_norm") for r in of], 5), spread([r.mean("max_violation") for r in of], 2)])
        text += f"\n**{case}**; tokens to a validation loss of {level:.3f}:\n\n" + table(
            ["gate gradient", "validation loss at the end", "fewer tokens than top_k", "step time, relative",
             "cosine to the dense gradient", "norm of the gate's task gradient", "max violation"], rows) + "\n"
        panels.append((f"Validation loss, {case}", "step", "nats per byte",
                       {n: mean_curve(of, "valid_loss")[2:] for n, of in runs.items()}, "linear"))
    save("gate-gradient", text)
    picture("gate-gradient", panels)


if __name__ == "__main__":
    main()
