"""Ways to train part of a model: what adapter_invariance_*test.py and adapter_kill_test.py share."""
import json

from moesaic import RunTest

LORA = "adapt={lora: {r: 4, lora_alpha: 8, lora_dropout: 0.1, router: lora, lora_plus_ratio: 4}}"
KINDS = {
    "lora": (LORA,),
    "sharded": (LORA, "parallel.shard_optimizer=true"),
    "nf4": (LORA, "adapt.lora.base=nf4"),
    "esft": ("adapt={esft: {share: 0.4, sample_tokens: 300}}", "parallel.shard_optimizer=true"),
    "dora": (LORA, "adapt.lora.use_dora=true"),
    "pissa": (LORA, "adapt.lora.init_lora_weights=pissa"),
}
LAYOUTS = ((2, 1), (2, 2), (3, 1), (4, 2), (4, 4))  # (ranks, expert), against (1, 1)
TOLERANCE = 1e-10


class AdapterLayouts(RunTest):
    def setUp(self):
        """The recipe goes on from a base in folder/hub."""
        super().setUp()
        self.train("train.max_steps=3", "train.precision=float64", "parallel.threads_per_rank=1", run="base")
        self.moesaic("export", self.folder / "base", self.folder / "hub")
        text = self.recipe.read_text()
        begin, end = text.index("  config:"), text.index("data:")
        text = text.replace("timeout_s: 60", "timeout_s: 60, threads_per_rank: 1")
        self.recipe.write_text(f"{text[:begin]}  from: {self.folder}/hub\n{text[end:]}")

    def trainable(self, run):
        return json.loads((self.folder / run / "checkpoints/latest/manifest.json").read_text())["parameters"]

    def losses(self, run):
        return [row["loss"] for row in self.rows(run)]

    def check_kind(self, kind, layouts):
        """20 steps in float64: what is trained, its losses and itself are the same on every layout."""
        keys = (*KINDS[kind], "train.precision=float64", "checkpoint.every_steps=0", "--overwrite")
        self.train(*keys, run="one")
        wanted, worst = self.losses("one"), 0.0
        self.assertEqual(len(wanted), 20)
        for ranks, expert in layouts:
            with self.subTest(kind, ranks=ranks, expert=expert):
                self.train(*keys, run="other", ranks=ranks, expert=expert)
                self.assertEqual(self.trainable("one"), self.trainable("other"))
                apart = max(abs(a - b) for a, b in zip(wanted, self.losses("other"), strict=True))
                apart = max(apart, self.weight_difference("one", "other"))
                self.assertLess(apart, TOLERANCE)
                worst = max(worst, apart)
        print(f"{kind} on {layouts}: {worst:.1e}", flush=True)
