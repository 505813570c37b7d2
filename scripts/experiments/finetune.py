#!/usr/bin/env python3
"""SmolLM2-135M and its upcycled 4-expert model on four domains, low-rank adapters beside full training: what each gains on its
domain and loses elsewhere. -> docs/results/finetune.{md,svg}. Finished runs are kept: a part now (--domains, --bases, --methods,
--seeds), the rest later; --page writes the page from what is there."""
import concurrent.futures
import datetime
import json
import math
import os
import shutil
import statistics
import subprocess

from experiment import RESULTS, ROOT, Experiment, bootstrap, machine, need, picture, save, shown, spread, table

DENSE = ROOT / "data/cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
EXPERTS = ROOT / "data/cache/smollm2/experts-4"
DOMAINS = ["legal", "medical", "finance", "technical"]
BASES = {"dense": DENSE, "4 experts": EXPERTS}
METHODS = ["lora", "full"]
ITEMS = 80  # of a domain's questions
MADE_BY = {name: f"scripts/data/{name}.py" for name in [*DOMAINS, "general"]}


def overrides(base, method, precision):
    changes = [f"model.from={BASES[base]}", "data.valid=[]", f"train.precision={precision}"]
    if method == "full":
        changes += ["adapt.lora=null", "optimizer.learning_rate=1.0e-4"]
    if base != "dense":
        router = ["adapt.lora.router=full"] if method == "lora" else []  # which upcycling draws anew
        changes += [*router, "moe.balance={type: switch, coefficient: 0.01}"]
    return changes


