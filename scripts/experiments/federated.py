#!/usr/bin/env python3
"""Five silos with passages of real domains train one adapter: against training on all their data, against each silo alone, in private,
and with experts weighted by what was routed to them. -> docs/results/federated.{md,svg}. Finished runs are kept: a part now (--bases,
--splits, --seeds), the rest later; --page writes the page from what is there.

Bases: small, a small OLMoE over bytes that is trained first on glosses of WordNet (minutes); dense and "4 experts", SmolLM2-135M and the
same upcycled (hours)."""
import concurrent.futures
import json
import shutil
import statistics

import finetune
from experiment import RESULTS, ROOT, Experiment, bootstrap, machine, need, picture, save, spread, table
from privacy import NO_PRIVACY

RECIPE = "recipes/federated/domains.yaml"
DOMAINS = ["legal", "medical", "finance", "technical", "general"]
# --by, --alpha, most above pooled in percent
SPLITS = {"iid": ("quantity", 1e6, 1), "dirichlet": ("dirichlet", 0.5, 3), "domain": ("field", 0.5, 3)}
BASES = ["small", "dense", "4 experts"]
CHARACTERS = 1000  # of a passage, which is a document
BATCH, LOCAL_STEPS = 4, 4
EPSILONS = {"inf": list(NO_PRIVACY), "8": ["privacy.target_epsilon=8"]}
PRIVATE = ["adapt.lora.train_a=false", "privacy={unit: document, delta: 1.0e-4, clip_norm: 1.0, expected_batch_size: 64}"]


def source(path):
    return {"path": str(path), "format": "jsonl"}


def valid(domains=DOMAINS):
    """Held-out texts that nothing was chosen by."""
    return [source(f"data/cache/{domain}/test-short.jsonl") for domain in domains]


class Federation(Experiment):
    """The same passages in other silos."""

    def corpus(self):
        """As many passages of each domain, with its name as a field."""
        path = self.folder / f"passages-{self.options.passages}.jsonl"
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            for domain in DOMAINS:
                for text in self.passages(domain):
                    file.write(json.dumps({"text": text, "domain": domain}) + "\n")
        return path

    def passages(self, domain):
        need(ROOT / f"data/cache/{domain}/train.jsonl", f"scripts/data/{domain}.py")
        found, text = [], ""
        for line in (ROOT / f"data/cache/{domain}/train.jsonl").open():
            text += json.loads(line)["text"]
            while len(text) >= CHARACTERS and len(found) < self.options.passages:
                found.append(text[:CHARACTERS])
                text = text[CHARACTERS:]
            if len(found) == self.options.passages:
                return found
        raise SystemExit(f"{domain} has {len(found)} passages of {CHARACTERS} characters; fewer: --passages {len(found)}")

    def silos(self, split, seed):
        """The training data of each silo."""
        by, alpha, _ = SPLITS[split]
        folder = self.folder / f"silos-{split}-{seed}-{self.options.passages}"
        if not (folder / "split.json").exists():
            finetune.call(self, "data", "split", self.corpus(), "--parts", len(DOMAINS), "--by", by, "--field", "domain",
                          "--alpha", alpha, "--seed", seed, "--output", folder)
        return [source(folder / f"part-{k}.jsonl") for k in range(len(DOMAINS))]

    def base(self, name):
        """The settings of a base, which is made where it is not there."""
        if name == "small":
            model, recipe = self.folder / "small-base-1", ROOT / "recipes/experiments/small-moe.yaml"
            self.run("small-base", 1, [f"data.train={json.dumps([source('data/cache/general/train.jsonl')])}", "data.valid=[]",
                                       "eval.every_steps=0", "checkpoint.final=true"], recipe)
            return [f"model.from={model}", "data.sequence_length=128"]
        return [f"model.from={finetune.BASES[name]}"]

    def job(self, base, arm, seed, changes, settings):
        """One run; what only another run would need is removed once it is done."""
        name = f"{base.replace(' ', '-')}-{arm}"
        experts = [] if base == "dense" else ["moe.balance={type: sequence, coefficient: 0.01}"]
        router = ["adapt.lora.router=full"] if base == "4 experts" else []  # upcycling draws the routers anew
        run = self.run(name, seed, [*settings, *experts, *router, "parallel.ranks=1", *changes])
        for folder in ("checkpoints", "silos"):
            shutil.rmtree(run.folder / folder, ignore_errors=True)
        return run

    def central(self, data, batch):
        """Without silos."""
        return ["federated=null", f"data.train={json.dumps(data)}", f"data.valid={json.dumps(valid())}", f"train.global_batch_size={batch}",
                f"train.max_steps={self.options.rounds * LOCAL_STEPS}", f"eval.every_steps={LOCAL_STEPS}",
                "checkpoint={every_steps: 0, final: false}"]

    def federated(self, split, seed, **aggregator):
        silos = [{"name": domain if split == "domain" else f"silo-{k}", "train": [data], "valid": valid([domain])}
                 for k, (domain, data) in enumerate(zip(DOMAINS, self.silos(split, seed)))]
        block = {"rounds": self.options.rounds, "local_steps": LOCAL_STEPS, "silos": silos, "aggregator": {"type": "fedavg", **aggregator}}
        return [f"federated={json.dumps(block)}"]

    def arms(self, base, seed):
        """{arm: what it changes}"""
        splits = self.options.splits
        whole = [source(self.corpus())]
        arms = {"pooled": self.central(whole, BATCH * len(DOMAINS))}
        for split in splits:
            arms[f"{split}-federated"] = self.federated(split, seed)
            for k, data in enumerate(self.silos(split, seed)):
                arms[f"{split}-alone-{k}"] = self.central([data], BATCH)
        if "iid" in splits:
            for epsilon, changes in EPSILONS.items():
                short = ["data.too_long=truncate"] if base == "small" else []  # over bytes a passage is many sequences
                arms[f"private-{epsilon}"] = [*self.federated("iid", seed), *PRIVATE, *short, *changes]
        if "domain" in splits and base != "dense":
            arms["routed"] = self.federated("domain", seed, experts="routed_tokens")
        return arms

    def measure(self):
        """Seeds are the outer loop, so that an early end leaves whole rows of the table."""
        if set(self.options.bases) - {"small"}:
            finetune.make_bases(self)
        bases = {base: self.base(base) for base in self.options.bases}
        tasks = [(base, arm, seed, changes, bases[base]) for seed in range(1, self.options.seeds + 1) for base in bases
                 for arm, changes in self.arms(base, seed).items()]
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            list(pool.map(lambda task: self.job(*task), tasks))


