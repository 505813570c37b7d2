#!/usr/bin/env python3
"""Cost of fine-tuning: adapters beside frozen experts, full training, quantised bases and PEFT, in ratios of one call.

    tests/bench/finetune.py [--peer .../peft_lora_train.py] [--only REGEX] [--pairs 3] [--steps 3] [--batch 2]

The model is the OLMoE of recipes/pretrain/olmoe-90m.yaml with random weights; adapters have rank 16. Both sides of a pair
run one after the other, one thread each, and the next pair turns them round; a row has the median of the pairs' ratios.
Time is that of the processor, not of the clock, so that other work on the machine counts little: of a run of 1 + N steps
less that of a run of 1 step, and in the peers around each step. Both runs log, and draw the picture of the routing, once.
Memory is the largest resident one of a rank (10^6 bytes).
"""
import argparse
import json
import os
import pathlib
import random
import re
import tempfile

import side_by_side
from side_by_side import output_of, peer_output, processor_seconds, row

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MOESAIC = pathlib.Path(os.environ.get("MOESAIC_BIN", ROOT / "build/release/bin")) / "moesaic"
LENGTH, RANK = 512, 16
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--peer", help="path of peft_lora_train.py; without it the rows against PEFT are left out")
p.add_argument("--python", default=str(ROOT / ".venv-parity/bin/python"))
p.add_argument("--only", default="", help="rows whose name this expression finds")
p.add_argument("--pairs", type=int, default=3)
p.add_argument("--steps", type=int, default=3)
p.add_argument("--batch", type=int, default=2, help="sequences of 512 tokens in a step")
a = p.parse_args()
ATTENTION = "adapt={lora: {r: 16, target_modules: [q_proj, k_proj, v_proj, o_proj]}}"
WITH_EXPERTS = "adapt={lora: {r: 16, target_modules: [q_proj, k_proj, v_proj, o_proj, experts]}}"
NF4 = WITH_EXPERTS.replace("r: 16", "r: 16, base: nf4")
SHARDED = "parallel.shard_optimizer=true"
TEMPLATE = ("{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}")


class Bench:
    def __init__(self, folder):
        self.folder, self.runs = folder, 0
        draw = random.Random(0)
        with open(f"{folder}/ids.jsonl", "w") as file:
            for _ in range(64):
                file.write(json.dumps({"ids": [draw.randrange(8192) for _ in range(4096)]}) + "\n")
        pathlib.Path(folder, "template.jinja").write_text(TEMPLATE)
        self.write_chats(draw)
        self.train(1, [], "base", "checkpoint.final=true")
        output_of([MOESAIC, "export", f"{folder}/base", f"{folder}/hub"])
        self.hub = [f"model={{from: {folder}/hub}}"]

    def write_chats(self, draw):
        """Conversations of 20 to 500 bytes, most of them short; their ids once more for the peer."""
        with open(f"{self.folder}/chats.jsonl", "w") as chats, open(f"{self.folder}/chat-ids.jsonl", "w") as ids:
            for _ in range(2000):
                words = ["".join(draw.choices("abcdefghij ", k=max(2, min(240, int(draw.lognormvariate(3.6, 0.9)))))) for _ in range(2)]
                chats.write(json.dumps({"messages": [{"role": r, "content": w} for r, w in zip(("user", "assistant"), words)]}) + "\n")
                ids.write(json.dumps({"ids": list(f"<user>{words[0]}\n<assistant>{words[1]}\n".encode())}) + "\n")

    def settings(self, steps, keys, ranks=1):
        return [ROOT / "recipes/pretrain/olmoe-90m.yaml", "-n", ranks, "parallel.expert=1", "parallel.threads_per_rank=1",
                f"data.train=[{{path: {self.folder}/ids.jsonl, format: tokens}}]", f"data.cache={self.folder}/cache",
                f"train.max_steps={steps}", f"log.every_steps={steps}", f"train.global_batch_size={a.batch * ranks}",
                f"train.micro_batch_size={a.batch}", *keys]

    def train(self, steps, keys, run=None, *more, ranks=1):
        """Seconds of the processor that a run takes, and the peak of a rank in 10^6 bytes."""
        self.runs += 1
        run = run or f"run-{self.runs}"
        seconds = processor_seconds([MOESAIC, "train", *self.settings(steps, keys, ranks), f"run_dir={self.folder}/{run}", *more])
        rows = [json.loads(line) for line in open(f"{self.folder}/{run}/metrics.jsonl")]
        return seconds, rows[-1]["memory_peak_mb"] * 2**20 / 1e6

    def step(self, *keys):
        """Seconds of a step."""
        keys = [*self.hub, *keys]
        return (self.train(1 + a.steps, keys)[0] - self.train(1, keys)[0]) / a.steps

    def plan(self, *keys, ranks=1):
        return json.loads(output_of([MOESAIC, "plan", "--json", *self.settings(2, [*self.hub, *keys], ranks)]))

    def peft(self, targets, precision):
        """Seconds of a step of PEFT."""
        out = peer_output(a.python, a.peer, "--targets", targets, "--rank", RANK, "--dtype", precision, "--batch", a.batch,
                          "--steps", a.steps)
        return a.batch * LENGTH / json.loads(out.splitlines()[-1])["tokens_per_s"]

    def padded(self):
        """Seconds for a token of the padded peer."""
        out = output_of([a.python, ROOT / "tests/bench/padded_lora.py", f"{self.folder}/hub", f"{self.folder}/chat-ids.jsonl"])
        found = json.loads(out.splitlines()[-1])
        print(f"  rows padded to the longest: fill {found['fill']:.3f}", flush=True)
        return 1 / found["tokens_per_s"]

    def chat_keys(self):
        return ["tokenizer=byte", f"data.train=[{{path: {self.folder}/chats.jsonl, format: chat}}]", "data.packing=best_fit",
                f"data.chat_template={self.folder}/template.jinja", "data.too_long=truncate"]

    def chat_fill(self):
        data = {"train": [{"path": f"{self.folder}/chats.jsonl", "format": "chat"}], "chat_template": f"{self.folder}/template.jinja",
                "packing": "best_fit", "too_long": "truncate", "sequence_length": LENGTH}
        recipe = pathlib.Path(self.folder, "chats.yaml")
        keys = {"name": "chats", "model": {"from": f"{self.folder}/hub"}, "data": data, "train": {"max_steps": 1}}
        recipe.write_text(json.dumps(keys))  # JSON is YAML
        return json.loads(output_of([MOESAIC, "data", "inspect", "--json", "--recipe", recipe]))["fill"]