def call(experiment, *arguments):
    command = [str(part) for part in (experiment.program, *arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: ended with {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def evaluate(experiment, model, domain):
    """{"domain": nats per token, "general": nats per token, "task": {"value", "low", "high"}}"""
    def answer(*arguments):
        return json.loads(call(experiment, "eval", "--model", model, "--precision", experiment.options.precision, "--json",
                               "--threads", experiment.threads, *arguments))
    texts = {name: answer("--data", f"data/cache/{of}/test-short.jsonl")["loss"]
             for name, of in (("domain", domain), ("general", "general"))}
    task = answer("--task", "classification", "--data", f"data/cache/{domain}/questions-test.jsonl", "--limit", ITEMS)
    return {**texts, "task": task["metrics"]["accuracy"]}


def before(experiment, domain, base):
    """What the base has, measured once."""
    path = experiment.folder / f"before-{domain}-{base.replace(' ', '-')}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(evaluate(experiment, BASES[base], domain)))
    return json.loads(path.read_text())


def result_bytes(experiment, folder, method):
    """Of what is handed on: the adapter in PEFT's layout, or the model as a Hugging Face folder."""
    target = folder.with_name(f"{folder.name}-export")
    shutil.rmtree(target, ignore_errors=True)
    call(experiment, "export", folder, target, *(["--adapter"] if method == "lora" else []))
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    shutil.rmtree(target)
    return size


def after(experiment, domain, base, method, seed):
    """Trains and measures one model. Its weights are removed once its result is written."""
    name = f"{domain}-{base.replace(' ', '-')}-{method}"
    recipe = ROOT / f"recipes/finetune/{domain}.yaml"
    path = experiment.folder / f"{name}-{seed}/result.json"
    run = experiment.run(name, seed, overrides(base, method, experiment.options.precision), recipe)
    if not path.exists():
        measured = {**evaluate(experiment, run.folder, domain), "bytes": result_bytes(experiment, run.folder, method),
                    "memory_mb": run.last("memory_peak_mb"), "step_s": run.mean("step_s"), "steps": run.last("step"),
                    "seconds": sum(value for _, value in run.curve("step_s")), "date": datetime.date.today().isoformat(),
                    "losses": [value for _, value in run.curve("loss")]}
        path.write_text(json.dumps(measured))
        shutil.rmtree(run.folder / "checkpoints", ignore_errors=True)
    return json.loads(path.read_text())


def make_bases(experiment):
    need(DENSE, "scripts/data/smollm2.sh")
    if "4 experts" in experiment.options.bases and not EXPERTS.exists():
        call(experiment, "import", DENSE, EXPERTS, "--upcycle", 4, "--seed", 1)


def prepare(experiment):
    for name in (*experiment.options.domains, "general"):
        need(ROOT / f"data/cache/{name}/info.json", MADE_BY[name])
    make_bases(experiment)


def measure(experiment):
    """Seeds are the outer loop, so that an early end leaves whole rows of the table."""
    options = experiment.options
    tasks = [(domain, base, method, seed) for seed in range(1, options.seeds + 1) for base in options.bases
             for domain in options.domains for method in options.methods]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        bases = pool.map(lambda pair: before(experiment, *pair), [(d, b) for b in options.bases for d in options.domains])
        runs = pool.map(lambda task: after(experiment, *task), tasks)
        list(bases), list(runs)


def collect(folder):
    """{(domain, base): (before, {method: [result of each seed]})} of what is there."""
    found = {}
    for base in BASES:
        for domain in DOMAINS:
            label = f"{domain}-{base.replace(' ', '-')}"
            if (folder / f"before-{label}.json").exists():
                results = {method: [json.loads(path.read_text()) for path in sorted(folder.glob(f"{label}-{method}-*/result.json"))]
                           for method in METHODS}
                results = {method: of for method, of in results.items() if of}
                if results:
                    found[domain, base] = json.loads((folder / f"before-{label}.json").read_text()), results
    return found


def accuracy(results):
    """The mean over the seeds, and the widest of their intervals, in percent."""
    tasks = [result["task"] for result in results]
    return (f"{100 * statistics.mean(t['value'] for t in tasks):.0f} "
            f"[{100 * min(t['low'] for t in tasks):.0f}, {100 * max(t['high'] for t in tasks):.0f}]")


def row(domain, base, method, first, results):
    mean = lambda key: statistics.mean(result[key] for result in results)  # noqa: E731
    return [domain, base, method, len(results), f"{first['domain']:.3f}", spread([r["domain"] for r in results], 3),
            f"{first['general']:.3f}", spread([r["general"] for r in results], 3), accuracy([first]), accuracy(results),
            f"{mean('memory_mb') / 1e3:.1f}", f"{mean('step_s'):.1f}", f"{mean('bytes') / 1e6:.0f}"]


def against(domain, base, results):
    """How far the adapters' domain loss is from that of full training, over the seeds that both have."""
    count = min(map(len, results.values()))
    losses = {method: [result["domain"] for result in of[:count]] for method, of in results.items()}
    ratio = lambda means: 100 * (means["lora"] / means["full"] - 1)  # noqa: E731
    value = ratio({method: statistics.mean(of) for method, of in losses.items()})
    low, high = bootstrap(losses, ratio) if count > 1 else (math.nan, math.nan)
    between = f"[{low:+.1f}, {high:+.1f}]" if count > 1 else "one seed"
    return [domain, base, count, f"{value:+.1f} {between}", "yes" if value <= 2 else "no"]


def page(experiment):
    found = collect(experiment.folder)
    if not found:
        raise SystemExit(f"{shown(experiment.folder)} holds no results yet")
    rows = [row(*key, method, first, of) for key, (first, results) in found.items() for method, of in results.items()]
    pairs = [against(*key, results) for key, (_, results) in found.items() if len(results) == 2]
    every = [result for _, results in found.values() for of in results.values() for result in of]
    draw(found)
    drawn = "\n\n![Training loss](finetune.svg)" if (RESULTS / "finetune.svg").exists() else ""
    save("finetune", f"Machine: {machine()}, a thread for each run, {experiment.options.precision}. Runs: {len(every)}, {min(r['date'] for r in every)} to "
         f"{max(r['date'] for r in every)}, {every[0]['steps']} steps each; seeds 1 to {max(r[3] for r in rows)}.\n\n" + table(
             ["domain", "base", "method", "seeds", "domain loss before", "after", "general loss before", "after",
              "answers right before, %", "after", "memory, GB", "step, s", "result, MB"], rows)
         + "\n\n" + table(["domain", "base", "seeds", "domain loss of LoRA above that of full training, %", "within 2 %"], pairs) + drawn)


def draw(found):
    """The training losses, a panel for each base."""
    curves = {}
    for (domain, base), (_, results) in found.items():
        for method, of in results.items():
            means = [statistics.mean(step) for step in zip(*(result["losses"] for result in of))]
            curves.setdefault(base, {})[f"{domain}, {method}"] = list(enumerate(means, 1))
    picture("finetune", [(f"Training loss, {base}", "step", "nats per target", lines, "linear") for base, lines in curves.items()])


def main():
    experiment = Experiment("finetune", "recipes/finetune/legal.yaml", __doc__, texts=(), subsets={
        "domains": DOMAINS, "bases": list(BASES), "methods": METHODS}, switches={"page": "write the page, train nothing"},
        arguments={"--precision": {"default": "float32", "choices": ["float32", "bfloat16"]}})
    experiment.folder = experiment.folder / experiment.options.precision
    if not experiment.options.page:
        prepare(experiment)
        measure(experiment)
    page(experiment)


if __name__ == "__main__":
    main()