def collect(folder):
    """{base: {arm: {seed: curve of the held-out loss over the rounds}}} of what is there."""
    found = {}
    for base in BASES:
        prefix = base.replace(" ", "-") + "-"
        for done in sorted(folder.glob(f"{prefix}*/done")):
            arm, seed = done.parent.name.removeprefix(prefix).rsplit("-", 1)
            rows = [json.loads(line) for line in (done.parent / "metrics.jsonl").read_text().splitlines()]
            curve = [(row.get("round", row["step"] / LOCAL_STEPS), row["valid_loss"]) for row in rows if "valid_loss" in row]
            if curve:
                found.setdefault(base, {}).setdefault(arm, {})[seed] = curve
    return found


def ends(arms, *names):
    """{arm: last losses}, over the seeds that all of them have."""
    seeds = sorted(set.intersection(*(set(arms.get(name, {})) for name in names)))
    return {name: [arms[name][seed][-1][1] for seed in seeds] for name in names}


def above(losses, arm, other):
    """How far the loss of an arm is above another's: (text, value), in percent."""
    ratio = lambda means: 100 * (means[arm] / means[other] - 1)  # noqa: E731
    value = ratio({name: statistics.mean(of) for name, of in losses.items()})
    if len(losses[arm]) == 1:
        return f"{value:+.2f} (one seed)", value
    low, high = bootstrap(losses, ratio)
    return f"{value:+.2f} [{low:+.2f}, {high:+.2f}]", value


def answer(condition):
    return "yes" if condition else "no"


def split_row(base, arms, split, most):
    alone = [f"{split}-alone-{k}" for k in range(len(DOMAINS))]
    losses = ends(arms, "pooled", f"{split}-federated", *alone)
    if not losses["pooled"]:
        return None
    text, value = above(losses, f"{split}-federated", "pooled")
    best = min(alone, key=lambda name: statistics.mean(losses[name]))
    better = all(ours < min(losses[name][i] for name in alone) for i, ours in enumerate(losses[f"{split}-federated"]))
    return [base, split, len(losses["pooled"]), spread(losses["pooled"], 3), spread(losses[f"{split}-federated"], 3), text,
            f"<= {most}: {answer(value <= most)}", spread(losses[best], 3), answer(better)]


def pair_row(base, arms, name, first, second, most=None):
    losses = ends(arms, first, second)
    if not losses[first]:
        return None
    text, value = above(losses, first, second)
    return [base, name, len(losses[first]), spread(losses[second], 3), spread(losses[first], 3), text,
            "" if most is None else f"<= {most}: {answer(value <= most)}"]


def draw(found):
    """The held-out loss over the rounds, a panel for each base."""
    panels = []
    for base, arms in found.items():
        lines = {}
        for arm in ("pooled", *(f"{split}-federated" for split in SPLITS), "private-8", "routed"):
            curves = list(arms.get(arm, {}).values())
            if curves:
                lines[arm] = [(points[0][0], statistics.mean(loss for _, loss in points)) for points in zip(*curves)]
        panels.append((f"Held-out loss, {base}", "round", "nats per target", lines, "linear"))
    picture("federated", panels)


def page(experiment):
    found = collect(experiment.folder)
    if not found:
        raise SystemExit("there are no results yet")
    splits = [split_row(base, arms, split, most) for base, arms in found.items() for split, (_, _, most) in SPLITS.items()]
    pairs = [pair_row(base, arms, *of) for base, arms in found.items() for of in (
        ("epsilon 8 against none", "private-8", "private-inf", 3),
        ("experts by routed tokens against uniform, by domain", "routed", "domain-federated"))]
    draw(found)
    drawn = "\n\n![Held-out loss](federated.svg)" if (RESULTS / "federated.svg").exists() else ""
    save("federated", f"Machine: {machine()}, a thread for each run.\n\n" + table(
        ["base", "split", "seeds", "pooled", "federated", "above pooled, %", "target", "best silo alone", "better than every silo"],
        [row for row in splits if row]) + "\n\n" + table(
            ["base", "what", "seeds", "loss without", "loss with", "above, %", "target"], [row for row in pairs if row]) + drawn)


def main():
    experiment = Federation("federated", RECIPE, __doc__, texts=(), subsets={"bases": BASES, "splits": list(SPLITS)}, switches={
        "page": "write the page, train nothing"}, arguments={
            "--rounds": {"type": int, "default": 8}, "--passages": {"type": int, "default": 900, "help": "of a domain"}})
    if not experiment.options.page:
        experiment.measure()
    page(experiment)


if __name__ == "__main__":
    main()
