"""Every family against Transformers, through the shipped programs: scores, gradients, AdamW, export and import."""
import concurrent.futures
import json
import os
import pathlib
import random
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from moesaic import RunTest  # noqa: E402

try:
    import h5py
    import safetensors.torch
    import torch
    import transformers_oracle as oracle
    from tiny_checkpoints import VARIANTS, make
except ImportError as error:
    print(f"skipped: {error} (scripts/setup.sh --parity installs it)")
    sys.exit(77)

SCORED = (9, 1, 40, 2, 23)  # ids of the lines that are scored
GRADIENT = (24, 17, 9, 2)  # of the lines of the one SGD step, in micro-batches of 2
ADAMW_STEPS, ADAMW_LINES, ADAMW_LENGTH, ADAMW_RATE = 10, 3, 20, 1e-3
NEAR_TIE = 5e-5  # a choice of experts closer than this could fall either way in float32
TOLERANCE = 1e-4
ROUNDING = 2.0**-24  # of w - g in float32, relative to w

RECIPE = """
name: parity
run_dir: {folder}/{run}
model: {{from: {folder}/hub}}
data: {{train: [{{path: {folder}/{run}.jsonl, format: tokens}}], sequence_length: 64, packing: false, shuffle: false}}
train: {{max_steps: {steps}, global_batch_size: {lines}, micro_batch_size: {micro}, clip_norm: 0}}
optimizer: {{type: {optimizer}, learning_rate: {rate}, betas: [0.9, 0.95], weight_decay: 0}}
schedule: {{type: constant, warmup_steps: 0}}
moe: {{balance: {{type: {balance}, coefficient: {coefficient}}}, router_z_coefficient: 0}}
parallel: {{threads_per_rank: 1}}
checkpoint: {{every_steps: 0, keep: 1}}
log: {{every_steps: 1, tensorboard: false}}
"""


def joined(name):
    """Name in a hub file -> (name in model.h5, index of the expert or None)."""
    found = re.search(r"\.experts\.(\d+)\.", name)
    return (name.replace(found[0], ".experts."), int(found[1])) if found else (name, None)


def hub_folder(folder):
    """All tensors of a hub folder, and the number of its files."""
    tensors, files = {}, sorted(folder.glob("*.safetensors"))
    for file in files:
        tensors.update(safetensors.torch.load_file(file))
    return tensors, len(files)


def same_bytes(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.view(torch.uint8), b.view(torch.uint8))


