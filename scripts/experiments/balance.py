#!/usr/bin/env python3
"""Every way to balance: loss and load over time. -> docs/results/balance.{md,svg}"""
from experiment import Experiment, machine, mean_curve, picture, save, spread, table

BIAS = ["model.config.use_expert_bias=true"]
TYPES = {"none": [], "switch": [], "gshard": [], "sequence": [], "global": [],
         "bias": BIAS, "bias+sequence": [*BIAS, "moe.balance.coefficient=0.0001"]}
VARIANTS = {name: [f"moe.balance.type={name}", *changes] for name, changes in TYPES.items()}
# softmax(x E^T / sqrt(hidden_size)), without and with a balance loss.
for kind in ("none", "switch"):
    VARIANTS[f"{kind}, logits scaled"] = [*VARIANTS[kind], "model.config.router_logit_scale=rsqrt_hidden_size"]


def main():
    experiment = Experiment("balance", "recipes/experiments/small-moe.yaml", __doc__)
    runs = experiment.run_all(VARIANTS)
    rows = [[name, spread([r.last("valid_loss") for r in of]), spread([r.mean("max_violation") for r in of], 2),
             spread([r.last("max_violation") for r in of], 2), spread([r.mean("dead_experts") for r in of], 1)]
            for name, of in runs.items()]
    save("balance", f"Machine: {machine()}; {experiment.options.seeds} seeds.\n\n" + table(
        ["balance", "validation loss at the end", "max violation, mean over time", "at the end",
         "dead experts, mean"], rows))
    picture("balance", [
        ("Validation loss", "step", "nats per byte", {n: mean_curve(of, "valid_loss")[4:] for n, of in runs.items()}, "linear"),
        ("Max violation", "step", "(max - mean) / mean", {n: mean_curve(of, "max_violation") for n, of in runs.items()}, "log")])


if __name__ == "__main__":
    main()
