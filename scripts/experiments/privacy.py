#!/usr/bin/env python3
"""SmolLM2-135M and its upcycled 4-expert model learn in private which finding a definition means, by adapters, at epsilon 8, 3 and
1 and without noise or bound: what is lost of the right answers. -> docs/results/privacy.{md,svg}. Finished runs are kept: a part now
(--bases, --epsilons, --seeds), the rest later; --page writes the page from what is there."""
import concurrent.futures
import datetime
import json
import math
import shutil
import statistics

from experiment import RESULTS, ROOT, Experiment, bootstrap, machine, need, picture, save, shown, spread, table
from finetune import BASES, call, make_bases

RECIPE = "recipes/privacy/medical.yaml"
QUESTIONS = ROOT / "data/cache/medical"
EPSILONS = ["inf", "8", "3", "1"]
TARGETS = {"8": 3.0, "3": 6.0}  # most that may be lost, in percent of what is right without privacy
NO_PRIVACY = ("privacy={target_epsilon: null, noise_multiplier: 0, clip_norm: 0, allow_no_privacy: true}", "train.clip_norm=1.0")


def overrides(base, epsilon):
    """The steps and the draws are the same for all; without privacy the whole gradient is clipped, as always."""
    changes = [f"model.from={BASES[base]}", "data.valid=[]"]
    changes += NO_PRIVACY if epsilon == "inf" else [f"privacy.target_epsilon={epsilon}"]
    if base != "dense":  # upcycling draws the routers anew
        changes += ["adapt.lora.router=full", "moe.balance={type: sequence, coefficient: 0.01}"]
    return changes


def accuracy(experiment, model):
    """{"value", "low", "high"} over the held-out questions."""
    limit = ["--limit", experiment.options.items] if experiment.options.items else []
    told = call(experiment, "eval", "--model", model, "--task", "classification", "--data", QUESTIONS / "questions-test.jsonl",
                "--json", "--threads", experiment.threads, *limit)
    return json.loads(told)["metrics"]["accuracy"]


def before(experiment, base):
    """What the base has, measured once."""
    path = experiment.folder / f"before-{base.replace(' ', '-')}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(accuracy(experiment, BASES[base])))


def after(experiment, base, epsilon, seed):
    """Trains and measures one model. Its weights are removed once its result is written."""
    name = f"{base.replace(' ', '-')}-{epsilon}"
    path = experiment.folder / f"{name}-{seed}/result.json"
    run = experiment.run(name, seed, overrides(base, epsilon))
    if path.exists():
        return
    path.write_text(json.dumps({
        "accuracy": accuracy(experiment, run.folder), "epsilon": None if epsilon == "inf" else run.last("epsilon"),
        "steps": run.last("step"), "step_s": run.mean("step_s"), "memory_mb": run.last("memory_peak_mb"),
        "date": datetime.date.today().isoformat()}))
    shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)


def measure(experiment):
    """Seeds are the outer loop, so that an early end leaves whole rows of the table."""
    options = experiment.options
    need(QUESTIONS / "info.json", "scripts/data/medical.py")
    make_bases(experiment)
    tasks = [(base, epsilon, seed) for seed in range(1, options.seeds + 1) for base in options.bases for epsilon in options.epsilons]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        bases = pool.map(lambda base: before(experiment, base), options.bases)
        runs = pool.map(lambda task: after(experiment, *task), tasks)
        list(bases), list(runs)


def collect(folder):
    """{base: (before, {epsilon: {seed: result}})} of what is there."""
    found = {}
    for base in BASES:
        label = base.replace(" ", "-")
        first = folder / f"before-{label}.json"
        results = {epsilon: {path.parent.name.split("-")[-1]: json.loads(path.read_text())
                             for path in sorted(folder.glob(f"{label}-{epsilon}-*/result.json"))} for epsilon in EPSILONS}
        results = {epsilon: of for epsilon, of in results.items() if of}
        if first.exists() and results:
            found[base] = json.loads(first.read_text()), results
    return found


def right(results, seeds=None):
    return [100 * results[seed]["accuracy"]["value"] for seed in (seeds or sorted(results))]


def lost(results, epsilon):
    """Of the right answers without privacy, in percent, over the seeds that both have: (text, value)."""
    seeds = sorted(set(results.get("inf", {})) & set(results[epsilon]))
    if epsilon == "inf" or not seeds:
        return "", None
    of = {"without": right(results["inf"], seeds), "with": right(results[epsilon], seeds)}
    ratio = lambda means: 100 * (1 - means["with"] / means["without"])  # noqa: E731
    value = ratio({name: statistics.mean(values) for name, values in of.items()})
    if len(seeds) == 1:
        return f"{value:.1f} (one seed)", value
    low, high = bootstrap(of, ratio)
    return f"{value:.1f} [{low:.1f}, {high:.1f}]", value


def row(base, first, results, epsilon):
    of = list(results[epsilon].values())
    text, value = lost(results, epsilon)
    target = TARGETS.get(epsilon)
    reached = "" if target is None or value is None else f"<= {target:g}: {'yes' if value <= target else 'no'}"
    spent = max((r["epsilon"] for r in of if r["epsilon"] is not None), default=math.inf)
    interval = f"[{100 * min(r['accuracy']['low'] for r in of):.1f}, {100 * max(r['accuracy']['high'] for r in of):.1f}]"
    return [base, epsilon, f"{spent:.3f}", len(of), f"{100 * first['value']:.1f}", spread(right(results[epsilon]), 1), interval, text, reached,
            f"{statistics.mean(r['step_s'] for r in of):.1f}", f"{max(r['memory_mb'] for r in of) / 1e3:.1f}"]


def draw(found):
    """Right answers over 1 / epsilon, which is 0 without privacy."""
    at = {epsilon: 1 / float(epsilon) for epsilon in EPSILONS}
    lines = {base: [(at[epsilon], statistics.mean(right(of))) for epsilon, of in results.items()] for base, (_, results) in found.items()}
    picture("privacy", [("Right answers of adapters trained in private", "1 / epsilon", "%", lines, "linear")])


def page(experiment):
    found = collect(experiment.folder)
    if not found:
        raise SystemExit(f"{shown(experiment.folder)} holds no results yet")
    rows = [row(base, first, results, epsilon) for base, (first, results) in found.items() for epsilon in results]
    every = [result for _, results in found.values() for of in results.values() for result in of.values()]
    draw(found)
    drawn = "\n\n![Right answers](privacy.svg)" if (RESULTS / "privacy.svg").exists() else ""
    save("privacy", f"Machine: {machine()}, a thread for each run. Runs: {len(every)}, {min(r['date'] for r in every)} to "
         f"{max(r['date'] for r in every)}, {every[0]['steps']} steps each.\n\n" + table(
             ["base", "epsilon", "spent", "seeds", "right before, %", "right after, %", "interval", "lost of the right ones, %", "target",
              "step, s", "memory, GB"], rows) + drawn)


def main():
    experiment = Experiment("privacy", RECIPE, __doc__, texts=(), subsets={"bases": list(BASES), "epsilons": EPSILONS}, switches={
        "page": "write the page, train nothing"}, arguments={"--items": {"type": int, "help": "of the held-out questions; default: all"}})
    if not experiment.options.page:
        measure(experiment)
    page(experiment)


if __name__ == "__main__":
    main()
