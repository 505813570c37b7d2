#!/usr/bin/env python3
"""Experts against dense networks at equal active and at equal total parameters. -> docs/results/dense-vs-moe.{md,svg}"""
import statistics

from experiment import Experiment, machine, mean_curve, picture, save, spread, table

WIDTH, EXPERTS, CHOSEN = 96, 16, 2
DENSE = "model.config={{model_type: llama, vocab_size: 257, hidden_size: 96, intermediate_size: {}, num_hidden_layers: 3, " \
        "num_attention_heads: 4, max_position_embeddings: 256, num_experts: null, num_experts_per_tok: null, norm_topk_prob: null}}"
STEPS = 1500  # long enough to tell the larger dense models apart: 3 M tokens, half an epoch
# The dense models have OLMoE's size without its router and its norms of queries and keys: less than 1 % of it.
VARIANTS = {
    "moe, 16 experts, 2 a token": [],
    "dense, as many active parameters": [DENSE.format(CHOSEN * WIDTH)],
    "dense, twice as many": [DENSE.format(2 * CHOSEN * WIDTH)],
    "dense, four times as many": [DENSE.format(4 * CHOSEN * WIDTH)],
    "dense, as many parameters in total": [DENSE.format(EXPERTS * WIDTH)],
}


def main():
    experiment = Experiment("dense-vs-moe", "recipes/experiments/small-moe.yaml", __doc__)
    experiment.options.steps = experiment.options.steps or STEPS
    runs = experiment.run_all({name: [*changes, "eval.every_steps=100"] for name, changes in VARIANTS.items()})
    network = {name: 3 * WIDTH * 3 * width for name, width in zip(
        VARIANTS, (CHOSEN * WIDTH, CHOSEN * WIDTH, 2 * CHOSEN * WIDTH, 4 * CHOSEN * WIDTH, EXPERTS * WIDTH))}
    steps = experiment.step_times(VARIANTS)
    rows, lines, seconds = [], {}, {}
    for name, of in runs.items():
        step = steps[name]
        shared = 257 * WIDTH * 2 + 3 * 4 * WIDTH * WIDTH
        total = shared + (3 * WIDTH * 3 * EXPERTS * WIDTH if name.startswith("moe") else network[name])
        flops = 6 * (shared - 257 * WIDTH + network[name])  # without attention scores; the embedding is no product
        rows.append([name, f"{(shared + network[name]) / 1e3:.0f} k", f"{total / 1e3:.0f} k", f"{flops / 1e6:.2f} M",
                     spread([r.last("valid_loss") for r in of]), f"{1000 * step:.0f}"])
        curve = mean_curve(of, "valid_loss", "tokens")[1:]
        lines[name] = [(tokens * flops / 1e12, loss) for tokens, loss in curve]
        seconds[name] = [(tokens / 2048 * step, loss) for tokens, loss in curve]
    # Parameter efficiency: how many active parameters of the network a dense model needs for the same loss, over those
    # of the model with experts; between the dense models by the logarithm of their size.
    target = statistics.mean(r.last("valid_loss") for r in runs["moe, 16 experts, 2 a token"])
    dense = [(network[name], statistics.mean(r.last("valid_loss") for r in of))
             for name, of in runs.items() if name.startswith("dense")]
    ratio = f"more than {dense[-1][0] / dense[0][0]:.1f}"
    for (small, high), (large, low) in zip(dense, dense[1:]):
        if low <= target <= high:
            ratio = f"{small * (large / small) ** ((high - target) / (high - low)) / dense[0][0]:.1f}"
            break
    save("dense-vs-moe", f"Machine: {machine()}; {experiment.options.seeds} seeds.\n\n" + table(
        ["model", "active parameters", "parameters", "FLOPs a token", "validation loss", "step, ms"], rows)
        + f"\n\nA dense model needs {ratio} times the active network parameters to reach the loss of the model with experts.")
    picture("dense-vs-moe", [("Loss against FLOPs", "TFLOP", "nats per byte", lines, "linear"),
                             ("Loss against time", "seconds on one core", "nats per byte", seconds, "linear")])


if __name__ == "__main__":
    main()
