#!/usr/bin/env python3
"""A medical update: SmolLM2-135M learns facts of 2024 (2021), then what the releases of 2025 (2026) added and changed; what each
method keeps and gains. -> docs/results/continual.md

    scripts/experiments/medical_update.py [--seeds 3] [--only ARM ...] [--teach-steps 160] [--steps 80] [--items 0]

The old model of a seed is made once. Of an arm with a strength the one with the best sum of kept and gained on the validation
questions of seed 1 is taken; the table is of the test questions. Finished runs and evaluations are kept, so parts may be run one
after the other."""
import json
import statistics
import subprocess

from experiment import ROOT, Experiment, machine, need, picture, save, spread, table

DATA = ROOT / "data/cache/medical_update"
GENERAL = ROOT / "data/cache/general/valid-short.jsonl"
BASE = "data/cache/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LORA = ["adapt={lora: {r: 16, lora_alpha: 32}}", "optimizer.learning_rate=1.0e-3"]
# What an arm sets, beside its strength; {importance} and {sensitivity} are the files of the old model.
ARMS = {
    "naive": ["continual.method=none"],
    "l2": ["continual.method=l2"],
    "ewc": ["continual.method=ewc", "continual.importance=[{importance}]"],
    "online_ewc": ["continual.method=online_ewc", "continual.importance=[{importance}]"],
    "si": ["continual.method=si"],
    "mas": ["continual.method=mas", "continual.importance=[{sensitivity}]"],
    "lora": [*LORA, "continual.method=none"],
    "ewc_lora": [*LORA, "continual.method=ewc", "continual.importance=[{importance}]"],
    "lwf": ["continual.method=lwf"],
    "replay_1": ["continual.method=none", "continual.replay.share=0.01"],
    "replay_5": ["continual.method=none", "continual.replay.share=0.05"],
    "ewc_replay_5": ["continual.method=ewc", "continual.importance=[{importance}]", "continual.replay.share=0.05"],
    "joint": ["continual=null"],
}
STRENGTHS = {"l2": (1.0, 10.0, 100.0), "ewc": (10, 1000, 100_000), "online_ewc": (10, 1000, 100_000), "si": (1.0, 100.0, 10_000),
             "mas": (1.0, 100.0, 10_000), "ewc_lora": (10, 1000, 100_000), "lwf": (0.3, 1.0, 3.0), "ewc_replay_5": (10, 1000, 100_000)}
SETS = ("unchanged", "new", "changed", "withdrawn")


def sources(*names):
    return json.dumps([{"path": str(DATA / f"{name}.jsonl"), "format": "prompt_completion"} for name in names])


