#!/usr/bin/env python3
"""Fewer experts for easy tokens, on prose and on code. -> docs/results/dynamic-sparsity.{md,svg}"""
import statistics

from experiment import CORPORA, Experiment, machine, mean_curve, picture, save, spread, table

NORM = "model.config.norm_topk_prob=true"
VARIANTS = {
    "top 1": ["model.config.num_experts_per_tok=1", NORM],
    "top 2": [NORM],
    "top 3": ["model.config.num_experts_per_tok=3", NORM],
    "top 4": ["model.config.num_experts_per_tok=4", NORM],
    "threshold, p = 0.4": ["model.config.num_experts_per_tok=4", "model.config.router_top_p=0.4", NORM],
    "8 identity experts, top 4": ["model.config.num_experts_per_tok=4", "model.config.zero_expert_num=8", NORM],
}


def experts_of_fixed(fixed, loss):
    """Experts a token that fixed top-k needs for `loss`, between its points; None outside them."""
    for (few, high), (many, low) in zip(fixed, fixed[1:]):
        if min(low, high) <= loss <= max(low, high) and low != high:
            return few + (high - loss) / (high - low) * (many - few)
    return None


def main():
    experiment = Experiment("dynamic-sparsity", "recipes/experiments/small-moe.yaml", __doc__, texts=("prose", "code"))
    text, panels = f"Machine: {machine()}; {experiment.options.seeds} seeds.\n", []
    for corpus, folder in CORPORA.items():
        data = [f"data.train=[{{path: {folder}/train.jsonl, format: jsonl}}]",
                f"data.valid=[{{path: data/cache/experiments/valid-{corpus}.jsonl, format: jsonl}}]"]
        runs = experiment.run_all({f"{corpus}-{name}": [*data, *changes] for name, changes in VARIANTS.items()})
        points, rows = {}, []
        for name, of in runs.items():
            points[name] = (statistics.mean(r.last("active_experts") for r in of),
                            statistics.mean(r.last("valid_loss") for r in of),
                            statistics.mean(r.last("flops_per_token") for r in of))
        fixed = [(active, loss) for name, (active, loss, _) in points.items() if "-top " in name]
        for name, of in runs.items():
            active, loss, flops = points[name]
            needs = experts_of_fixed(fixed, loss)
            saved = "" if "-top " in name else "outside" if needs is None else f"{100 * (1 - active / needs):.0f} %"
            rows.append([name.split("-", 1)[1], spread([r.last("active_experts") for r in of], 2), f"{flops / 1e6:.2f} M",
                         spread([r.last("valid_loss") for r in of]), saved])
        text += f"\n**{corpus}**\n\n" + table(
            ["routing", "experts a token at the end", "FLOPs a token", "validation loss",
             "experts saved against fixed top-k of equal loss"], rows) + "\n"
        panels.append((f"Experts a token, {corpus}", "step", "experts",
                       {n.split("-", 1)[1]: mean_curve(of, "active_experts") for n, of in runs.items() if "-top " not in n}, "linear"))
    save("dynamic-sparsity", text)
    picture("dynamic-sparsity", panels)


if __name__ == "__main__":
    main()
