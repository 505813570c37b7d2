#!/usr/bin/env python3
"""SmolLM2-135M to 4 and 8 experts, trained on, against the dense model at equal FLOPs. -> docs/results/upcycling.{md,svg}"""
import statistics

from experiment import ROOT, Experiment, machine, mean_curve, need, picture, save, spread, table


def upcycle(experts, **more):
    return [f"model.upcycle.num_experts={experts}", *(f"model.upcycle.{k}={v}" for k, v in more.items())]


# Two experts a token: forward and backward cost 1.59 times those of the dense model (plan says the figures).
VARIANTS = {
    "dense": ["train.max_steps={dense_steps}"],
    "4 experts, copies": upcycle(4),
    "4 experts, noise 0.05": upcycle(4, noise=0.05),
    "4 experts, a tenth made anew": upcycle(4, reinit=0.1),
    "8 experts, copies": upcycle(8),
    "8 experts of half the width": upcycle(8, granularity=2, num_experts_per_tok=4),
}


def main():
    experiment = Experiment("upcycling", "scripts/experiments/upcycle-smollm2.yaml", __doc__, texts=("short",))
    need(ROOT / "data/cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "scripts/data/smollm2.sh")
    steps = experiment.options.steps or 12
    experiment.options.steps = None
    changes = {name: [f"train.max_steps={steps}", *(c.format(dense_steps=round(1.59 * steps)) for c in of)]
               for name, of in VARIANTS.items()}
    changes["dense"] = [c for c in changes["dense"] if c != f"train.max_steps={steps}"]
    runs = experiment.run_all(changes)
    rows = [[name, spread([r.curve("valid_loss")[0][1] for r in of]), spread([r.last("valid_loss") for r in of]),
             f"{statistics.mean(r.last('tokens') for r in of) / 1e3:.0f} k",
             f"{statistics.mean(r.mean('step_s', 1) for r in of):.1f}"] for name, of in runs.items()]
    save("upcycling", f"Machine: {machine()}; {experiment.options.seeds} seeds.\n\n" + table(
        ["model", "first validation loss", "last", "tokens", "step, s"], rows))
    picture("upcycling", [("Validation loss", "tokens", "nats per token",
                           {n: mean_curve(of, "valid_loss", "tokens") for n, of in runs.items()}, "linear")])


if __name__ == "__main__":
    main()