class Families(RunTest):
    worst = {}  # (family, what) -> largest deviation

    @classmethod
    def tearDownClass(cls):
        kinds = sorted({what for _, what in cls.worst})
        print("\n" + f"{'worst deviation':16}" + "".join(f"{kind:>16}" for kind in kinds))
        for family in sorted({family for family, _ in cls.worst}):
            numbers = (cls.worst.get((family, kind)) for kind in kinds)
            print(f"{family:16}" + "".join(f"{'-':>16}" if n is None else f"{n:16.1e}" for n in numbers))

    def note(self, what, deviation):
        key = (self.variant.model_type, what)
        self.worst[key] = max(self.worst.get(key, 0.0), deviation)

    def check(self, variant):
        self.variant = variant
        self.hub = make(variant, self.folder / "hub")
        self.model = oracle.load(self.hub)
        self.balance = hasattr(self.model.config, "router_aux_loss_coef")
        experts = {module.num_experts for module in self.model.modules() if oracle.is_router(module)}
        self.split = 2 if experts and experts.pop() % 2 == 0 else 1  # ranks that share the experts
        expected = self.ask_the_oracle()
        self.start_programs()
        with self.subTest("log-probabilities"):
            self.check_scores(self.jobs["scores"].result(), expected["scores"])
        with self.subTest("gradients"):
            self.check_gradients(expected["gradients"])
        with self.subTest("AdamW"):
            self.check_adamw(expected["adamw"])
        with self.subTest("export of the trained model"):
            self.check_export()
        with self.subTest("import and export"):
            self.check_round_trip()

    # What Transformers says, on lines whose routing is nowhere near a tie.

    def ask_the_oracle(self):
        numbers = random.Random(f"{self.variant.name}")
        self.lines, expected = {}, {}
        self.prepare(expected, "scores", lambda: self.random_lines(numbers, SCORED),
                     lambda lines: [oracle.log_probs(self.model, ids) for ids in lines])
        self.prepare(expected, "gradients", lambda: self.random_lines(numbers, GRADIENT),
                     lambda lines: oracle.gradients(self.model, lines))
        self.prepare(expected, "adamw",
                     lambda: self.random_lines(numbers, [ADAMW_LENGTH] * ADAMW_STEPS * ADAMW_LINES),
                     lambda lines: oracle.adamw_losses(
                         self.model, [lines[i:i + ADAMW_LINES] for i in range(0, len(lines), ADAMW_LINES)],
                         ADAMW_RATE, self.balance))
        self.assertLess(oracle.attention_entropy(self.model, self.lines["scores"][2]), 0.9, "attention near uniform")
        return expected

    def prepare(self, expected, what, draw, compute):
        for _ in range(30):
            lines = draw()
            with oracle.Watch() as watch:
                result = compute(lines)
            if watch.margin > NEAR_TIE:
                break
        self.assertGreater(watch.margin, NEAR_TIE, f"{what}: every draw had a near-tie of experts")
        if watch.entropies:
            self.assertLess(sum(watch.entropies) / len(watch.entropies), 0.9, "routing near uniform")
        self.lines[what], expected[what] = lines, result
        text = "".join(json.dumps({"ids": ids}) + "\n" for ids in lines)
        (self.folder / f"{what}.jsonl").write_text(text)

    def random_lines(self, numbers, lengths):
        return [[numbers.randrange(self.model.config.vocab_size) for _ in range(n)] for n in lengths]

    # The programs, several at a time: most of their time is the start of MPI.

    def start_programs(self):
        def train(run, ranks=1, expert=1, **settings):
            recipe = self.folder / f"{run}.yaml"
            recipe.write_text(RECIPE.format(folder=self.folder, run=run, **settings))
            return lambda: self.moesaic("train", recipe, "-n", ranks, f"parallel.expert={expert}", expect=None)

        balance = "transformers" if self.balance else "none"
        coefficient = self.model.config.router_aux_loss_coef if self.balance else 0
        jobs = {
            "scores": lambda: self.score(self.hub),
            "gradients": train("gradients", steps=1, lines=len(GRADIENT), micro=2, optimizer="sgd", rate=1.0,
                               balance="none", coefficient=0),
            "adamw": train("adamw", ranks=2, expert=self.split, steps=ADAMW_STEPS, lines=ADAMW_LINES,
                           micro=ADAMW_LINES, optimizer="adamw", rate=ADAMW_RATE, balance=balance,
                           coefficient=coefficient),
            "import": lambda: self.moesaic("import", self.hub, self.folder / "imported", expect=None),
        }
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            self.jobs = {what: pool.submit(job) for what, job in jobs.items()}

    def finished(self, what):
        result = self.jobs[what].result()
        self.assertEqual(result.returncode, 0, f"{what}\n{result.stdout[-2000:]}\n{result.stderr[-3000:]}")
        return result

    def score(self, model, *arguments):
        return self.moesaic("score", "--model", model, "--input", self.folder / "scores.jsonl",
                            "--precision", "float32", *arguments, expect=None)

    # The comparisons.

    def check_scores(self, result, expected):
        self.assertEqual(result.returncode, 0, f"{result.stdout[-2000:]}\n{result.stderr[-3000:]}")
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual([row["tokens"] for row in rows], list(SCORED))
        for row, wanted in zip(rows, expected, strict=True):
            got = torch.tensor(row["logprobs"], dtype=torch.float64)
            self.assertEqual(len(got), len(wanted))
            self.assertAlmostEqual(row["nll"], -got.sum().item(), delta=1e-4 * (1 + abs(row["nll"])))
            if len(got):
                deviation = (got - wanted).abs().max().item()
                self.note("log-prob", deviation)
                self.assertLess(deviation, TOLERANCE)

    def stored(self, run):
        """{name: tensor} of the run's model.h5, in the dtypes of the checkpoint."""
        tensors = {}
        with h5py.File(self.folder / run / "checkpoints/latest/model.h5") as file:
            file.visititems(lambda name, item: tensors.update({name: torch.tensor(item[()])})
                            if isinstance(item, h5py.Dataset) else None)
        return tensors

    def check_gradients(self, expected):
        self.finished("gradients")
        before, _ = hub_folder(self.hub)
        after = self.stored("gradients")
        biases = {name for name in before if name.endswith("e_score_correction_bias")}
        self.assertEqual({joined(name)[0] for name in expected} | biases, set(after))
        for name in biases:
            self.assertTrue(torch.equal(before[name].float(), after[name]), f"{name} changed")
        squares = {}  # name in model.h5 -> squares of the norms of difference, gradient and rounding
        for name, wanted in expected.items():
            stored, index = joined(name)
            new = after[stored] if index is None else after[stored][index]
            self.assertEqual((new.dtype, new.shape), (torch.float32, before[name].shape))
            old = before[name].double()
            norms = [(old - new.double() - wanted.double()).norm(), wanted.double().norm(), ROUNDING * old.norm()]
            self.assertLess(norms[0], TOLERANCE * norms[1] + norms[2], f"gradient of {name}")
            squares[stored] = squares.get(stored, 0) + torch.stack(norms)**2
        for name, (difference, norm, rounding) in ((name, square.sqrt().tolist()) for name, square in squares.items()):
            if norm > rounding:  # the router of a single, normalised expert has none
                self.note("gradient", difference / norm)
                self.assertLess(difference, TOLERANCE * norm, f"gradient of {name}, norm {norm:.2e}")

    def check_adamw(self, expected):
        self.finished("adamw")
        rows = self.rows("adamw")
        self.assertEqual(len(rows), ADAMW_STEPS)
        coefficient = self.model.config.router_aux_loss_coef if self.balance else 0.0
        for row, (loss, balance) in zip(rows, expected, strict=True):
            what = f"step {row['step']}"
            self.note("AdamW loss", abs(row["loss"] - loss))
            self.assertLess(abs(row["loss"] - loss), TOLERANCE, what)
            self.assertLess(abs(row["loss_total"] - loss - coefficient * balance), TOLERANCE, what)
            if self.balance:
                self.note("balance", abs(row["loss_balance"] - balance))
                self.assertLess(abs(row["loss_balance"] - balance), TOLERANCE, what)

    def exported(self, source):
        """The hub folder that `source` exports to, checked for all that does not depend on the weights."""
        folder = self.folder / f"exported-{source.name}"
        self.moesaic("export", source, folder, "--max-shard-size", self.variant.shard_size)
        original, shards = hub_folder(self.hub)
        tensors, new_shards = hub_folder(folder)
        self.assertEqual(new_shards > 1, shards > 1)
        self.assertEqual(set(tensors), set(original))
        self.assertEqual({name: tensor.dtype for name, tensor in tensors.items()},
                         {name: tensor.dtype for name, tensor in original.items()})
        for name in ("generation_config.json", "special_tokens_map.json"):
            self.assertEqual((folder / name).read_bytes(), (self.hub / name).read_bytes())
        if (folder / "model.safetensors.index.json").exists():
            index = json.loads((folder / "model.safetensors.index.json").read_text())
            self.assertEqual(set(index["weight_map"]), set(tensors))
        model = oracle.load(folder)
        ours, theirs = model.config.to_dict(), self.model.config.to_dict()
        # The layers that predict further tokens are not in the hub folder, so an export announces none.
        for key in ("_name_or_path", "transformers_version", "dtype", "num_nextn_predict_layers"):
            ours.pop(key, None), theirs.pop(key, None)
        theirs |= {key: 0 for key in ("num_nextn_predict_layers",) if key in theirs}  # none came, none go out
        self.assertEqual({key: value for key, value in ours.items() if key in theirs and value != theirs[key]}, {})
        return folder, tensors, model

    def check_export(self):
        self.finished("adamw")
        folder, tensors, model = self.exported(self.folder / "adamw")
        trained = self.stored("adamw")
        for name, tensor in tensors.items():
            stored, index = joined(name)
            master = trained[stored] if index is None else trained[stored][index]
            self.assertTrue(same_bytes(tensor, master.to(tensor.dtype)), name)
        source = folder if self.variant.dtype == torch.bfloat16 else self.folder / "adamw"
        self.check_scores(self.score(source, "-n", 2, "--expert", self.split, "--batch-tokens", 45),
                          [oracle.log_probs(model, ids) for ids in self.lines["scores"]])

    def check_round_trip(self):
        self.finished("import")
        original, _ = hub_folder(self.hub)
        _, tensors, model = self.exported(self.folder / "imported")
        for name, tensor in original.items():
            kept = torch.float32 if name.endswith("correction_bias") else self.variant.dtype
            self.assertEqual(tensor.dtype, kept, name)
            self.assertTrue(same_bytes(tensor, tensors[name]), name)
        for ids in self.lines["scores"]:
            self.assertTrue(torch.equal(oracle.log_probs(model, ids), oracle.log_probs(self.model, ids)))


def add(variant):
    setattr(Families, f"test_{variant.name.replace('-', '_')}", lambda self: self.check(variant))


part, parts = map(int, os.environ.get("MOESAIC_PART", "0/1").split("/"))  # CTest runs several at a time
for each in list(VARIANTS.values())[part::parts]:
    add(each)

if __name__ == "__main__":
    unittest.main()
