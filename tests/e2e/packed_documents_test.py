"""data.packing: best_fit gives each document the loss that it has alone, and its training the same weights."""
import json
import random
import unittest

from moesaic import RunTest

TEMPLATE = ("{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
            "{% if add_generation_prompt %}<assistant>{% endif %}")
RECIPE = """
name: packed
seed: 5
model:
  config: {{model_type: olmoe, vocab_size: 257, hidden_size: 32, intermediate_size: 24, num_hidden_layers: 2, num_attention_heads: 4,
           num_key_value_heads: 2, num_experts: 8, num_experts_per_tok: 2, initializer_range: 0.1, max_position_embeddings: 512}}
data:
  train: [{{path: {folder}/{name}.jsonl}}]
  chat_template: {folder}/template.jinja
  sequence_length: {length}
  packing: {packing}
  too_long: stop
  shuffle: false
train: {{max_steps: 4, global_batch_size: {batch}, micro_batch_size: 1, precision: float64, clip_norm: 0}}
optimizer: {{learning_rate: {rate}}}
schedule: {{type: constant, warmup_steps: 0}}
moe: {{balance: {{type: none}}, router_z_coefficient: 0}}
parallel: {{threads_per_rank: 1}}
checkpoint: {{every_steps: 0}}
log: {{every_steps: 1, tensorboard: false}}
"""
LENGTH = 96
TOLERANCE = 1e-10


class PackedDocuments(RunTest):
    def write_recipe(self, name, packing, batch=1, rate=0.003):
        self.recipe.write_text(RECIPE.format(folder=self.folder, name=name, length=LENGTH, packing=packing, batch=batch, rate=rate))

    def write(self, name, lines):
        (self.folder / "template.jinja").write_text(TEMPLATE)
        (self.folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def inspected(self, name, packing):
        self.write_recipe(name, packing)
        return json.loads(self.moesaic("data", "inspect", "--recipe", self.recipe, "--json").stdout)

    def test_what_is_counted_follows_the_command_line(self):
        draw = random.Random(5)
        self.write("lines", [chat(draw, length, True) for length in (40, 4, 41, 5)])
        packed = self.inspected("lines", "best_fit")
        self.write_recipe("lines", "false")
        inspect = ("data", "inspect", "--recipe", self.recipe)
        self.assertEqual(json.loads(self.moesaic(*inspect, "data.packing=best_fit", "--json").stdout), packed)
        self.assertIn("data.packing", self.moesaic(*inspect, "data.packing=7", expect=3).stderr)
        self.assertIn("KEY=VALUE", self.moesaic(*inspect, "lines.tokens", expect=2).stderr)

    def check(self, lines_of):
        """`lines_of(draw, length)`: a line of about that many bytes. Two documents share each sequence, a long one and a short."""
        draw = random.Random(3)
        lines = [lines_of(draw, length) for pair in range(6) for length in (50 + pair, 15 - pair)]
        self.write("lines", lines)
        alone, packed = self.inspected("lines", "false"), self.inspected("lines", "best_fit")
        self.assertEqual((alone["documents"], alone["targets"]), (packed["documents"], packed["targets"]))
        self.assertEqual((alone["sequences"], packed["sequences"]), (12, 6))
        for packing, batch in (("false", 12), ("best_fit", 6)):  # each step has all documents
            self.write_recipe("lines", packing, batch)
            self.train(run=f"trained-{packing}")
        losses = [[row["loss"] for row in self.rows(f"trained-{packing}")] for packing in ("false", "best_fit")]
        self.assertLess(max(abs(a - b) for a, b in zip(*losses, strict=True)), TOLERANCE)
        self.assertLess(self.weight_difference("trained-false", "trained-best_fit"), TOLERANCE)

    def test_prompts_and_completions(self):
        self.check(lambda draw, length: {"prompt": "".join(draw.choices("abcdef ", k=length // 2)) + ":",
                                         "completion": "".join(draw.choices("ghijkl", k=length - length // 2))})

    def test_chats(self):
        self.check(lambda draw, length: chat(draw, length - 14 if length > 30 else 4, True))

    def test_each_document_of_a_sequence(self):
        """All but one document of each sequence have no targets, so that the loss of a step is that of one document."""
        draw = random.Random(4)
        learned, others = [], []
        for pair in range(4):  # the longer one stands first in a sequence
            learned.append(chat(draw, 40 + pair if pair % 2 else 4 + pair, True))
            others.append(chat(draw, 5 + pair if pair % 2 else 41 + pair, False))
        self.write("alone", learned)
        self.write("all", learned + others)
        self.assertEqual(self.inspected("all", "best_fit")["sequences"], 4)
        for name, packing in (("alone", "false"), ("all", "best_fit")):
            self.write_recipe(name, packing, rate=1e-30)
            self.train(run=name)
        alone, packed = (sorted(row["loss"] for row in self.rows(name)) for name in ("alone", "all"))
        self.assertGreater(min(b - a for a, b in zip(alone, alone[1:])), 1e-6, "documents that can be told apart")
        self.assertLess(max(abs(a - b) for a, b in zip(alone, packed, strict=True)), TOLERANCE)


def chat(draw, length, learned):
    """A conversation whose answer is learned or not."""
    says = lambda: "".join(draw.choices("abcdefgh ", k=max(1, length // 2)))  # noqa: E731
    answer = {"role": "assistant", "content": says()} | ({} if learned else {"train": False})
    return {"messages": [{"role": "user", "content": says()}, answer]}


if __name__ == "__main__":
    unittest.main()