class Update(Experiment):
    def __init__(self):
        super().__init__("medical-update", "scripts/experiments/medical-update.yaml", __doc__, texts=(), arguments={
            "--only": {"nargs": "+", "default": list(ARMS), "choices": list(ARMS), "metavar": "ARM"},
            "--teach-steps": {"type": int, "default": 160}, "--items": {"type": int, "default": 0,
                                                                       "help": "questions of a set, 0 = all"}})
        need(ROOT / BASE, "scripts/data/smollm2.sh")
        need(DATA / "info.json", "scripts/data/medical_update.py")
        need(GENERAL, "scripts/data/general.py")
        most = json.loads((DATA / "info.json").read_text())["most"]
        self.steps, self.options.steps = self.options.steps or 80, None
        self.folder = self.folder / f"{most}-facts-{self.options.teach_steps}-{self.steps}-steps"

    def taught(self, seed):
        """The old model of a seed, with what says how much each of its weights matters."""
        run = self.run("old", seed, ["continual=null", f"model.from={BASE}", f"data.train={sources('old-train')}",
                                     f"train.max_steps={self.options.teach_steps}"])
        for name, method in (("importance", "ewc"), ("sensitivity", "mas")):
            self.call(run.folder / f"{name}.h5", "importance", "--model", run.folder, "--recipe", run.folder / "recipe.yaml",
                      "--method", method, "--output", run.folder / f"{name}.h5")
        return run

    def call(self, made, *arguments):
        """What a verb prints; nothing where the file `made` is there already."""
        if made.exists():
            return ""
        done = subprocess.run([self.program, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{arguments}\n{done.stderr[-2000:]}")
        return done.stdout

    def asked(self, run, name, *arguments):
        """One result of eval, kept beside the run."""
        path = run.folder / f"{name}-{self.options.items}.json"
        if not path.exists():
            path.write_text(self.call(path, "eval", "--model", run.folder, "--json", "--threads", self.threads, *arguments))
        return json.loads(path.read_text())

    def answers(self, run, part):
        """{set: accuracy}, and the loss on general text."""
        questions = ["--task", "classification", "--bootstrap", 0, "--limit", self.options.items, "--data"]
        found = {name: self.asked(run, f"{name}-{part}", *questions, DATA / f"{name}-{part}.jsonl")["metrics"]["accuracy"]["value"]
                 for name in SETS}
        return {**found, "general": self.asked(run, "general", "--task", "perplexity", "--data", GENERAL)["loss"]}

    def settings(self, arm, seed, strength):
        old = self.taught(seed).folder
        files = {"importance": old / "importance.h5", "sensitivity": old / "sensitivity.h5"}
        own = [] if arm == "joint" else ["continual.importance=[]"]  # of the recipe: an arm names its own
        own += [change.replace("{importance}", str(files["importance"])).replace("{sensitivity}", str(files["sensitivity"]))
                for change in ARMS[arm]]
        if "replay" in arm:
            own.append(f"continual.replay.sources={sources('old-train')}")
        if strength is not None:
            own.append(f"continual.lambda={strength}")
        if arm == "si":  # its importances are of the run's own way: it learns both parts, from the base
            tasks = [{"name": name, "train": json.loads(sources(data)), "valid": json.loads(sources(data)), "max_steps": steps}
                     for name, data, steps in (("old", "old-train", self.options.teach_steps), ("update", "update-train", self.steps))]
            return own + [f"model.from={BASE}", "data.train=null", "train.max_steps=null", f"continual.tasks={json.dumps(tasks)}"]
        if arm == "joint":  # as many steps as both parts together
            return own + [f"model.from={BASE}", f"data.train={sources('joint-train')}",
                          f"train.max_steps={self.options.teach_steps + self.steps}"]
        return own + [f"model.from={old}", f"train.max_steps={self.steps}"]

    def updated(self, arm, seed, strength):
        name = arm if strength is None else f"{arm}-{strength:g}"
        return self.run(name, seed, self.settings(arm, seed, strength))

    def scores(self, arm, seed, strength, part):
        """kept and gained as shares, changed and stale as accuracies, drift in nats per token of general text."""
        before, after = self.answers(self.taught(seed), part), self.answers(self.updated(arm, seed, strength), part)
        naive = self.answers(self.updated("naive", seed, None), part)
        return {"kept": after["unchanged"] / max(before["unchanged"], 1e-9), "gained": after["new"] / max(naive["new"], 1e-9),
                "new": after["new"], "changed": after["changed"], "stale": after["withdrawn"],
                "drift": after["general"] - before["general"]}

    def tuned(self, arm):
        def value(strength):
            found = self.scores(arm, 1, strength, "valid")
            return min(found["kept"], 1) + min(found["gained"], 1)
        return max(STRENGTHS[arm], key=value) if arm in STRENGTHS else None


def main():
    update = Update()
    seeds = range(1, update.options.seeds + 1)
    rows, points = [], {}
    for arm in update.options.only:
        strength = update.tuned(arm)
        found = [update.scores(arm, seed, strength, "test") for seed in seeds]
        rows.append([arm, "" if strength is None else f"{strength:g}", *(spread([one[key] for one in found], 3) for key in (
            "kept", "gained", "new", "changed", "stale", "drift"))])
        points[arm] = [tuple(statistics.mean(one[key] for one in found) for key in ("gained", "kept"))]
        print("\t".join(rows[-1]), flush=True)
    before = [update.answers(update.taught(seed), "test") for seed in seeds]
    about = "; ".join(f"{name} {spread([one[name] for one in before], 3)}" for name in SETS)
    save("continual", f"Machine: {machine()}; {update.options.seeds} seeds, mean ± standard deviation. The old model's "
         f"accuracies: {about} (chance 0.25).\n\n" + table(
             ["arm", "lambda", "kept", "gained", "new facts", "changed facts", "stale", "general text, nats"], rows),
         mark="medical-update")
    picture("medical-update", [("What is kept against what is gained", "gained", "kept", points, "linear")])


if __name__ == "__main__":
    main()
