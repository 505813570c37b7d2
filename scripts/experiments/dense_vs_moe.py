#!/usr/bin/env python3
"""Experts against dense networks at equal active and at equal total parameters. -> docs/results/dense-vs-moe.{md,svg}"""
import math
import statistics

from experiment import Experiment, bootstrap, machine, mean_curve, picture, save, spread, table

WIDTH, EXPERTS, CHOSEN = 96, 16, 2
DENSE = "model.config={{model_type: llama, vocab_size: 257, hidden_size: 96, intermediate_size: {}, num_hidden_layers: 3, " \
        "num_attention_heads: 4, max_position_embeddings: 256, num_experts: null, num_experts_per_tok: null, norm_topk_prob: null}}"
OFTEN = ["eval.every_steps=100", "checkpoint.every_steps=250", "checkpoint.keep=1"]  # an interrupted run goes on
STEPS = 1500  # long enough to tell the larger dense models apart: 3 M tokens, half an epoch
# The dense models have OLMoE's size without its router and its norms of queries and keys: less than 1 % of it.
VARIANTS = {
    "moe, 16 experts, 2 a token": [],
    "dense, as many active parameters": [DENSE.format(CHOSEN * WIDTH)],
    "dense, twice as many": [DENSE.format(2 * CHOSEN * WIDTH)],
    "dense, four times as many": [DENSE.format(4 * CHOSEN * WIDTH)],
    "dense, as many parameters in total": [DENSE.format(EXPERTS * WIDTH)],
}


MOE, *DENSES = VARIANTS
NETWORK = dict(zip(VARIANTS, (3 * WIDTH * 3 * width for width in (
    CHOSEN * WIDTH, CHOSEN * WIDTH, 2 * CHOSEN * WIDTH, 4 * CHOSEN * WIDTH, EXPERTS * WIDTH))))


def parameter_ratio(losses):
    """How many active parameters of the network a dense model needs for the loss of the model with experts, over those of
    that model; between the dense models by the logarithm of their size. 1 where the smallest is as good, infinite where none is.
    losses: {variant: loss}."""
    target, smallest = losses[MOE], DENSES[0]
    if losses[smallest] <= target:
        return 1.0
    for small, large in zip(DENSES, DENSES[1:]):
        if losses[large] <= target <= losses[small]:
            share = (losses[small] - target) / (losses[small] - losses[large])
            return NETWORK[small] * (NETWORK[large] / NETWORK[small]) ** share / NETWORK[smallest]
    return math.inf


def times(ratio):
    return f"more than {NETWORK[DENSES[-1]] / NETWORK[DENSES[0]]:.1f}" if math.isinf(ratio) else f"{ratio:.1f}"


def sentence(losses):
    """losses: {variant: [loss of each seed]}"""
    ratio = times(parameter_ratio({name: statistics.mean(of) for name, of in losses.items()}))
    text = f"A dense model needs {ratio} times the active network parameters to reach the loss of the model with experts"
    if len(losses[MOE]) < 2:
        return text + "."
    low, high = bootstrap(losses, parameter_ratio)
    return f"{text} (95 % of draws of the seeds: {times(low)} to {times(high)})."


def main():
    experiment = Experiment("dense-vs-moe", "recipes/experiments/small-moe.yaml", __doc__, seeds=8)
    experiment.options.steps = experiment.options.steps or STEPS
    runs = experiment.run_all({name: [*changes, *OFTEN] for name, changes in VARIANTS.items()})
    steps = experiment.step_times(VARIANTS)
    rows, lines, seconds = [], {}, {}
    for name, of in runs.items():
        step = steps[name]
        shared = 257 * WIDTH * 2 + 3 * 4 * WIDTH * WIDTH
        total = shared + (3 * WIDTH * 3 * EXPERTS * WIDTH if name == MOE else NETWORK[name])
        flops = 6 * (shared - 257 * WIDTH + NETWORK[name])  # without attention scores; the embedding is no product
        rows.append([name, f"{(shared + NETWORK[name]) / 1e3:.0f} k", f"{total / 1e3:.0f} k", f"{flops / 1e6:.2f} M",
                     spread([r.last("valid_loss") for r in of]), f"{1000 * step:.0f}"])
        curve = mean_curve(of, "valid_loss", "tokens")[1:]
        lines[name] = [(tokens * flops / 1e12, loss) for tokens, loss in curve]
        seconds[name] = [(tokens / 2048 * step, loss) for tokens, loss in curve]
    save("dense-vs-moe", f"Machine: {machine()}; {experiment.options.seeds} seeds.\n\n" + table(
        ["model", "active parameters", "parameters", "FLOPs a token", "validation loss", "step, ms"], rows)
        + "\n\n" + sentence({name: [r.last("valid_loss") for r in of] for name, of in runs.items()}))
    picture("dense-vs-moe", [("Loss against FLOPs", "TFLOP", "nats per byte", lines, "linear"),
                             ("Loss against time", "seconds on one core", "nats per byte", seconds, "linear")])


if __name__ == "__main__":
    main()