def pairs(name, goal, first, second):
    side_by_side.pairs(a.pairs, name, goal, first, second)


def times(bench):
    yield "expert adapters against frozen experts", lambda name: pairs(
        name, "<= 1.25", lambda: bench.step(WITH_EXPERTS), lambda: bench.step(ATTENTION))
    if a.peer:
        yield "PEFT against expert adapters", lambda name: pairs(
            name, ">= 2.5", lambda: bench.peft("all", "fp32"), lambda: bench.step(WITH_EXPERTS))
        yield "PEFT against attention adapters, float32", lambda name: pairs(
            name, ">= 2", lambda: bench.peft("attention", "fp32"), lambda: bench.step(ATTENTION))
        yield "PEFT against attention adapters, bfloat16", lambda name: pairs(
            name, ">= 3", lambda: bench.peft("attention", "bf16"), lambda: bench.step(ATTENTION, "train.precision=bfloat16"))
    yield "uneven chats against full sequences", lambda name: (
        row("fill of best_fit", ">= 0.98", f"{bench.chat_fill():.4f}"),
        pairs(name, "<= 1.1", lambda: bench.step(ATTENTION, *bench.chat_keys()), lambda: bench.step(ATTENTION)))
    yield "padded PEFT against packed chats, for a token", lambda name: pairs(
        name, ">= 3.3", bench.padded, lambda: bench.step(ATTENTION, *bench.chat_keys()) / (a.batch * LENGTH * bench.chat_fill()))


def memory(bench):
    """(name, keys, ranks): peaks beside what plan says."""
    shapes = {"full": ([], 1), "adapters": ([WITH_EXPERTS], 1), "adapters, nf4": ([NF4], 1), "full, 2 ranks": ([], 2),
              "full, 2 ranks, sharded": ([SHARDED], 2), "adapters, 2 ranks, sharded": ([WITH_EXPERTS, SHARDED], 2)}
    peaks, plans = {}, {}
    for name, (keys, ranks) in shapes.items():
        plans[name] = bench.plan(*keys, ranks=ranks)
        peaks[name] = bench.train(2, [*bench.hub, *keys], ranks=ranks)[1]
        planned = plans[name]["rank_memory_bytes"] / 1e6
        row(f"plan against peak, {name}", "0.9 to 1.1", f"{planned:.0f} / {peaks[name]:.0f} MB = {planned / peaks[name]:.2f}")
    row("peak of adapters against full", "<= 0.60", f"{peaks['adapters'] / peaks['full']:.2f}")
    row("peak of adapters on nf4 against full", "", f"{peaks['adapters, nf4'] / peaks['full']:.2f}")
    whole, part = (plans[f"full, 2 ranks{kind}"]["rank_optimizer_bytes"] for kind in ("", ", sharded"))
    row("optimizer bytes of a rank, sharded against whole", "<= 0.55", f"{part / whole:.2f}")
    saved = peaks["full, 2 ranks"] - peaks["full, 2 ranks, sharded"]
    row("... measured: peak saved over the whole one's bytes", ">= 0.45", f"{saved / (whole / 1e6):.2f}")
    adapters, nf4 = (plans[name]["rank_parameter_bytes"] for name in ("adapters", "adapters, nf4"))
    kept = 6 * (16 * 3 + 4) * 512 * 512  # matrices inside the layers
    row("bits of a parameter in nf4, by plan", "<= 4.2", f"{32 - 8 * (adapters - nf4) / kept:.2f}")
    row("... measured by the peaks", "<= 4.2", f"{32 - 8e6 * (peaks['adapters'] - peaks['adapters, nf4']) / kept:.2f}")


def main():
    with tempfile.TemporaryDirectory(prefix="moesaic-finetune-") as folder:
        bench = Bench(folder)
        print("| what | goal | result |\n| --- | --- | --- |", flush=True)
        for name, measure in times(bench):
            if re.search(a.only, name):
                measure(name)
        if re.search(a.only, "memory"):
            memory(bench)


if __name__ == "__main__":
    main()
